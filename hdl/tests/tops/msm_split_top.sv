// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: msm_split, and msm_quarter behind it for G2, with their results in one port.
// Driven by hdl/tests/tests/msm_split.rs.
module msm_split_top
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         g2_i,     // then a scalar in every other cycle at most
  input  logic                         full_i,
  input  logic                         valid_i,
  input  fr_t                          k_i,
  output logic                         valid_o,
  // Of each part, by its power of z^2, in G2 of z: magnitude, then the sign on top; the first part lowest
  output logic [2*Parts-1:0][FrBits:0] parts_o
);
  logic halves_valid, quarters_valid, second_q;
  fr_t half[Parts], quarter[Parts];
  logic [Parts-1:0] half_negative, quarter_negative;
  logic [Parts-1:0][FrBits:0] halves, quarters, first_q;

  msm_split u_split (
    .clk_i,
    .rst_ni,
    .full_i,
    .valid_i,
    .k_i,
    .valid_o   (halves_valid),
    .part_o    (half),
    .negative_o(half_negative)
  );
  msm_quarter u_quarter (
    .clk_i,
    .rst_ni,
    .full_i,
    .valid_i   (halves_valid && g2_i),
    .part_i    (half),
    .negative_i(half_negative),
    .valid_o   (quarters_valid),
    .part_o    (quarter),
    .negative_o(quarter_negative)
  );

  for (genvar i = 0; i < Parts; i++) begin : gen_part
    assign halves[i] = {half_negative[i], half[i]};
    assign quarters[i] = {quarter_negative[i], quarter[i]};
  end

  // The second of two results belongs to the odd powers.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) second_q <= 1'b0;
    else if (quarters_valid) second_q <= !second_q;
  end
  always_ff @(posedge clk_i) if (quarters_valid) first_q <= quarters;

  assign valid_o = g2_i ? quarters_valid && second_q : halves_valid;
  assign parts_o = g2_i ? {quarters[1], first_q[1], quarters[0], first_q[0]} : (2 * Parts * (FrBits + 1))'(halves);

endmodule
