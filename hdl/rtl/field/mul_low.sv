// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Product modulo 2^Width, one per cycle, latency low_latency(Width, Levels). With
// a = a1 2^h + a0 and likewise b: a b = a0 b0 + (a0 b1 + a1 b0) 2^h, of which the two
// mixed products are needed modulo 2^h only. Who uses it: mont_mul.
module mul_low #(
  parameter int unsigned Width  = 96,
  parameter int unsigned Levels = 1
) (
  input  logic             clk_i,
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  output logic [Width-1:0] p_o
);
  if (Levels == 0) begin : g_leaf
    logic [Width-1:0] unused_high;
    mul_dsp #(
      .Width(Width)
    ) u_mul (
      .clk_i,
      .a_i,
      .b_i,
      .p_o({unused_high, p_o})
    );
  end else begin : g_split
    localparam int unsigned Half = (Width + 1) / 2;
    localparam int unsigned HighHalf = Width - Half;
    localparam int unsigned AddStages = arith_pkg::add_stages(Half);
    localparam int unsigned PartsLatency = arith_pkg::low_latency(Width, Levels) - AddStages;
    localparam int unsigned LowLatency = arith_pkg::karatsuba_latency(Half, Levels - 1);
    localparam int unsigned MixedLatency = arith_pkg::low_latency(Half, Levels - 1) + AddStages;

    logic [2*Half-1:0] low;
    logic [2*Half-1:0] low_q;
    logic [  Half-1:0] mixed_a;
    logic [  Half-1:0] mixed_b;
    logic [  Half-1:0] mixed;
    logic [  Half-1:0] mixed_q;
    logic [  Half-1:0] high;
    logic              unused_mixed_carry;
    logic              unused_high_carry;

    mul_karatsuba #(
      .Width (Half),
      .Levels(Levels - 1)
    ) u_low (
      .clk_i,
      .a_i(a_i[Half-1:0]),
      .b_i(b_i[Half-1:0]),
      .p_o(low)
    );
    mul_low #(
      .Width (Half),
      .Levels(Levels - 1)
    ) u_mixed_a (
      .clk_i,
      .a_i(Half'(a_i[Width-1:Half])),
      .b_i(b_i[Half-1:0]),
      .p_o(mixed_a)
    );
    mul_low #(
      .Width (Half),
      .Levels(Levels - 1)
    ) u_mixed_b (
      .clk_i,
      .a_i(a_i[Half-1:0]),
      .b_i(Half'(b_i[Width-1:Half])),
      .p_o(mixed_b)
    );

    pipe_add #(
      .Width(Half)
    ) u_mixed (
      .clk_i,
      .a_i    (mixed_a),
      .b_i    (mixed_b),
      .carry_i(1'b0),
      .sum_o  (mixed),
      .carry_o(unused_mixed_carry)
    );
    delay_line #(
      .Width(2 * Half),
      .Delay(PartsLatency - LowLatency)
    ) u_low_delay (
      .clk_i,
      .data_i(low),
      .data_o(low_q)
    );
    delay_line #(
      .Width(Half),
      .Delay(PartsLatency - MixedLatency)
    ) u_mixed_delay (
      .clk_i,
      .data_i(mixed),
      .data_o(mixed_q)
    );

    pipe_add #(
      .Width(Half)
    ) u_high (
      .clk_i,
      .a_i    (low_q[2*Half-1:Half]),
      .b_i    (mixed_q),
      .carry_i(1'b0),
      .sum_o  (high),
      .carry_o(unused_high_carry)
    );
    delay_line #(
      .Width(Half),
      .Delay(AddStages)
    ) u_low_half (
      .clk_i,
      .data_i(low_q[Half-1:0]),
      .data_o(p_o[Half-1:0])
    );
    assign p_o[Width-1:Half] = high[HighHalf-1:0];
  end
endmodule
