// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// From read streams to write streams: operands are gathered, each butterfly is
// issued with its twiddle as soon as both are there and its results have a
// place, results are packed into beats. Called by ntt_engine; ntt_control says
// when and in which layout.
module ntt_datapath
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Control
  input  logic  start_i,       // a transform starts: the twiddles of all its passes
  input  log2_t log2n_i,       // held, as is coset_i
  input  logic  coset_i,
  input  logic  pass_start_i,
  input  pass_t pass_i,
  input  logic  stop_i,        // issue nothing more, drop what waits
  output logic  busy_o,        // something is in a pipeline, or twiddles are to come
  output logic  issued_o,      // a butterfly was issued
  output logic  bad_o,         // one of its operands is not an element

  // Streams
  input  logic  read_valid_i [2],
  output logic  read_ready_o [2],
  input  beat_t read_beat_i  [2],
  output logic  write_valid_o[2],
  input  logic  write_ready_i[2],
  output beat_t write_beat_o [2]
);
  logic operands_valid, twiddle_valid, twiddle_busy, ready, issue, last_of_twiddle;
  fr_image_t a, b;
  fr_t  twiddle;

  // Nothing of a pass or of an ended command is left for the next.
  logic clear;
  assign clear = pass_start_i || stop_i;

  ntt_gather u_gather (
    .clk_i,
    .rst_ni,
    .clear_i     (clear),
    .layout_i    (pass_i.read),
    .single_i    (pass_i.single),
    .run_log2_i  (pass_i.run_log2),
    .beat_valid_i(read_valid_i),
    .beat_ready_o(read_ready_o),
    .beat_i      (read_beat_i),
    .valid_o     (operands_valid),
    .ready_i     (issue),
    .a_o         (a),
    .b_o         (b)
  );

  ntt_twiddle u_twiddle (
    .clk_i,
    .rst_ni,
    .start_i,
    .log2n_i,
    .inverse_i (pass_i.inverse),
    .coset_i,
    .stop_i,
    .busy_o    (twiddle_busy),
    .valid_o   (twiddle_valid),
    .ready_i   (issue && last_of_twiddle),
    .twiddle_o (twiddle)
  );

  // ---- Issue ----
  assign issue = operands_valid && (twiddle_valid || pass_i.single) && ready && !stop_i;

  logic [31:0] served_q;  // butterflies of the current twiddle
  assign last_of_twiddle = (served_q == (32'd1 << pass_i.log2s) - 32'd1);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) served_q <= '0;
    else if (clear) served_q <= '0;
    else if (issue) served_q <= last_of_twiddle ? '0 : served_q + 32'd1;
  end

  // ---- Operand register and check ----
  logic valid_q;
  fr_image_t a_q, b_q;
  fr_t twiddle_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= issue;
  end

  always_ff @(posedge clk_i) begin
    if (issue) begin
      a_q       <= a;
      b_q       <= b;
      twiddle_q <= twiddle;
    end
  end

  assign issued_o = valid_q;
  always_comb begin
    bad_o = 1'b0;
    if (valid_q) bad_o = !fr_is_canonical(a_q) || !fr_is_canonical(b_q);
  end

  // ---- Butterfly ----
  logic result_valid;
  fr_t u, v;

  ntt_butterfly u_butterfly (
    .clk_i,
    .rst_ni,
    .inverse_i(pass_i.inverse),
    .valid_i  (valid_q),
    .a_i      (a_q[FrBits-1:0]),
    .b_i      (b_q[FrBits-1:0]),
    .t_i      (twiddle_q),
    .valid_o  (result_valid),
    .u_o      (u),
    .v_o      (v)
  );

  // Butterflies from issue to result.
  logic [$clog2(ButterflyLatency+2)-1:0] in_flight_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) in_flight_q <= '0;
    else if (issue && !result_valid) in_flight_q <= in_flight_q + 1'b1;
    else if (!issue && result_valid) in_flight_q <= in_flight_q - 1'b1;
  end

  assign busy_o = twiddle_busy || (in_flight_q != '0);

  ntt_scatter u_scatter (
    .clk_i,
    .rst_ni,
    .clear_i     (clear),
    .layout_i    (pass_i.write),
    .single_i    (pass_i.single),
    .run_log2_i  (pass_i.run_log2),
    .ready_o      (ready),
    .issue_i     (issue),
    .valid_i     (result_valid),
    .u_i         (u),
    .v_i         (v),
    .beat_valid_o(write_valid_o),
    .beat_ready_i(write_ready_i),
    .beat_o      (write_beat_o)
  );
endmodule
