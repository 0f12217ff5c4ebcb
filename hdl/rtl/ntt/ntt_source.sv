// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Reads the tiles of a pass, their rows in bit-reversed order, each row a run of
// neighbouring beats. Requests what its FIFO has a place for. Used by: ntt_engine.
module ntt_source
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter axi_id_t     IdValue  = '0,
  parameter int unsigned FifoLog2 = 7    // beats in flight: covers the memory's latency
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic  start_i,
  input  pass_t pass_i,   // constant from start_i on
  input  addr_t addr_i,   // of the buffer; likewise
  input  logic  flush_i,  // level: drop everything
  output logic  busy_o,   // requests are to come, or beats
  output logic  error_o,  // until the next start

  output logic  valid_o,
  input  logic  ready_i,
  output beat_t beat_o,

  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);
  localparam int unsigned MaxRun = 1 << (ColumnsLog2 - 1);
  typedef logic [FifoLog2:0] count_t;

  // ---- Rows ----
  logic active;
  row_t turn, reversed;
  index_t inner, outer, element;
  count_t free_q, beats;  // places promised to nobody; beats of a row
  logic run_ready, reading, full;
  log2_t rows;
  wire   request = active && free_q >= beats && !flush_i;
  wire   issue = request && run_ready;

  assign rows  = timed_rows(pass_i.rows, pass_i.columns);
  assign beats = count_t'(1) << row_beats(pass_i.columns);

  ntt_walk u_walk (
    .clk_i,
    .rst_ni,
    .start_i,
    .flush_i,
    .step_i  (issue),
    .rows_i  (rows),
    .inner_i (pass_i.inner),
    .outer_i (pass_i.outer),
    .active_o(active),
    .row_o   (turn),
    .inner_o (inner),
    .outer_o (outer)
  );

  always_comb begin
    for (int i = 0; i < int'(NttStages); i++) reversed[i] = turn[int'(NttStages)-1-i];
    reversed = reversed >> (log2_t'(NttStages) - rows);
    element  = element_at(outer, pass_i.read_outer, inner, pass_i.read_inner, reversed, pass_i.read_row);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) free_q <= count_t'(1 << FifoLog2);
    else if (start_i) free_q <= count_t'(1 << FifoLog2);
    else free_q <= free_q + count_t'(valid_o && ready_i) - (issue ? beats : '0);
  end

  logic  arrived;
  beat_t beat;

  run_reader #(
    .IdValue(IdValue),
    .MaxRun (MaxRun)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .clear_error_i(start_i),
    .run_valid_i  (request),
    .run_ready_o  (run_ready),
    .run_addr_i   (addr_i + {27'b0, element, 5'b0}),
    .run_beats_i  (($clog2(MaxRun) + 1)'(beats)),
    .flush_i,
    .busy_o       (reading),
    .error_o,
    .valid_o      (arrived),
    .data_o       (beat),
    .ar_o,
    .ar_valid_o,
    .ar_ready_i,
    .r_i,
    .r_valid_i,
    .r_ready_o
  );

  fifo #(
    .T        (beat_t),
    .DepthLog2(FifoLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(start_i || flush_i),
    .push_i (arrived),
    .data_i (beat),
    .full_o (full),  // never: every requested beat has its place
    .valid_o,
    .data_o (beat_o),
    .pop_i  (valid_o && ready_i)
  );

  assign busy_o = active || reading;
  wire unused = &{1'b0, pass_i, full};
endmodule
