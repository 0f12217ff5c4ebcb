// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Full product of two integers, one per cycle, plain on both sides; latency
// karatsuba_latency(Width, Levels). Who uses it: blocks that need a product of their
// own, which need not know of skewed words.
module mul_karatsuba #(
  parameter int unsigned Width  = 96,
  parameter int unsigned Levels = 1
) (
  input  logic               clk_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic [2*Width-1:0] p_o
);
  logic [2*Width-1:0] product;

  skew_mul #(
    .Width (Width),
    .Levels(Levels)
  ) u_mul (
    .clk_i,
    .a_i,
    .b_i,
    .p_o(product)
  );
  deskew #(
    .Width(2 * Width)
  ) u_deskew (
    .clk_i,
    .data_i(product),
    .data_o(p_o)
  );
endmodule
