// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Pipelined addition of three words modulo 2^Width: a carry-save level in front of
// pipe_add, in the same cycle as its first chunk. sum = a + b + c + 2 carry.
// A difference a - b - c is a + ~b + ~c + 2. Who uses it: mul_karatsuba, the modular
// adders.
module pipe_add3 #(
  parameter int unsigned Width = 64
) (
  input  logic             clk_i,
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  input  logic [Width-1:0] c_i,
  input  logic             carry_i,  // weighs 2
  output logic [Width-1:0] sum_o
);
  logic [Width-1:0] save_sum;
  logic [Width-1:0] save_carry;
  logic             unused_top;
  logic             unused_carry;

  assign save_sum   = a_i ^ b_i ^ c_i;
  assign save_carry = (a_i & b_i) | (a_i & c_i) | (b_i & c_i);
  assign unused_top = save_carry[Width-1];

  // The free lowest place of the shifted carries takes one half of 2 carry, the
  // adder's carry input the other.
  pipe_add #(
    .Width(Width)
  ) u_add (
    .clk_i,
    .a_i    (save_sum),
    .b_i    ({save_carry[Width-2:0], carry_i}),
    .carry_i(carry_i),
    .sum_o,
    .carry_o(unused_carry)
  );
endmodule
