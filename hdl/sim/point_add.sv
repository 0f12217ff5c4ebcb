// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fast view of point_add (simulation only): one whole complete addition in one DPI
// call on blst, then a delay that makes up the latency. The call evaluates the
// same formula as the structural view (hdl/rtl/curve/point_add.sv) on fully reduced
// values, so X, Y and Z agree bit by bit and not only as points.
module point_add
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic g2_i,     // constant while additions are under way
  input  logic valid_i,  // in G2 for both words, in one cycle and the next; then a cycle without
  input  xyz_t a_i,      // coordinates < p
  input  xyz_t b_i,      // coordinates < p; z = FpOne makes it the mixed addition
  output logic valid_o,
  output xyz_t s_o       // a + b, G1AddLatency or G2AddLatency cycles later, as many words
);
  import "DPI-C" function void carillon_g1_add(
    input  bit [FpBits-1:0] ax,
    input  bit [FpBits-1:0] ay,
    input  bit [FpBits-1:0] az,
    input  bit [FpBits-1:0] bx,
    input  bit [FpBits-1:0] by,
    input  bit [FpBits-1:0] bz,
    output bit [FpBits-1:0] sx,
    output bit [FpBits-1:0] sy,
    output bit [FpBits-1:0] sz
  );
  import "DPI-C" function void carillon_g2_add(
    input  bit [FpBits-1:0] ax[2],
    input  bit [FpBits-1:0] ay[2],
    input  bit [FpBits-1:0] az[2],
    input  bit [FpBits-1:0] bx[2],
    input  bit [FpBits-1:0] by[2],
    input  bit [FpBits-1:0] bz[2],
    output bit [FpBits-1:0] sx[2],
    output bit [FpBits-1:0] sy[2],
    output bit [FpBits-1:0] sz[2]
  );

  // ---- G1 ----
  logic valid_q, g1_valid;
  xyz_t sum_q, g1_sum;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i && !g2_i;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i && !g2_i) begin
      automatic bit [FpBits-1:0] x;
      automatic bit [FpBits-1:0] y;
      automatic bit [FpBits-1:0] z;
      carillon_g1_add(a_i.x, a_i.y, a_i.z, b_i.x, b_i.y, b_i.z, x, y, z);
      sum_q <= '{x: x, y: y, z: z};
    end
  end

  delay_ring #(
    .Width($bits(xyz_t)),
    .Delay(G1AddLatency - 1)
  ) u_g1 (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .data_i (sum_q),
    .valid_o(g1_valid),
    .data_o (g1_sum)
  );

  // ---- G2: the second word starts the call ----
  logic second_q, word_0_q, word_1_q, g2_valid;
  xyz_t a_q, b_q, sum_0_q, sum_1_q, g2_sum;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      second_q <= 1'b0;
      word_0_q <= 1'b0;
      word_1_q <= 1'b0;
    end else begin
      second_q <= valid_i && g2_i && !second_q;
      word_0_q <= second_q;
      word_1_q <= word_0_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i && g2_i && !second_q) {a_q, b_q} <= {a_i, b_i};
    if (second_q) begin
      automatic bit [FpBits-1:0] x[2];
      automatic bit [FpBits-1:0] y[2];
      automatic bit [FpBits-1:0] z[2];
      carillon_g2_add('{a_q.x, a_i.x}, '{a_q.y, a_i.y}, '{a_q.z, a_i.z}, '{b_q.x, b_i.x}, '{b_q.y, b_i.y}, '{b_q.z, b_i.z}, x, y, z);
      sum_0_q <= '{x: x[0], y: y[0], z: z[0]};
      sum_1_q <= '{x: x[1], y: y[1], z: z[1]};
    end
  end

  delay_ring #(
    .Width($bits(xyz_t)),
    .Delay(G2AddLatency - 2)
  ) u_g2 (
    .clk_i,
    .rst_ni,
    .valid_i(word_0_q || word_1_q),
    .data_i (word_1_q ? sum_1_q : sum_0_q),
    .valid_o(g2_valid),
    .data_o (g2_sum)
  );

  assign valid_o = g2_i ? g2_valid : g1_valid;
  assign s_o = g2_i ? g2_sum : g1_sum;
endmodule
