// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Turns the beats of one or two read streams into the operands of butterflies,
// one pair per cycle in butterfly order, for the three layouts of ntt_pkg.
// Called by ntt_datapath; the streams are ntt_engine's stream_readers.
module ntt_gather
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
(
  input logic      clk_i,
  input logic      rst_ni,
  input logic      clear_i,    // drop everything
  input layout_e   layout_i,
  input logic      single_i,
  input run_log2_t run_log2_i,

  input  logic  beat_valid_i[2],
  output logic  beat_ready_o[2],
  input  beat_t beat_i      [2],

  output logic      valid_o,
  input  logic      ready_i,
  output fr_image_t a_o,
  output fr_image_t b_o
);
  // A run of the first operand waits here while the run of the second arrives.
  localparam int unsigned FifoLog2 = MergeLog2 + 1;

  logic paired, merged;
  assign paired = (layout_i == LayoutPaired);
  assign merged = (layout_i == LayoutMerged);

  // ---- Beats to the FIFO of their operand ----
  logic [MergeLog2:0] beats_q;  // taken from a merged stream
  logic second_run, take;
  logic push[2], full[2], head_valid[2], pop[2];
  logic [FrPerBeat-1:0][FrImageBits-1:0] head[2];

  assign second_run      = merged && beats_q[run_log2_i];
  assign beat_ready_o[0] = second_run ? !full[1] : !full[0];
  assign beat_ready_o[1] = !merged && !full[1];
  assign take            = beat_valid_i[0] && beat_ready_o[0];
  assign push[0]         = take && !second_run;
  assign push[1]         = merged ? take && second_run : beat_valid_i[1] && beat_ready_o[1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) beats_q <= '0;
    else if (clear_i) beats_q <= '0;
    else if (take) beats_q <= beats_q + 1'b1;
  end

  for (genvar i = 0; i < 2; i++) begin : gen_operand
    fifo #(
      .T        (beat_t),
      .DepthLog2(FifoLog2)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .clear_i,
      .push_i (push[i]),
      .data_i (i == 1 && !merged ? beat_i[1] : beat_i[0]),
      .full_o (full[i]),
      .valid_o(head_valid[i]),
      .data_o (head[i]),
      .pop_i  (pop[i])
    );
  end

  // ---- Operands from the heads ----
  logic lane_q, last_lane;

  assign valid_o   = head_valid[0] && (paired || head_valid[1]);
  assign last_lane = paired || lane_q;
  assign pop[0]    = valid_o && ready_i && last_lane;
  assign pop[1]    = pop[0] && !paired;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) lane_q <= 1'b0;
    else if (clear_i) lane_q <= 1'b0;
    else if (valid_o && ready_i) lane_q <= !last_lane;
  end

  always_comb begin
    a_o = head[0][lane_q];
    if (single_i) b_o = '0;
    else b_o = paired ? head[0][1] : head[1][lane_q];
  end
endmodule
