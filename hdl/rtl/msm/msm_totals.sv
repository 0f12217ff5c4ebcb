// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Puts the units' totals together, when all are there: the others' are added to
// unit 0's one after another, then the sum is read; in G2 word by word. Used by: msm_engine.
module msm_totals
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic                 g2_i,
  input  logic                 start_i,             // pulse
  input  logic                 flush_i,
  input  logic [MsmAdders-1:0] done_i,              // the unit's total is there
  input  logic [MsmAdders-1:0] valid_i,             // it is not infinity
  output logic                 half_o,              // G2: which word is read or kept
  output logic [MsmAdders-1:0] read_o,
  input  xyz_t                 total_i[MsmAdders],  // one cycle after read_o
  output logic                 write_o,             // to unit 0: keep other_o,
  output xyz_t                 other_o,
  output logic                 add_o,               // and add it
  output logic                 done_o,              // pulse: sum_o holds the sum
  output xyz_t [          1:0] sum_o                // its words; in G1 the lower one
);

  typedef enum logic [2:0] {
    StIdle,
    StRead,   // a unit's total
    StWrite,
    StAdd,
    StWait,
    StLast,   // the sum
    StKeep,
    StDone
  } state_e;
  typedef logic [((MsmAdders > 1) ? $clog2(MsmAdders) : 1)-1:0] unit_t;

  state_e state_q;
  unit_t  unit_q;
  logic   half_q;
  wire    half_last = half_q || !g2_i;
  wire    last_unit = unit_q == unit_t'(MsmAdders - 1);
  wire    idle = done_i[0];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      unit_q <= '0;
      half_q <= 1'b0;
    end else if (flush_i) begin
      state_q <= StIdle;
      half_q <= 1'b0;
    end else begin
      unique case (state_q)
        StIdle: begin
          unit_q <= unit_t'(1 % MsmAdders);
          if (start_i) state_q <= (MsmAdders == 1) ? StLast : StRead;
        end
        StRead: begin
          if (valid_i[unit_q]) state_q <= StWrite;
          else begin
            unit_q <= unit_q + 1'b1;
            if (last_unit) state_q <= StLast;
          end
        end
        StWrite: begin
          half_q <= !half_last;
          state_q <= half_last ? StAdd : StRead;
        end
        StAdd:   state_q <= StWait;
        StWait: begin
          if (idle) begin
            unit_q <= unit_q + 1'b1;
            state_q <= last_unit ? StLast : StRead;
          end
        end
        StLast:  state_q <= StKeep;
        StKeep: begin
          half_q <= !half_last;
          state_q <= half_last ? StDone : StLast;
        end
        default: state_q <= StIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StKeep) sum_o[half_q] <= total_i[0];
  end

  always_comb begin
    read_o = '0;
    if (state_q == StRead) read_o[unit_q] = 1'b1;
    if (state_q == StLast) read_o[0] = 1'b1;
  end
  assign half_o = half_q;
  assign write_o = state_q == StWrite;
  assign other_o = total_i[unit_q];
  assign add_o = state_q == StAdd;
  assign done_o = state_q == StDone;

  wire unused = &{1'b0, valid_i[0], done_i};

endmodule
