// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: fp_mul alone, which as a hierarchical block cannot be a top itself.
// Driven by hdl/tests/tests/fp_mul.rs.
module fp_mul_top
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  fp_t  a_i,
  input  fp_t  b_i,
  output logic valid_o,
  output fp_t  p_o
);
  fp_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i,
    .a_i,
    .b_i,
    .valid_o,
    .p_o
  );
endmodule
