// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// From three read streams to one write stream: splits beats into elements,
// checks them, sends them through quotient_pipe one per cycle and packs the
// results. Called by quotient_engine, which says how many and with which z.
module quotient_datapath
  import carillon_pkg::*;
  import fr_arith_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Control
  input  logic        start_i,
  input  logic        product_i,  // there is no c; held
  input  logic [31:0] count_i,    // elements; sampled with start_i
  input  fr_t         z_i,        // held until the last result was taken
  input  logic        stop_i,     // issue nothing more, drop what waits
  output logic        busy_o,     // something is in the pipeline
  output logic        issued_o,   // an element was issued
  output logic        bad_o,      // one of its operands is not an element

  // Streams a, b, c and the result
  input  logic  read_valid_i [3],
  output logic  read_ready_o [3],
  input  beat_t read_beat_i  [3],
  output logic  write_valid_o,
  input  logic  write_ready_i,
  output beat_t write_beat_o
);
  // Operand register, two products and the difference between them.
  localparam int unsigned Latency = 2 * FrMulLatency + 2;
  // Beats on the way at one element per cycle.
  localparam int unsigned FifoLog2 = $clog2(Latency / FrPerBeat + 2);
  typedef logic [FifoLog2:0] count_t;

  // ---- Issue: the two lanes of a beat in turn ----
  logic all_valid, has_space, issue, lane_q;
  logic   [31:0] left_q;
  logic          padding;  // the last beat's second lane when the count is odd
  count_t        reserved_q;  // beats promised a place in the output FIFO

  assign all_valid = read_valid_i[0] && read_valid_i[1] && (read_valid_i[2] || product_i);
  assign has_space      = lane_q || !reserved_q[FifoLog2];
  assign issue     = all_valid && has_space && !stop_i;
  assign padding   = (left_q == '0);

  always_comb begin
    for (int unsigned i = 0; i < 3; i++) read_ready_o[i] = issue && lane_q;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      lane_q <= 1'b0;
      left_q <= '0;
    end else if (start_i || stop_i) begin
      lane_q <= 1'b0;
      left_q <= count_i;
    end else if (issue) begin
      lane_q <= !lane_q;
      if (!padding) left_q <= left_q - 32'd1;
    end
  end

  // ---- Operand register and check; padding is computed as (0 0 - 0) z ----
  logic valid_q, padding_q;
  fr_image_t operand_q[3];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q   <= 1'b0;
      padding_q <= 1'b0;
    end else begin
      valid_q   <= issue;
      padding_q <= padding;
    end
  end

  for (genvar i = 0; i < 3; i++) begin : gen_operand
    logic [FrPerBeat-1:0][FrImageBits-1:0] elements;
    assign elements = read_beat_i[i];
    always_ff @(posedge clk_i) begin
      if (issue) operand_q[i] <= padding || (i == 2 && product_i) ? '0 : elements[lane_q];
    end
  end

  assign issued_o = valid_q && !padding_q;
  always_comb begin
    bad_o = 1'b0;
    if (valid_q) begin
      for (int unsigned i = 0; i < 3; i++) bad_o |= !fr_is_canonical(operand_q[i]);
    end
  end

  // ---- Arithmetic ----
  logic result_valid;
  fr_t  result;

  quotient_pipe u_pipe (
    .clk_i,
    .rst_ni,
    .z_i,
    .valid_i(valid_q),
    .a_i    (operand_q[0][FrBits-1:0]),
    .b_i    (operand_q[1][FrBits-1:0]),
    .c_i    (operand_q[2][FrBits-1:0]),
    .valid_o(result_valid),
    .h_o    (result)
  );

  logic [$clog2(Latency+1)-1:0] in_flight_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) in_flight_q <= '0;
    else if (issue && !result_valid) in_flight_q <= in_flight_q + 1'b1;
    else if (!issue && result_valid) in_flight_q <= in_flight_q - 1'b1;
  end

  assign busy_o = (in_flight_q != '0);

  // ---- Results to beats ----
  logic result_lane_q, pop, unused_full;  // never full: places are reserved
  fr_t first_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) result_lane_q <= 1'b0;
    else if (start_i || stop_i) result_lane_q <= 1'b0;
    else if (result_valid) result_lane_q <= !result_lane_q;
  end

  always_ff @(posedge clk_i) begin
    if (result_valid && !result_lane_q) first_q <= result;
  end

  fifo #(
    .T        (beat_t),
    .DepthLog2(FifoLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(stop_i),
    .push_i (result_valid && result_lane_q),
    .data_i ({FrImageBits'(result), FrImageBits'(first_q)}),
    .full_o (unused_full),
    .valid_o(write_valid_o),
    .data_o (write_beat_o),
    .pop_i  (pop)
  );
  assign pop = write_valid_o && write_ready_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) reserved_q <= '0;
    else if (start_i || stop_i) reserved_q <= '0;
    else reserved_q <= reserved_q + count_t'(issue && !lane_q) - count_t'(pop);
  end
endmodule
