// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Subtraction in the base field, one per cycle, latency FpAddLatency: a - b and
// a - b + p side by side, then the one that is in range. Free-running: the
// caller keeps the valid bit. Who uses it: point_add, fp2_join, msm_twist.
module fp_sub
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  fp_t  a_i,    // < p
  input  fp_t  b_i,    // < p
  output fp_t  d_o     // a - b mod p
);
  // One bit more than the modulus; a negative value shows in the top bit.
  localparam int unsigned Width = FpBits + 1;

  logic [Width-1:0] difference;
  logic [Width-1:0] more;
  logic             unused_carry;
  logic             unused_more_top;

  pipe_add #(
    .Width(Width)
  ) u_difference (
    .clk_i,
    .a_i    ({1'b0, a_i}),
    .b_i    (~{1'b0, b_i}),
    .carry_i(1'b1),
    .sum_o  (difference),
    .carry_o(unused_carry)
  );
  pipe_add3 #(
    .Width (Width),
    .Invert(3'b010),
    .Carry (2'b01)
  ) u_more (
    .clk_i,
    .a_i    ({1'b0, a_i}),
    .b_i    ({1'b0, b_i}),
    .c_i    (Width'(FpModulus)),
    .sum_o  (more)
  );

  always_ff @(posedge clk_i) d_o <= difference[Width-1] ? more[FpBits-1:0] : difference[FpBits-1:0];
  assign unused_more_top = more[Width-1];
endmodule
