// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Full product of two integers of 136 bits, one a cycle: the quotients of a
// scalar by z^2 and z. Structural view; hdl/sim/wide_mul.sv is the fast one.
// Used by: msm_split, msm_quarter.
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
  localparam int unsigned Levels = 2;
  localparam int unsigned Latency = arith_pkg::karatsuba_latency(Width, Levels);

  if (Latency > WideMulLatency) begin : g_bad_latency
    $error("WideMulLatency is less than the multiplier takes");
  end

  logic [2*Width-1:0] product;

  mul_karatsuba #(
    .Width (Width),
    .Levels(Levels)
  ) u_mul (
    .clk_i,
    .a_i,
    .b_i,
    .p_o(product)
  );
  delay_line #(
    .Width(2 * Width),
    .Delay(WideMulLatency - Latency)
  ) u_product (
    .clk_i,
    .data_i(product),
    .data_o(p_o)
  );
  valid_line #(
    .Delay(WideMulLatency)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
