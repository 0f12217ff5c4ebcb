// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fast view of fr_mul (simulation only): the product in one DPI call on blst, then
// a delay that makes up the latency. Ports, latency and values equal those of
// the structural view, hdl/rtl/field/fr_mul.sv; see hdl/doc/arithmetic.md.
module fr_mul
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  fr_t  a_i,      // < r
  input  fr_t  b_i,      // < r
  output logic valid_o,
  output fr_t  p_o       // a b 2^-256 mod r, FrMulLatency cycles later
);
  import "DPI-C" function void carillon_fr_mul(
    input  bit [FrBits-1:0] a,
    input  bit [FrBits-1:0] b,
    output bit [FrBits-1:0] p
  );

  logic valid_q;
  fr_t  product_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      automatic bit [FrBits-1:0] product;
      carillon_fr_mul(a_i, b_i, product);
      product_q <= product;
    end
  end

  delay_ring #(
    .Width(FrBits),
    .Delay(FrMulLatency - 1)
  ) u_delay (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .data_i (product_q),
    .valid_o,
    .data_o (p_o)
  );
endmodule
