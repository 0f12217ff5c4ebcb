// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Takes what the pipelines deliver, which cannot wait, and writes it: row by row,
// or in blocks of rows and columns turned by ntt_transpose. Used by: ntt_engine.
module ntt_sink
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
#(
  parameter axi_id_t     IdValue    = '0,
  parameter int unsigned PlacesLog2 = 9,   // log2 of the beats that it takes ahead of the bus
  parameter int unsigned MaxBurst   = 16   // beats
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic  start_i,  // a pass begins
  input  pass_t pass_i,   // constant from start_i on
  input  addr_t addr_i,   // of the buffer; likewise
  input  logic  flush_i,  // level: drop what is not on the bus yet
  output logic  busy_o,   // rows are to come, or responses
  output logic  error_o,  // until the next start

  input  logic  valid_i,
  input  pair_t pair_i,
  output logic  left_o,   // a beat has left the FIFO

  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);
  wire clear = start_i || flush_i;

  // ---- FIFO and turning ----
  logic full, waiting, turned_ready, turned_valid, written, ready, writing;
  pair_t pair, turned, out;
  fr_image_t [FrPerBeat-1:0] image;

  fifo #(
    .T        (pair_t),
    .DepthLog2(PlacesLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .push_i (valid_i),
    .data_i (pair_i),
    .full_o (full),  // never: ntt_feed counts the places
    .valid_o(waiting),
    .data_o (pair),
    .pop_i  (left_o)
  );
  assign left_o = waiting && (pass_i.first ? turned_ready : ready);

  ntt_transpose u_transpose (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .pass_i,
    .valid_i(waiting && pass_i.first),
    .ready_o(turned_ready),
    .pair_i (pair),
    .valid_o(turned_valid),
    .ready_i(ready),
    .pair_o (turned)
  );

  assign written = pass_i.first ? turned_valid : waiting;
  assign out = pass_i.first ? turned : pair;
  assign image[0] = fr_image_t'(out.even);
  assign image[1] = fr_image_t'(out.odd);

  // ---- Rows, or blocks ----
  logic active;
  row_t turn;
  index_t inner, outer, element;
  log2_t rows, beats;
  logic run_ready;

  assign rows = pass_i.first ? pass_i.rows - pass_i.columns : timed_rows(pass_i.rows, pass_i.columns);
  assign beats = pass_i.first ? row_beats(pass_i.columns) + pass_i.columns : row_beats(pass_i.columns);
  assign element = element_at(outer, pass_i.write_outer, inner, pass_i.write_inner, row_of(turn, rows), pass_i.write_row);

  ntt_walk u_walk (
    .clk_i,
    .rst_ni,
    .start_i,
    .flush_i,
    .step_i  (active && run_ready),
    .rows_i  (rows),
    .inner_i (pass_i.inner),
    .outer_i (pass_i.outer),
    .active_o(active),
    .row_o   (turn),
    .inner_o (inner),
    .outer_o (outer)
  );

  run_writer #(
    .IdValue (IdValue),
    .FifoLog2($clog2(2 * MaxBurst)),  // one burst on the bus while the next is gathered
    .MaxBurst(MaxBurst)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .clear_error_i(start_i),
    .run_valid_i  (active),
    .run_ready_o  (run_ready),
    .run_addr_i   (addr_i + {27'b0, element, 5'b0}),
    .run_beats_i  (32'd1 << beats),
    .flush_i,
    .busy_o       (writing),
    .error_o,
    .valid_i      (written),
    .ready_o      (ready),
    .data_i       (image),
    .aw_o,
    .aw_valid_o,
    .aw_ready_i,
    .w_o,
    .w_valid_o,
    .w_ready_i,
    .b_i,
    .b_valid_i,
    .b_ready_o
  );

  assign busy_o = active || writing;
  wire unused = &{1'b0, full};
endmodule
