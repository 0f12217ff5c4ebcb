// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Twelve times a value of the base field, one per cycle, latency FpTimes12Latency:
// 12 is the 3b of BLS12-381's G1 in the complete addition formula. 12 a = 8 a + 4 a
// needs no multiplier; its quotient by the modulus is at most 11 and is estimated from
// the top bits of a, to which it is off by at most one. Free-running: the caller keeps
// the valid bit. Who uses it: point_add.
module fp_times12
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  fp_t  a_i,    // < p
  output fp_t  p_o     // 12 a mod p
);
  localparam int unsigned Factor = 12;
  localparam int unsigned FactorBits = $clog2(Factor);
  // Sign, then the largest magnitude that occurs, below 12 p.
  localparam int unsigned Width = FpBits + FactorBits + 1;
  // Steps of the estimate: they must be shorter than p / 12.
  localparam int unsigned TopBits = 10;
  localparam int unsigned LowBits = FpBits - TopBits;

  typedef logic [Width-1:0] wide_t;
  typedef logic [TopBits-1:0] top_t;

  // floor(j p / 12), top bits: above them the quotient is at least j.
  function automatic top_t threshold(int unsigned j);
    return top_t'(((wide_t'(FpModulus) * wide_t'(j)) / wide_t'(Factor)) >> LowBits);
  endfunction

  function automatic wide_t minus_multiple(int unsigned j);
    return -(wide_t'(FpModulus) * wide_t'(j));
  endfunction

  // Cycle 1: the estimate, thermometer-coded and counted. quotient - 1 <= estimate <= quotient.
  top_t                  top;
  logic [FactorBits-1:0] estimate_d;
  logic [FactorBits-1:0] estimate_q;
  fp_t                   a_q;
  assign top = a_i[FpBits-1:LowBits];
  always_comb begin
    estimate_d = '0;
    for (int unsigned j = 1; j < Factor; j++) begin
      if (top > threshold(j)) estimate_d = FactorBits'(j);
    end
  end
  always_ff @(posedge clk_i) begin
    estimate_q <= estimate_d;
    a_q        <= a_i;
  end

  // Cycle 2: minus estimate and minus estimate + 1 times the modulus, from a small table.
  wide_t minus_q;
  wide_t minus_next_q;
  fp_t   a_again_q;
  always_ff @(posedge clk_i) begin
    minus_q      <= '0;
    minus_next_q <= '0;
    for (int unsigned j = 0; j < Factor; j++) begin
      if (estimate_q == FactorBits'(j)) begin
        minus_q      <= minus_multiple(j);
        minus_next_q <= minus_multiple(j + 1);
      end
    end
    a_again_q <= a_q;
  end

  // Both remainders side by side, then the one that is in range.
  wide_t                    remainder;
  wide_t                    remainder_next;
  logic  [Width-FpBits-1:0] unused_top;
  logic  [Width-FpBits-2:0] unused_next_top;
  pipe_add3 #(
    .Width(Width)
  ) u_remainder (
    .clk_i,
    .a_i    (wide_t'(a_again_q) << 3),
    .b_i    (wide_t'(a_again_q) << 2),
    .c_i    (minus_q),
    .sum_o  (remainder)
  );
  pipe_add3 #(
    .Width(Width)
  ) u_remainder_next (
    .clk_i,
    .a_i    (wide_t'(a_again_q) << 3),
    .b_i    (wide_t'(a_again_q) << 2),
    .c_i    (minus_next_q),
    .sum_o  (remainder_next)
  );
  always_ff @(posedge clk_i) begin
    p_o <= remainder_next[Width-1] ? remainder[FpBits-1:0] : remainder_next[FpBits-1:0];
  end
  assign unused_top = remainder[Width-1:FpBits];
  assign unused_next_top = remainder_next[Width-2:FpBits];
endmodule
