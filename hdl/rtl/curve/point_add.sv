// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Complete addition on BLS12-381's curves, in G1 one per cycle, in G2 one in three: Renes,
// Costello and Batina, Complete addition formulas for prime order elliptic curves (ePrint
// 2015/1060), Algorithm 7 (a = 0, 3b = 12 in G1 and 12 (1 + u) in G2), in homogeneous
// projective coordinates. No input is exceptional: doubling, inverses and infinity
// (0, 1, 0) take the same path. With b.z = FpOne it is the mixed addition.
//
// In G2 the twelve multipliers make the three products each that Karatsuba's method wants
// of a product in Fp2: of the words c0, of the words c1, and of their sums. All that stands
// between products is linear and done with the three as with one; fp2_join puts them
// together where the next products, or the sum, want it.
// Structural view; hdl/sim/point_add.sv is the fast one. Who uses it: msm_datapath.
// Diagram: hdl/doc/arithmetic.md.
module point_add
  import carillon_pkg::*;
  import arith_pkg::FpAddLatency;
  import arith_pkg::FpTimes12Latency;
  import arith_pkg::Fp2JoinLatency;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic g2_i,     // constant while additions are under way
  input  logic valid_i,  // in G2 for both words, in one cycle and the next; then a cycle without
  input  xyz_t a_i,      // coordinates < p
  input  xyz_t b_i,      // coordinates < p
  output logic valid_o,
  output xyz_t s_o       // a + b, G1AddLatency or G2AddLatency cycles later, as many words
);
  // Between the two layers of products the longest way is 12 (x1 z2 + x2 z1).
  localparam int unsigned MiddleLatency = 2 * FpAddLatency + FpTimes12Latency;
  localparam int unsigned OwnLatency = FpAddLatency + FpMulLatency + MiddleLatency + FpMulLatency + FpAddLatency;

  if (G1AddLatency != OwnLatency) begin : g_check
    $error("point_add takes %0d cycles, G1AddLatency is %0d", OwnLatency, G1AddLatency);
  end

  // ---- G2: a third word, the sum of two, and where the first of each three stands ----
  localparam int unsigned FrontLatency = FpAddLatency;
  localparam int unsigned ProductsAt = FrontLatency + FpAddLatency + FpMulLatency;
  localparam int unsigned MixedAt = ProductsAt + 2 * FpAddLatency;
  localparam int unsigned SumAt = FrontLatency + OwnLatency + Fp2JoinLatency;

  if (G2AddLatency != SumAt + Fp2JoinLatency) begin : g_g2_check
    $error("point_add takes %0d cycles in G2, G2AddLatency is %0d", SumAt + Fp2JoinLatency, G2AddLatency);
  end

  logic           second_q;
  logic [SumAt:0] first;  // first[n]: the first word came n cycles ago
  assign first[0] = valid_i && g2_i && !second_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      second_q <= 1'b0;
      first[SumAt:1] <= '0;
    end else begin
      second_q <= first[0];
      first[SumAt:1] <= first[SumAt-1:0];
    end
  end

  xyz_t words_a, words_b, words_a_q, words_b_q, a_1, b_1, a_late, b_late, a_in, b_in;
  fp_t [5:0] first_word, second_word, words;
  assign first_word = {a_1, b_1};
  assign second_word = {a_i, b_i};
  assign {words_a, words_b} = words;
  for (genvar i = 0; i < 6; i++) begin : g_words
    fp_add u_words (
      .clk_i,
      .a_i(first_word[i]),
      .b_i(second_word[i]),
      .s_o(words[i])
    );
  end
  delay_line #(
    .Width(2 * $bits(xyz_t)),
    .Delay(FrontLatency)
  ) u_front (
    .clk_i,
    .data_i({a_i, b_i}),
    .data_o({a_late, b_late})
  );
  always_ff @(posedge clk_i) begin
    {a_1, b_1} <= {a_i, b_i};
    {words_a_q, words_b_q} <= {words_a, words_b};
  end
  always_comb begin
    {a_in, b_in} = {a_i, b_i};
    if (g2_i) {a_in, b_in} = first[FrontLatency+2] ? {words_a_q, words_b_q} : {a_late, b_late};
  end

  // ---- Sums of coordinates, while the coordinates wait ----
  xyz_t a_q, b_q;
  fp_t a_xy, a_yz, a_xz;
  fp_t b_xy, b_yz, b_xz;

  delay_line #(
    .Width(2 * $bits(xyz_t)),
    .Delay(FpAddLatency)
  ) u_inputs (
    .clk_i,
    .data_i({a_in, b_in}),
    .data_o({a_q, b_q})
  );
  fp_add u_a_xy (
    .clk_i,
    .a_i(a_in.x),
    .b_i(a_in.y),
    .s_o(a_xy)
  );
  fp_add u_a_yz (
    .clk_i,
    .a_i(a_in.y),
    .b_i(a_in.z),
    .s_o(a_yz)
  );
  fp_add u_a_xz (
    .clk_i,
    .a_i(a_in.x),
    .b_i(a_in.z),
    .s_o(a_xz)
  );
  fp_add u_b_xy (
    .clk_i,
    .a_i(b_in.x),
    .b_i(b_in.y),
    .s_o(b_xy)
  );
  fp_add u_b_yz (
    .clk_i,
    .a_i(b_in.y),
    .b_i(b_in.z),
    .s_o(b_yz)
  );
  fp_add u_b_xz (
    .clk_i,
    .a_i(b_in.x),
    .b_i(b_in.z),
    .s_o(b_xz)
  );

  // ---- First layer of products ----
  // 0..2: x1 x2, y1 y2, z1 z2; 3..5: products of the sums xy, yz, xz.
  fp_t first_a[6], first_b[6], first_p[6];
  assign first_a = '{a_q.x, a_q.y, a_q.z, a_xy, a_yz, a_xz};
  assign first_b = '{b_q.x, b_q.y, b_q.z, b_xy, b_yz, b_xz};

  // The valid bit travels alone (below); the multipliers' own ones are not needed.
  logic [5:0] unused_first_valid;
  for (genvar i = 0; i < 6; i++) begin : g_first
    fp_mul u_mul (
      .clk_i,
      .rst_ni,
      .valid_i(1'b1),
      .a_i    (first_a[i]),
      .b_i    (first_b[i]),
      .valid_o(unused_first_valid[i]),
      .p_o    (first_p[i])
    );
  end

  fp_t xx, yy, zz;
  assign xx = first_p[0];
  assign yy = first_p[1];
  assign zz = first_p[2];

  // ---- Mixed terms: xy = x1 y2 + x2 y1 = (x1 + y1)(x2 + y2) - (xx + yy), and likewise yz, xz ----
  fp_t xx_yy, yy_zz, xx_zz;
  fp_t product_xy, product_yz, product_xz;
  fp_t xy, yz, xz, xz_12;

  fp_add u_xx_yy (
    .clk_i,
    .a_i(xx),
    .b_i(yy),
    .s_o(xx_yy)
  );
  fp_add u_yy_zz (
    .clk_i,
    .a_i(yy),
    .b_i(zz),
    .s_o(yy_zz)
  );
  fp_add u_xx_zz (
    .clk_i,
    .a_i(xx),
    .b_i(zz),
    .s_o(xx_zz)
  );
  delay_line #(
    .Width(3 * FpBits),
    .Delay(FpAddLatency)
  ) u_products (
    .clk_i,
    .data_i({first_p[3], first_p[4], first_p[5]}),
    .data_o({product_xy, product_yz, product_xz})
  );
  fp_sub u_xy (
    .clk_i,
    .a_i(product_xy),
    .b_i(xx_yy),
    .d_o(xy)
  );
  fp_sub u_yz (
    .clk_i,
    .a_i(product_yz),
    .b_i(yy_zz),
    .d_o(yz)
  );
  fp_sub u_xz (
    .clk_i,
    .a_i(product_xz),
    .b_i(xx_zz),
    .d_o(xz)
  );
  fp_t xy_joined, yz_joined, xz_joined, xy_whole, yz_whole, xz_whole;
  fp2_join u_xy_join (
    .clk_i,
    .rst_ni,
    .first_i(first[MixedAt]),
    .p_i    (xy),
    .c_o    (xy_joined)
  );
  fp2_join u_yz_join (
    .clk_i,
    .rst_ni,
    .first_i(first[MixedAt]),
    .p_i    (yz),
    .c_o    (yz_joined)
  );
  fp2_join #(
    .ByXi(1'b1)
  ) u_xz_join (
    .clk_i,
    .rst_ni,
    .first_i(first[MixedAt]),
    .p_i    (xz),
    .c_o    (xz_joined)
  );
  assign xy_whole = g2_i ? xy_joined : xy;
  assign yz_whole = g2_i ? yz_joined : yz;
  assign xz_whole = g2_i ? xz_joined : xz;
  fp_times12 u_xz_12 (
    .clk_i,
    .a_i(xz_whole),
    .p_o(xz_12)
  );

  // ---- 3 xx, yy + 12 zz, yy - 12 zz ----
  fp_t xx_2, xx_q, xx_3;
  fp_t xx_3_joined, xx_3_whole, yy_joined, yy_whole, zz_joined, zz_whole;
  fp_t zz_12, yy_q, sum, difference;

  fp_add u_xx_2 (
    .clk_i,
    .a_i(xx),
    .b_i(xx),
    .s_o(xx_2)
  );
  delay_line #(
    .Width(FpBits),
    .Delay(FpAddLatency)
  ) u_xx_delay (
    .clk_i,
    .data_i(xx),
    .data_o(xx_q)
  );
  fp_add u_xx_3 (
    .clk_i,
    .a_i(xx_2),
    .b_i(xx_q),
    .s_o(xx_3)
  );
  fp2_join u_xx_3_join (
    .clk_i,
    .rst_ni,
    .first_i(first[MixedAt]),
    .p_i    (xx_3),
    .c_o    (xx_3_joined)
  );
  fp2_join u_yy_join (
    .clk_i,
    .rst_ni,
    .first_i(first[ProductsAt]),
    .p_i    (yy),
    .c_o    (yy_joined)
  );
  fp2_join #(
    .ByXi(1'b1)
  ) u_zz_join (
    .clk_i,
    .rst_ni,
    .first_i(first[ProductsAt]),
    .p_i    (zz),
    .c_o    (zz_joined)
  );
  assign xx_3_whole = g2_i ? xx_3_joined : xx_3;
  assign yy_whole = g2_i ? yy_joined : yy;
  assign zz_whole = g2_i ? zz_joined : zz;
  fp_times12 u_zz_12 (
    .clk_i,
    .a_i(zz_whole),
    .p_o(zz_12)
  );
  delay_line #(
    .Width(FpBits),
    .Delay(FpTimes12Latency)
  ) u_yy_delay (
    .clk_i,
    .data_i(yy_whole),
    .data_o(yy_q)
  );
  fp_add u_sum (
    .clk_i,
    .a_i(yy_q),
    .b_i(zz_12),
    .s_o(sum)
  );
  fp_sub u_difference (
    .clk_i,
    .a_i(yy_q),
    .b_i(zz_12),
    .d_o(difference)
  );

  // ---- Everything waits for 12 xz ----
  fp_t xy_q, yz_q, xx_3_q, sum_q, difference_q;

  delay_line #(
    .Width(2 * FpBits),
    .Delay(FpTimes12Latency)
  ) u_mixed_delay (
    .clk_i,
    .data_i({xy_whole, yz_whole}),
    .data_o({xy_q, yz_q})
  );
  delay_line #(
    .Width(FpBits),
    .Delay(MiddleLatency - 2 * FpAddLatency)
  ) u_xx_3_delay (
    .clk_i,
    .data_i(xx_3_whole),
    .data_o(xx_3_q)
  );
  delay_line #(
    .Width(2 * FpBits),
    .Delay(MiddleLatency - FpTimes12Latency - FpAddLatency)
  ) u_sums_delay (
    .clk_i,
    .data_i({sum, difference}),
    .data_o({sum_q, difference_q})
  );

  // ---- Second layer of products, and the sums of pairs ----
  fp_t second_a[6], second_b[6], second_p[6];
  assign second_a = '{xy_q, yz_q, sum_q, xx_3_q, yz_q, xy_q};
  assign second_b = '{difference_q, xz_12, difference_q, xz_12, sum_q, xx_3_q};

  logic [5:0] unused_second_valid;
  for (genvar i = 0; i < 6; i++) begin : g_second
    fp_mul u_mul (
      .clk_i,
      .rst_ni,
      .valid_i(1'b1),
      .a_i    (second_a[i]),
      .b_i    (second_b[i]),
      .valid_o(unused_second_valid[i]),
      .p_o    (second_p[i])
    );
  end

  xyz_t total, total_joined;
  fp_sub u_x (
    .clk_i,
    .a_i(second_p[0]),
    .b_i(second_p[1]),
    .d_o(total.x)
  );
  fp_add u_y (
    .clk_i,
    .a_i(second_p[2]),
    .b_i(second_p[3]),
    .s_o(total.y)
  );
  fp_add u_z (
    .clk_i,
    .a_i(second_p[4]),
    .b_i(second_p[5]),
    .s_o(total.z)
  );

  // The third word of a joined sum, c0 + c1, is of no use.
  fp2_join u_total_x_join (
    .clk_i,
    .rst_ni,
    .first_i(first[SumAt]),
    .p_i    (total.x),
    .c_o    (total_joined.x)
  );
  fp2_join u_total_y_join (
    .clk_i,
    .rst_ni,
    .first_i(first[SumAt]),
    .p_i    (total.y),
    .c_o    (total_joined.y)
  );
  fp2_join u_total_z_join (
    .clk_i,
    .rst_ni,
    .first_i(first[SumAt]),
    .p_i    (total.z),
    .c_o    (total_joined.z)
  );
  assign s_o = g2_i ? total_joined : total;

  logic g1_valid, g2_valid;
  assign valid_o = g2_i ? g2_valid : g1_valid;
  valid_line #(
    .Delay(G1AddLatency)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i && !g2_i),
    .valid_o(g1_valid)
  );
  valid_line #(
    .Delay(G2AddLatency)
  ) u_g2_valid (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i && g2_i),
    .valid_o(g2_valid)
  );
endmodule
