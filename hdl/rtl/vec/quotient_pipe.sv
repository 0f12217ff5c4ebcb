// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// (a b - c) z over Fr in Montgomery form, one element per cycle, free running,
// Latency cycles. Called by quotient_datapath.
module quotient_pipe
  import carillon_pkg::*;
  import fr_arith_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  fr_t  z_i,      // constant while elements are under way
  input  logic valid_i,
  input  fr_t  a_i,
  input  fr_t  b_i,
  input  fr_t  c_i,
  output logic valid_o,
  output fr_t  h_o
);
  logic product_valid, difference_valid_q;
  fr_t product, subtrahend, difference_q;

  fr_mul u_product (
    .clk_i,
    .rst_ni,
    .valid_i,
    .a_i,
    .b_i,
    .valid_o(product_valid),
    .p_o    (product)
  );

  delay_memory #(
    .Width(FrBits),
    .Delay(FrMulLatency)
  ) u_subtrahend (
    .clk_i,
    .rst_ni,
    .valid_i,
    .data_i(c_i),
    .data_o(subtrahend)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) difference_valid_q <= 1'b0;
    else difference_valid_q <= product_valid;
  end

  always_ff @(posedge clk_i) begin
    if (product_valid) difference_q <= fr_sub(product, subtrahend);
  end

  fr_mul u_quotient (
    .clk_i,
    .rst_ni,
    .valid_i(difference_valid_q),
    .a_i    (difference_q),
    .b_i    (z_i),
    .valid_o,
    .p_o    (h_o)
  );
endmodule
