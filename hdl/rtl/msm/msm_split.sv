// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Splits a scalar below r into the numbers whose windows are added up, one a cycle; in G2
// msm_quarter splits them once more.
// With the endomorphism k first becomes at most r / 2 by a sign, then k = k1 + k2 z^2
// with q = k2 = round(k / z^2) (msm_pkg, "The endomorphism"); k1 may be negative,
// both are below GlvPartBound. Without, k1 = k and k2 = 0. No case needs a correction.
// Latency SplitLatency. Used by: msm_prepare.
module msm_split
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic full_i,   // without the endomorphism; constant while scalars are under way
  input  logic valid_i,
  input  fr_t  k_i,      // < r
  output logic valid_o,

  // Magnitudes of the parts, and whether their digits count negatively
  output fr_t              part_o    [Parts],
  output logic [Parts-1:0] negative_o
);
  localparam int unsigned RestBits = GlvPartBits + 2;  // the rest with its sign, and beyond
  typedef logic [RestBits-1:0] rest_t;
  typedef logic [GlvPartBits-1:0] glv_part_t;

  localparam logic [63:0] ZByShifts = (64'd1 << 63) + (64'd1 << 62) + (64'd1 << 60) + (64'd1 << 57) + (64'd1 << 48) + (64'd1 << 16);
  if (GlvZ != ZByShifts) begin : g_bad_z
    $error("the shifts do not make up GlvZ");
  end

  logic [SplitLatency-1:0] valid_q;
  assign valid_o = valid_q[SplitLatency-1];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[SplitLatency-2:0], valid_i};
  end

  // ---- Cycles 1, 2: at most r / 2 ----
  fr_t k_q, small_q;
  logic negate_q, sign_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      k_q <= k_i;
      negate_q <= k_i > HalfModulus && !full_i;
    end
    if (valid_q[0]) begin
      small_q <= negate_q ? FrModulus - k_q : k_q;
      sign_q <= negate_q;
    end
  end

  // ---- q = round(k / z^2) ----
  logic                     product_valid;
  logic [2*WideMulBits-1:0] product;

  wide_mul u_quotient (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q[1]),
    .a_i    (WideMulBits'(small_q >> GlvDropBits)),
    .b_i    (WideMulBits'(GlvReciprocal)),
    .valid_o(product_valid),
    .p_o    (product)
  );

  // ---- k - q z^2, by shifts: z has few ones ----
  localparam int unsigned Behind = WideMulLatency + 5;  // from small_q to the subtraction
  glv_part_t quotient_q[5];
  rest_t pair_q[ZTerms/2], once_q, twice_pair_q[ZTerms/2], twice_q, rest_q;
  fr_t  small_behind;
  logic sign_behind;

  delay_memory #(
    .Width(FrBits + 1),
    .Delay(Behind)
  ) u_small (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q[1]),
    .data_i ({sign_q, small_q}),
    .data_o ({sign_behind, small_behind})
  );

  always_ff @(posedge clk_i) begin
    if (product_valid) begin
      quotient_q[0] <= glv_part_t'((product + ((2 * WideMulBits)'(1) << (GlvShift - 1))) >> GlvShift);
    end
    for (int unsigned i = 1; i < 5; i++) quotient_q[i] <= quotient_q[i-1];
    for (int unsigned i = 0; i < ZTerms / 2; i++) begin
      pair_q[i] <= (rest_t'(quotient_q[0]) << ZShift[2*i]) + (rest_t'(quotient_q[0]) << ZShift[2*i+1]);
      twice_pair_q[i] <= (once_q << ZShift[2*i]) + (once_q << ZShift[2*i+1]);
    end
    once_q <= pair_q[0] + pair_q[1] + pair_q[2];
    twice_q <= twice_pair_q[0] + twice_pair_q[1] + twice_pair_q[2];
  end

  // ---- Last cycles: sign and magnitude ----
  fr_t       whole_q;
  logic      whole_sign_q;
  glv_part_t last_quotient_q;
  wire       rest_negative = rest_q[RestBits-1];

  always_ff @(posedge clk_i) begin
    rest_q <= rest_t'(small_behind) - twice_q;
    whole_q <= small_behind;
    whole_sign_q <= sign_behind;
    last_quotient_q <= quotient_q[4];
    part_o[0] <= full_i ? whole_q : FrBits'(rest_negative ? rest_t'(-rest_q) : rest_q);
    part_o[1] <= full_i ? '0 : FrBits'(last_quotient_q);
    // The image of a point is (x_image, -y): the sign of its digits is the opposite.
    negative_o[0] <= whole_sign_q ^ (rest_negative && !full_i);
    negative_o[1] <= !whole_sign_q;
  end

endmodule
