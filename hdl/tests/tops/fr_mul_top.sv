// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: fr_mul alone, which as a hierarchical block cannot be a top itself.
// Driven by hdl/tests/tests/fr_mul.rs.
module fr_mul_top
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  fr_t  a_i,
  input  fr_t  b_i,
  output logic valid_o,
  output fr_t  p_o
);
  fr_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i,
    .a_i,
    .b_i,
    .valid_o,
    .p_o
  );
endmodule
