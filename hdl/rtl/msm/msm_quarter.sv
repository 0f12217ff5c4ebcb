// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Splits the halves of a scalar once more, for G2: h = a + b z with b = round(h / z)
// (msm_pkg, "The endomorphism"); a may be negative, both are at most PsiPartBound. What
// belongs to the point, the a of both halves, leaves in one cycle, what belongs to z times
// the point, the b, in the next one. A whole scalar passes as it is. Latency QuarterLatency.
// Used by: msm_prepare.
module msm_quarter
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             full_i,             // constant while scalars are under way
  input  logic             valid_i,            // never in two cycles in a row
  input  fr_t              part_i    [Parts],
  input  logic [Parts-1:0] negative_i,
  output logic             valid_o,            // in two cycles
  output fr_t              part_o    [Parts],
  output logic [Parts-1:0] negative_o
);
  localparam int unsigned RestBits = PsiPartBits + 2;  // the rest with its sign, and beyond
  localparam int unsigned Behind = WideMulLatency + 3;  // from a half to the subtraction
  typedef logic [RestBits-1:0] rest_t;
  typedef logic [PsiPartBits-1:0] psi_part_t;
  typedef struct packed {
    logic negative;
    fr_t  half;
  } half_t;

  logic [QuarterLatency:1] valid_q;
  assign valid_o = valid_q[QuarterLatency] || valid_q[QuarterLatency-1];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[QuarterLatency-1:1], valid_i};
  end

  // ---- One half after the other ----
  half_t half, upper_q, behind;
  always_ff @(posedge clk_i) begin
    if (valid_i) upper_q <= '{negative: negative_i[1], half: part_i[1]};
  end
  assign half = valid_i ? '{negative: negative_i[0], half: part_i[0]} : upper_q;
  wire                      half_valid = valid_i || valid_q[1];

  logic                     product_valid;
  logic [2*WideMulBits-1:0] product;

  wide_mul u_quotient (
    .clk_i,
    .rst_ni,
    .valid_i(half_valid),
    .a_i    (WideMulBits'(half.half[GlvPartBits-1:0] >> PsiDropBits)),
    .b_i    (WideMulBits'(PsiReciprocal)),
    .valid_o(product_valid),
    .p_o    (product)
  );

  delay_memory #(
    .Width($bits(half_t)),
    .Delay(Behind)
  ) u_half (
    .clk_i,
    .rst_ni,
    .valid_i(half_valid),
    .data_i (half),
    .data_o (behind)
  );

  // ---- h - b z, by shifts: z has few ones ----
  psi_part_t quotient_q[4];
  rest_t pair_q[ZTerms/2], multiple_q, rest_q;
  half_t whole_q;
  wire   rest_negative = rest_q[RestBits-1];

  always_ff @(posedge clk_i) begin
    if (product_valid) begin
      quotient_q[0] <= psi_part_t'((product + ((2 * WideMulBits)'(1) << (PsiShift - 1))) >> PsiShift);
    end
    for (int unsigned i = 1; i < 4; i++) quotient_q[i] <= quotient_q[i-1];
    for (int unsigned i = 0; i < ZTerms / 2; i++) begin
      pair_q[i] <= (rest_t'(quotient_q[0]) << ZShift[2*i]) + (rest_t'(quotient_q[0]) << ZShift[2*i+1]);
    end
    multiple_q <= pair_q[0] + pair_q[1] + pair_q[2];
    rest_q <= rest_t'(behind.half) - multiple_q;
    whole_q <= behind;
  end

  // ---- Sign and magnitude; the lower half waits for the upper one ----
  typedef struct packed {
    logic      a_negative;
    fr_t       a;
    logic      b_negative;
    psi_part_t b;
  } split_t;
  split_t split_d, split_q;
  psi_part_t lower_b_q;
  logic      lower_b_negative_q;
  always_comb begin
    split_d.a = full_i ? whole_q.half : FrBits'(rest_negative ? rest_t'(-rest_q) : rest_q);
    split_d.a_negative = whole_q.negative ^ (rest_negative && !full_i);
    split_d.b = full_i ? '0 : quotient_q[3];
    split_d.b_negative = whole_q.negative;
  end

  always_ff @(posedge clk_i) begin
    split_q <= split_d;
    lower_b_q <= split_q.b;
    lower_b_negative_q <= split_q.b_negative;
    if (valid_q[QuarterLatency-2]) begin
      part_o[0] <= split_q.a;
      part_o[1] <= split_d.a;
      negative_o <= {split_d.a_negative, split_q.a_negative};
    end else begin
      part_o[0] <= FrBits'(lower_b_q);
      part_o[1] <= FrBits'(split_q.b);
      negative_o <= {split_q.b_negative, lower_b_negative_q};
    end
  end

endmodule
