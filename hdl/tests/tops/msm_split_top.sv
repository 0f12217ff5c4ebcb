// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: msm_split with its result in one port. Driven by hdl/tests/tests/msm_split.rs.
module msm_split_top
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       full_i,
  input  logic                       valid_i,
  input  fr_t                        k_i,
  output logic                       valid_o,
  // Of each part: magnitude, then the sign on top; the first part lowest
  output logic [Parts-1:0][FrBits:0] parts_o
);
  fr_t              part     [Parts];
  logic [Parts-1:0] negative;

  msm_split u_split (
    .clk_i,
    .rst_ni,
    .full_i,
    .valid_i,
    .k_i,
    .valid_o,
    .part_o    (part),
    .negative_o(negative)
  );

  for (genvar i = 0; i < Parts; i++) begin : gen_part
    assign parts_o[i] = {negative[i], part[i]};
  end

endmodule
