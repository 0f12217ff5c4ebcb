// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Exchanges two bits of the numbers of a stream of elements, two a beat: the bit
// that tells the two of a beat apart, and bit log2_i of the beat's own number.
// Beats x and x + 2^log2_i become the pair of their even and the pair of their
// odd elements. It holds 2^log2_i beats; out comes one for each that goes in
// thereafter, in the same cycle. Used by: ntt_stage, ntt_cascade.
module ntt_commutator
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter int unsigned MaxLog2 = 4
) (
  input  logic  clk_i,
  input  logic  rst_ni,
  input  logic  clear_i,   // begin anew
  input  logic  bypass_i,  // pass everything unchanged; constant from clear_i on
  input  log2_t log2_i,    // at most MaxLog2; constant from clear_i on
  input  logic  valid_i,
  input  pair_t pair_i,
  output logic  valid_o,
  output pair_t pair_o
);
  logic [MaxLog2:0] count_q;
  logic             full_q;  // 2^log2_i beats are in it
  logic             crossed;
  fr_t odd, even, upper, lower;

  assign crossed = count_q[log2_i[$clog2(MaxLog2+1)-1:0]];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      count_q <= '0;
      full_q  <= 1'b0;
    end else if (clear_i) begin
      count_q <= '0;
      full_q  <= 1'b0;
    end else if (valid_i) begin
      count_q <= count_q + 1'b1;
      if (32'(count_q) == (32'd1 << log2_i) - 32'd1) full_q <= 1'b1;
    end
  end

  ntt_delay #(
    .MaxLog2(MaxLog2)
  ) u_odd (
    .clk_i,
    .rst_ni,
    .clear_i,
    .log2_i,
    .valid_i(valid_i && !bypass_i),
    .data_i (pair_i.odd),
    .data_o (odd)
  );

  assign upper = crossed ? odd : pair_i.even;
  assign lower = crossed ? pair_i.even : odd;

  ntt_delay #(
    .MaxLog2(MaxLog2)
  ) u_even (
    .clk_i,
    .rst_ni,
    .clear_i,
    .log2_i,
    .valid_i(valid_i && !bypass_i),
    .data_i (upper),
    .data_o (even)
  );

  assign valid_o = valid_i && (full_q || bypass_i);
  assign pair_o  = bypass_i ? pair_i : '{odd: lower, even: even};
endmodule
