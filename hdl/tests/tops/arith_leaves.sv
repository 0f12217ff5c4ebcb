// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The leaves of the arithmetic blocks side by side, for a test of their two views:
// add3 with each choice of negated operands that is in use, and mul_dsp at the widths of the
// Fp multiplier (two rows of cells) and of the Fr multiplier (three).
module arith_leaves #(
  localparam int unsigned AddWidth = 99,  // not a multiple of a carry cell
  localparam int unsigned FpLeaf   = 50,
  localparam int unsigned FrLeaf   = 66
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic [AddWidth-1:0] a_i,
  input  logic [AddWidth-1:0] b_i,
  input  logic [AddWidth-1:0] c_i,
  input  logic [         1:0] carry_i,
  output logic [AddWidth-1:0] sum_o,             // a + b + c
  output logic [         1:0] carry_o,
  output logic [AddWidth-1:0] minus_b_o,         // a + ~b + c
  output logic [         1:0] minus_b_carry_o,
  output logic [AddWidth-1:0] minus_bc_o,        // a + ~b + ~c
  output logic [         1:0] minus_bc_carry_o,
  output logic [2*FpLeaf-1:0] fp_o,              // products of the lowest bits of a and b
  output logic [2*FrLeaf-1:0] fr_o
);
  logic unused_reset;
  assign unused_reset = rst_ni;

  add3 #(
    .Width(AddWidth)
  ) u_sum (
    .a_i,
    .b_i,
    .c_i,
    .carry_i,
    .sum_o,
    .carry_o
  );
  add3 #(
    .Width (AddWidth),
    .Invert(3'b010)
  ) u_minus_b (
    .a_i,
    .b_i,
    .c_i,
    .carry_i,
    .sum_o  (minus_b_o),
    .carry_o(minus_b_carry_o)
  );
  add3 #(
    .Width (AddWidth),
    .Invert(3'b110)
  ) u_minus_bc (
    .a_i,
    .b_i,
    .c_i,
    .carry_i,
    .sum_o  (minus_bc_o),
    .carry_o(minus_bc_carry_o)
  );
  mul_dsp #(
    .Width(FpLeaf)
  ) u_fp (
    .clk_i,
    .a_i(a_i[FpLeaf-1:0]),
    .b_i(b_i[FpLeaf-1:0]),
    .p_o(fp_o)
  );
  mul_dsp #(
    .Width(FrLeaf)
  ) u_fr (
    .clk_i,
    .a_i(a_i[FrLeaf-1:0]),
    .b_i(b_i[FrLeaf-1:0]),
    .p_o(fr_o)
  );
endmodule
