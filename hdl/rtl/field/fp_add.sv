// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Addition in the base field, one per cycle, latency FpAddLatency: a + b and
// a + b - p side by side, then the one that is in range. Free-running: the
// caller keeps the valid bit. Who uses it: point_add, fp2_join, msm_twist.
module fp_add
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  fp_t  a_i,    // < p
  input  fp_t  b_i,    // < p
  output fp_t  s_o     // a + b mod p
);
  // One bit more than the modulus; a negative value shows in the top bit.
  localparam int unsigned Width = FpBits + 1;
  localparam logic [Width-1:0] MinusModulus = -Width'(FpModulus);

  logic [Width-1:0] sum;
  logic [Width-1:0] less;
  logic             unused_carry;
  logic             unused_sum_top;

  pipe_add #(
    .Width(Width)
  ) u_sum (
    .clk_i,
    .a_i    ({1'b0, a_i}),
    .b_i    ({1'b0, b_i}),
    .carry_i(1'b0),
    .sum_o  (sum),
    .carry_o(unused_carry)
  );
  pipe_add3 #(
    .Width(Width)
  ) u_less (
    .clk_i,
    .a_i    ({1'b0, a_i}),
    .b_i    ({1'b0, b_i}),
    .c_i    (MinusModulus),
    .sum_o  (less)
  );

  // a + b - p lies in -p .. p - 1.
  always_ff @(posedge clk_i) s_o <= less[Width-1] ? sum[FpBits-1:0] : less[FpBits-1:0];
  assign unused_sum_top = sum[Width-1];
endmodule
