// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Reads runs of beats from an AXI bus, in the order in which they are asked for.
// It has no buffer: whoever asks has a place for every beat, so the bus is never
// blocked. A run is cut into bursts that do not cross 4 KiB.
//
// A bus error does not stop it; error_o stays set until the next clear_error_i.
// flush_i (level, while busy) drops runs and beats: busy_o falls when the last
// response has been received. Used by: msm_lane, ntt_source. (stream_reader reads long
// regular streams and buffers them itself.)
module run_reader
  import carillon_pkg::*;
#(
  parameter axi_id_t     IdValue = '0,
  parameter int unsigned MaxRun  = 32   // beats of a run, at most 64
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic                     clear_error_i,
  input  logic                     run_valid_i,
  output logic                     run_ready_o,
  input  addr_t                    run_addr_i,     // bytes, a multiple of 64
  input  logic  [$clog2(MaxRun):0] run_beats_i,    // not 0
  input  logic                     flush_i,
  output logic                     busy_o,
  output logic                     error_o,

  output logic  valid_o,
  output beat_t data_o,

  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);

  typedef logic [$clog2(MaxRun):0] run_t;
  typedef logic [15:0] outstanding_t;

  beat_addr_t       at_q;
  run_t             left_q;  // beats of the run still to be asked for
  axi_ax_t          ar_q;
  logic             ar_valid_q;
  outstanding_t     outstanding_q;  // beats asked for and not received

  wire page_beats_t page_rest = page_left(at_q[PageBits-1:0]);
  wire              cut = page_beats_t'(left_q) > page_rest;
  wire run_t        burst = cut ? run_t'(page_rest) : left_q;
  wire              issue = left_q != '0 && (!ar_valid_q || ar_ready_i) && !flush_i;
  assign run_ready_o = (left_q == '0 || (issue && !cut)) && !flush_i;
  wire take = run_valid_i && run_ready_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      left_q <= '0;
      ar_valid_q <= 1'b0;
      outstanding_q <= '0;
      error_o <= 1'b0;
    end else begin
      if (flush_i) left_q <= '0;
      else if (take) left_q <= run_beats_i;
      else if (issue) left_q <= left_q - burst;

      if (issue) ar_valid_q <= 1'b1;
      else if (ar_ready_i) ar_valid_q <= 1'b0;
      outstanding_q <= outstanding_q + (issue ? outstanding_t'(burst) : '0) - outstanding_t'(r_valid_i);

      if (clear_error_i) error_o <= 1'b0;
      else if (r_valid_i && r_i.resp[1]) error_o <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    if (issue) ar_q <= '{id: IdValue, addr: {at_q, OffsetBits'(0)}, len: 8'(burst - 1'b1)};
    if (take) at_q <= run_addr_i[AddrBits-1:OffsetBits];
    else if (issue) at_q <= at_q + beat_addr_t'(burst);
  end

  assign busy_o = left_q != '0 || outstanding_q != '0;
  assign ar_o = ar_q;
  assign ar_valid_o = ar_valid_q;
  assign r_ready_o = 1'b1;
  assign valid_o = r_valid_i && !flush_i;
  assign data_o = r_i.data;

  wire unused = &{1'b0, run_addr_i[OffsetBits-1:0], r_i.id, r_i.resp[0], r_i.last};

endmodule
