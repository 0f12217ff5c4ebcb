// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fast view of wide_mul (simulation only): the product at once, then a delay that
// makes up the latency. Ports, latency and values equal those of the structural
// view, hdl/rtl/field/wide_mul.sv; see hdl/doc/arithmetic.md.
module wide_mul
  import carillon_pkg::*;
#(
  localparam int unsigned Width = WideMulBits
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               valid_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic               valid_o,
  output logic [2*Width-1:0] p_o       // a b, WideMulLatency cycles later
);
  logic               valid_q;
  logic [2*Width-1:0] product_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) product_q <= (2 * Width)'(a_i) * (2 * Width)'(b_i);
  end

  delay_ring #(
    .Width(2 * Width),
    .Delay(WideMulLatency - 1)
  ) u_delay (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .data_i (product_q),
    .valid_o,
    .data_o (p_o)
  );
endmodule
