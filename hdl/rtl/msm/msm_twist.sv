// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Makes the points of G2 that the units add up: the words of P with the digits of its first
// two parts, then, if they have any, those of z P with the other two. Each word carries x of
// its image z^2 (x, y) = (PsiBeta x, -y), and
//   z P = (PsiX x1 + PsiX x0 u,  PsiY (y1 - y0) + PsiY (y0 + y1) u)
// for P = (x0 + x1 u, y0 + y1 u); msm_pkg, "The endomorphism". One product a cycle: two for P,
// six for z P; a pair takes one cycle more. In G1 the multiplier is lent to msm_prepare. Used by: msm_prepare.
module msm_twist
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic flush_i,  // level: drop everything
  output logic busy_o,   // products under way
  output logic empty_o,  // nothing is held

  // The multiplier in G1; g2_i is constant while it is used
  input  logic g2_i,
  input  logic image_valid_i,
  input  fp_t  image_x_i,
  output fp_t  image_o,        // GlvBeta x, FpMulLatency cycles later

  // G2: entries of x, with the digits of P, and of y, with those of z P, in turn; c0 stands in x, c1 in y
  input  logic  entry_valid_i,
  output logic  entry_take_o,
  input  pair_t entry_i,

  output logic  word_valid_o,
  input  logic  word_take_i,
  output pair_t word_o
);
  localparam int unsigned DepthLog2 = 6;  // words on their way or waiting
  localparam int unsigned Depth = 1 << DepthLog2;
  typedef logic [DepthLog2:0] level_t;

  // ---- A point: its x is held, its y waits at the door ----
  logic  held_q;
  pair_t held;
  wire   both = held_q && entry_valid_i;

  // ---- Products, in this order ----
  typedef enum logic [2:0] {
    Image0,   // x0 PsiBeta: the first word of P
    Image1,   // x1 PsiBeta: the second
    X0,       // of z P: x0 = x1 PsiX
    XImage0,  // and its image
    X1,       // x1 = x0 PsiX
    XImage1,
    Y0,       // (y1 - y0) PsiY: the first word of z P
    Y1        // (y0 + y1) PsiY: the second
  } product_e;
  product_e product_q;
  level_t   promised_q;

  wire      makes_word = product_q inside {Image0, Image1, Y0, Y1};
  wire      issue = both && !flush_i && (!makes_word || promised_q != level_t'(Depth));

  // Whether z P is wanted at all.
  logic     wanted;
  always_comb begin
    wanted = 1'b0;
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      for (int unsigned i = 0; i < Parts; i++) wanted |= entry_i.digits[w%MsmAdders][w/MsmAdders][i].nonzero;
    end
  end
  wire last = product_q == Y1 || (product_q == Image1 && !wanted);
  assign entry_take_o = !flush_i && entry_valid_i && (!held_q || (issue && last));

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      held_q <= 1'b0;
      product_q <= Image0;
    end else if (flush_i) begin
      held_q <= 1'b0;
      product_q <= Image0;
    end else begin
      if (entry_take_o) held_q <= !held_q;
      if (issue) product_q <= last ? Image0 : product_e'(product_q + 3'd1);
    end
  end
  always_ff @(posedge clk_i) begin
    if (entry_take_o && !held_q) held <= entry_i;
  end

  // The sums are there when they are wanted: y is at the door from the first product on, which is Y0 cycles
  // earlier.
  if (arith_pkg::FpAddLatency > 32'(Y0)) begin : g_check
    $error("the sums of y are not there in time");
  end
  fp_t y_difference, y_sum;
  fp_sub u_difference (
    .clk_i,
    .a_i(entry_i.point.y),
    .b_i(entry_i.point.x),
    .d_o(y_difference)
  );
  fp_add u_sum (
    .clk_i,
    .a_i(entry_i.point.y),
    .b_i(entry_i.point.x),
    .s_o(y_sum)
  );

  fp_t factor, constant;
  always_comb begin
    unique case (product_q)
      Image0:  {factor, constant} = {held.point.x, PsiBeta};
      Image1:  {factor, constant} = {held.point.y, PsiBeta};
      X0:      {factor, constant} = {held.point.y, PsiX};
      XImage0: {factor, constant} = {held.point.y, PsiBetaX};
      X1:      {factor, constant} = {held.point.x, PsiX};
      XImage1: {factor, constant} = {held.point.x, PsiBetaX};
      Y0:      {factor, constant} = {y_difference, PsiY};
      default: {factor, constant} = {y_sum, PsiY};
    endcase
    if (!g2_i) {factor, constant} = {image_x_i, GlvBeta};
  end

  // ---- Beside a product: all of its word but what it is about ----
  typedef struct packed {
    product_e product;
    pair_t    word;
  } carried_t;
  carried_t carried_d, carried;
  logic product_valid;
  fp_t  product;

  always_comb begin
    carried_d.product = product_q;
    carried_d.word = '{
      bad_scalar: held.bad_scalar,
      bad_point: held.bad_point || entry_i.bad_point,
      second: product_q inside {Image1, Y1},
      index: held.index,
      point: '{
        infinity: held.point.infinity && entry_i.point.infinity,
        x: (product_q == Image1) ? held.point.y : held.point.x,
        x_image: '0,
        y: (product_q == Image1) ? entry_i.point.y : entry_i.point.x,
        neg_y: '0
      },
      digits: (product_q == Image1) ? held.digits : entry_i.digits
    };
  end

  fp_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i(g2_i ? issue : image_valid_i),
    .a_i    (factor),
    .b_i    (constant),
    .valid_o(product_valid),
    .p_o    (product)
  );
  delay_memory #(
    .Width($bits(carried_t)),
    .Delay(FpMulLatency)
  ) u_carried (
    .clk_i,
    .rst_ni,
    .valid_i(issue),
    .data_i (carried_d),
    .data_o (carried)
  );
  assign image_o = product;

  // ---- Words ----
  wire g2_valid = product_valid && g2_i;
  fp_t x_q[2], x_image_q[2];
  logic push_q;
  pair_t word_q, word;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) push_q <= 1'b0;
    else push_q <= g2_valid && carried.product inside {Image0, Image1, Y0, Y1};
  end
  always_ff @(posedge clk_i) begin
    if (g2_valid) begin
      word_q <= carried.word;
      unique case (carried.product)
        Image0, Image1: word_q.point.x_image <= product;
        X0:             x_q[0] <= product;
        XImage0:        x_image_q[0] <= product;
        X1:             x_q[1] <= product;
        XImage1:        x_image_q[1] <= product;
        default: begin
          word_q.point.x <= x_q[carried.product == Y1];
          word_q.point.x_image <= x_image_q[carried.product == Y1];
          word_q.point.y <= product;
        end
      endcase
    end
  end
  always_comb begin
    word = word_q;
    // Minus zero is zero: p would not be a field element.
    word.point.neg_y = (word_q.point.y == '0) ? '0 : FpModulus - word_q.point.y;
  end

  logic fifo_full;  // never: places are promised
  wire  pop = word_valid_o && word_take_i;
  fifo #(
    .T        (pair_t),
    .DepthLog2(DepthLog2)
  ) u_words (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (push_q && !flush_i),
    .data_i (word),
    .full_o (fifo_full),
    .valid_o(word_valid_o),
    .data_o (word_o),
    .pop_i  (pop)
  );

  // What a flush finds under way still comes out of the multiplier.
  logic [$clog2(FpMulLatency+2)-1:0] under_way_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      promised_q <= '0;
      under_way_q <= '0;
    end else begin
      under_way_q <= under_way_q + ($bits(under_way_q))'(issue) - ($bits(under_way_q))'(g2_valid);
      if (flush_i) promised_q <= '0;
      else promised_q <= promised_q + level_t'(issue && makes_word) - level_t'(pop);
    end
  end
  assign busy_o = under_way_q != '0 || push_q;
  assign empty_o = !held_q && promised_q == '0;

  wire unused = &{1'b0, fifo_full, held.second, held.point.x_image, held.point.neg_y, entry_i.second, entry_i.index,
                  entry_i.bad_scalar, entry_i.point.x_image, entry_i.point.neg_y};

endmodule
