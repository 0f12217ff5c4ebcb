// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Full product by Karatsuba's method, one product per cycle; plain operands, skewed
// product (arith_pkg), whose chunk 0 is valid after skew_mul_latency(Width, Levels).
// With a = a1 2^h + a0 and likewise b:
//   a b = z2 2^2h + (zm - z2 - z0) 2^h + z0
//   z0 = a0 b0, z2 = a1 b1, zm = (a0 + a1)(b0 + b1).
// The three products are three instances of this module with one level less, all as
// wide as the widest, so that they are in step. Who uses it: mont_mul, mul_karatsuba.
module skew_mul #(
  parameter int unsigned Width  = 96,
  parameter int unsigned Levels = 1
) (
  input  logic               clk_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic [2*Width-1:0] p_o
);
  if (Levels == 0) begin : g_leaf
    logic [2*Width-1:0] product;
    mul_dsp #(
      .Width(Width)
    ) u_mul (
      .clk_i,
      .a_i,
      .b_i,
      .p_o(product)
    );
    skew #(
      .Width(2 * Width)
    ) u_skew (
      .clk_i,
      .data_i(product),
      .data_o(p_o)
    );
  end else begin : g_split
    localparam int unsigned Half = (Width + 1) / 2;
    localparam int unsigned HighHalf = Width - Half;
    localparam int unsigned Part = Half + 1;
    localparam int unsigned SumStages = arith_pkg::add_stages(Half);

    logic [            Width-1:0] a_q;
    logic [            Width-1:0] b_q;
    logic [             Part-1:0] a_sum;
    logic [             Part-1:0] b_sum;
    logic [           2*Part-1:0] low;
    logic [           2*Part-1:0] high;
    logic [           2*Part-1:0] both;
    logic [           2*Part-1:0] middle;
    logic [    2*Part-2*Half-1:0] unused_low_top;
    logic [2*Part-2*HighHalf-1:0] unused_high_top;

    delay_line #(
      .Width(2 * Width),
      .Delay(SumStages)
    ) u_operands (
      .clk_i,
      .data_i({a_i, b_i}),
      .data_o({a_q, b_q})
    );
    pipe_add #(
      .Width(Half)
    ) u_a_sum (
      .clk_i,
      .a_i    (a_i[Half-1:0]),
      .b_i    (Half'(a_i[Width-1:Half])),
      .carry_i(1'b0),
      .sum_o  (a_sum[Half-1:0]),
      .carry_o(a_sum[Half])
    );
    pipe_add #(
      .Width(Half)
    ) u_b_sum (
      .clk_i,
      .a_i    (b_i[Half-1:0]),
      .b_i    (Half'(b_i[Width-1:Half])),
      .carry_i(1'b0),
      .sum_o  (b_sum[Half-1:0]),
      .carry_o(b_sum[Half])
    );

    skew_mul #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_low (
      .clk_i,
      .a_i(Part'(a_q[Half-1:0])),
      .b_i(Part'(b_q[Half-1:0])),
      .p_o(low)
    );
    skew_mul #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_high (
      .clk_i,
      .a_i(Part'(a_q[Width-1:Half])),
      .b_i(Part'(b_q[Width-1:Half])),
      .p_o(high)
    );
    skew_mul #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_both (
      .clk_i,
      .a_i(a_sum),
      .b_i(b_sum),
      .p_o(both)
    );

    // Middle term: the three are skewed alike.
    skew_add3 #(
      .Width (2 * Part),
      .Invert(3'b110),
      .Carry (2'b11)
    ) u_middle (
      .clk_i,
      .a_i  (both),
      .b_i  (low),
      .c_i  (high),
      .sum_o(middle)
    );

    // z2 and z0 side by side, and the middle term at its place.
    logic [2*Width-1:0] outer;
    logic [2*Width-1:0] inner;
    skew_shift #(
      .Width(2 * HighHalf),
      .Frame(2 * Width),
      .Shift(2 * Half),
      .Delay(1)
    ) u_high_place (
      .clk_i,
      .data_i(high[2*HighHalf-1:0]),
      .data_o(outer)
    );
    skew_shift #(
      .Width(2 * Part),
      .Frame(2 * Width),
      .Shift(Half)
    ) u_middle_place (
      .clk_i,
      .data_i(middle),
      .data_o(inner)
    );
    logic [2*Half-1:0] low_q;  // z0's lower half is final, the rest takes the middle term
    always_ff @(posedge clk_i) low_q <= low[2*Half-1:0];
    skew_add3 #(
      .Width(2 * Width),
      .Start(Half)
    ) u_join (
      .clk_i,
      .a_i  (outer | (2 * Width)'(low_q)),
      .b_i  (inner),
      .c_i  ('0),
      .sum_o(p_o)
    );
    assign unused_low_top  = low[2*Part-1:2*Half];
    assign unused_high_top = high[2*Part-1:2*HighHalf];
  end
endmodule
