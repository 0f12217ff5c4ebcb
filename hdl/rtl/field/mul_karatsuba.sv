// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Full product by Karatsuba's method, one product per cycle, latency
// karatsuba_latency(Width, Levels). With a = a1 2^h + a0 and likewise b:
//   a b = z2 2^2h + (zm - z2 - z0) 2^h + z0
//   z0 = a0 b0, z2 = a1 b1, zm = (a0 + a1)(b0 + b1).
// The three products are three instances of this module with one level less, all as
// wide as the widest, so that they are in step. Who uses it: mont_mul, mul_low.
module mul_karatsuba #(
  parameter int unsigned Width  = 96,
  parameter int unsigned Levels = 1
) (
  input  logic               clk_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic [2*Width-1:0] p_o
);
  if (Levels == 0) begin : g_leaf
    mul_dsp #(
      .Width(Width)
    ) u_mul (
      .clk_i,
      .a_i,
      .b_i,
      .p_o
    );
  end else begin : g_split
    localparam int unsigned Half = (Width + 1) / 2;
    localparam int unsigned HighHalf = Width - Half;
    localparam int unsigned Part = Half + 1;
    localparam int unsigned SumStages = arith_pkg::add_stages(Half);
    localparam int unsigned MiddleStages = arith_pkg::add_stages(2 * Part);
    localparam int unsigned JoinBits = 2 * Width - Half;
    localparam int unsigned JoinStages = arith_pkg::add_stages(JoinBits);

    logic [  Width-1:0] a_q;
    logic [  Width-1:0] b_q;
    logic [   Part-1:0] a_sum;
    logic [   Part-1:0] b_sum;
    logic [ 2*Part-1:0] low;
    logic [ 2*Part-1:0] high;
    logic [ 2*Part-1:0] both;
    logic [ 2*Part-1:0] middle;
    logic [2*Width-1:0] outer_q;
    logic               unused_carry;

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

    mul_karatsuba #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_low (
      .clk_i,
      .a_i(Part'(a_q[Half-1:0])),
      .b_i(Part'(b_q[Half-1:0])),
      .p_o(low)
    );
    mul_karatsuba #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_high (
      .clk_i,
      .a_i(Part'(a_q[Width-1:Half])),
      .b_i(Part'(b_q[Width-1:Half])),
      .p_o(high)
    );
    mul_karatsuba #(
      .Width (Part),
      .Levels(Levels - 1)
    ) u_both (
      .clk_i,
      .a_i(a_sum),
      .b_i(b_sum),
      .p_o(both)
    );

    pipe_add3 #(
      .Width(2 * Part)
    ) u_middle (
      .clk_i,
      .a_i    (both),
      .b_i    (~low),
      .c_i    (~high),
      .carry_i(1'b1),
      .sum_o  (middle)
    );
    delay_line #(
      .Width(2 * Width),
      .Delay(MiddleStages)
    ) u_outer (
      .clk_i,
      .data_i({high[2*HighHalf-1:0], low[2*Half-1:0]}),
      .data_o(outer_q)
    );

    // The lowest half of z0 is final; everything above takes the middle term.
    pipe_add #(
      .Width(JoinBits)
    ) u_join (
      .clk_i,
      .a_i    (outer_q[2*Width-1:Half]),
      .b_i    (JoinBits'(middle)),
      .carry_i(1'b0),
      .sum_o  (p_o[2*Width-1:Half]),
      .carry_o(unused_carry)
    );
    delay_line #(
      .Width(Half),
      .Delay(JoinStages)
    ) u_low_half (
      .clk_i,
      .data_i(outer_q[Half-1:0]),
      .data_o(p_o[Half-1:0])
    );
  end
endmodule
