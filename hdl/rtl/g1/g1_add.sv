// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Complete addition on BLS12-381's G1, one per cycle: Renes, Costello and Batina,
// Complete addition formulas for prime order elliptic curves (ePrint 2015/1060),
// Algorithm 7 (a = 0, 3b = 12), in homogeneous projective coordinates. No input is
// exceptional: doubling, inverses and infinity (0, 1, 0) take the same path. With
// b.z = FpOne it is the mixed addition. Structural view; hdl/sim/g1_add.sv is the fast
// one. Who uses it: the MSM engine. Diagram: hdl/doc/arithmetic.md.
module g1_add
  import carillon_pkg::*;
  import arith_pkg::FpAddLatency;
  import arith_pkg::FpTimes12Latency;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  g1_t  a_i,      // coordinates < p
  input  g1_t  b_i,      // coordinates < p
  output logic valid_o,
  output g1_t  s_o       // a + b, G1AddLatency cycles later
);
  // Between the two layers of products the longest way is 12 (x1 z2 + x2 z1).
  localparam int unsigned MiddleLatency = 2 * FpAddLatency + FpTimes12Latency;
  localparam int unsigned OwnLatency = FpAddLatency + FpMulLatency + MiddleLatency + FpMulLatency + FpAddLatency;

  if (G1AddLatency != OwnLatency) begin : g_check
    $error("g1_add takes %0d cycles, G1AddLatency is %0d", OwnLatency, G1AddLatency);
  end

  // ---- Sums of coordinates, while the coordinates wait ----
  g1_t a_q, b_q;
  fp_t a_xy, a_yz, a_xz;
  fp_t b_xy, b_yz, b_xz;

  delay_line #(
    .Width(2 * $bits(g1_t)),
    .Delay(FpAddLatency)
  ) u_inputs (
    .clk_i,
    .data_i({a_i, b_i}),
    .data_o({a_q, b_q})
  );
  fp_add u_a_xy (
    .clk_i,
    .a_i(a_i.x),
    .b_i(a_i.y),
    .s_o(a_xy)
  );
  fp_add u_a_yz (
    .clk_i,
    .a_i(a_i.y),
    .b_i(a_i.z),
    .s_o(a_yz)
  );
  fp_add u_a_xz (
    .clk_i,
    .a_i(a_i.x),
    .b_i(a_i.z),
    .s_o(a_xz)
  );
  fp_add u_b_xy (
    .clk_i,
    .a_i(b_i.x),
    .b_i(b_i.y),
    .s_o(b_xy)
  );
  fp_add u_b_yz (
    .clk_i,
    .a_i(b_i.y),
    .b_i(b_i.z),
    .s_o(b_yz)
  );
  fp_add u_b_xz (
    .clk_i,
    .a_i(b_i.x),
    .b_i(b_i.z),
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
  fp_times12 u_xz_12 (
    .clk_i,
    .a_i(xz),
    .p_o(xz_12)
  );

  // ---- 3 xx, yy + 12 zz, yy - 12 zz ----
  fp_t xx_2, xx_q, xx_3;
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
  fp_times12 u_zz_12 (
    .clk_i,
    .a_i(zz),
    .p_o(zz_12)
  );
  delay_line #(
    .Width(FpBits),
    .Delay(FpTimes12Latency)
  ) u_yy_delay (
    .clk_i,
    .data_i(yy),
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
    .data_i({xy, yz}),
    .data_o({xy_q, yz_q})
  );
  delay_line #(
    .Width(FpBits),
    .Delay(MiddleLatency - 2 * FpAddLatency)
  ) u_xx_3_delay (
    .clk_i,
    .data_i(xx_3),
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

  fp_sub u_x (
    .clk_i,
    .a_i(second_p[0]),
    .b_i(second_p[1]),
    .d_o(s_o.x)
  );
  fp_add u_y (
    .clk_i,
    .a_i(second_p[2]),
    .b_i(second_p[3]),
    .s_o(s_o.y)
  );
  fp_add u_z (
    .clk_i,
    .a_i(second_p[4]),
    .b_i(second_p[5]),
    .s_o(s_o.z)
  );

  valid_line #(
    .Delay(G1AddLatency)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
