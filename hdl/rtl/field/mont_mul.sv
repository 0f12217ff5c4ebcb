// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Montgomery product p = a b 2^-Width mod Modulus, one per cycle (P. L. Montgomery,
// Modular multiplication without trial division, 1985):
//   t = a b
//   m = t N' mod 2^Width           N' = -1 / Modulus mod 2^Width
//   u = (t + m Modulus) / 2^Width  < 2 Modulus
//   p = u or u - Modulus
// Only t needs multipliers: N' and Modulus are constants (mul_const). u is a whole
// number, so the sum is made from Guard bits below the middle on and rounded.
// All words between the operands and p are skewed. Who uses it: fp_mul, fr_mul.
module mont_mul #(
  parameter int unsigned             Bits       = 381,  // of the modulus
  parameter int unsigned             Width      = 384,  // the Montgomery radix is 2^Width
  parameter int unsigned             Levels     = 3,    // of Karatsuba's method
  parameter logic        [ Bits-1:0] Modulus    = '1,
  parameter logic        [Width-1:0] NegInverse = '1,   // N'
  parameter int unsigned             Latency    = 80    // at least OwnLatency
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            valid_i,
  input  logic [Bits-1:0] a_i,      // < Modulus
  input  logic [Bits-1:0] b_i,      // < Modulus
  output logic            valid_o,
  output logic [Bits-1:0] p_o
);
  import digits_pkg::*;

  // Enough for the cut-off terms of mul_const, which checks it.
  localparam int unsigned Guard = 8;
  localparam int unsigned Frame = Guard + Bits + 1;
  localparam int unsigned Chunks = arith_pkg::add_stages(Frame);

  // The digits that mul_const finds in both constants, and the terms that it adds.
  localparam digits_t LowDigits = recode(constant_t'(NegInverse), Width);
  localparam digits_t HighDigits = recode(constant_t'(Modulus), MaxConstantBits);
  localparam int unsigned LowTree = tree_levels(int'(LowDigits.count));
  localparam int unsigned HighTree = tree_levels(int'(HighDigits.count) + 2);

  // Cycles until chunk 0 of t, of m, of the terms of u, and of u.
  localparam int unsigned ProductLatency = arith_pkg::skew_mul_latency(Width, Levels);
  localparam int unsigned LowLatency = ProductLatency + 1 + LowTree;
  localparam int unsigned TermLatency = LowLatency + 1 + (Chunks - 1);
  localparam int unsigned HighLatency = TermLatency + HighTree;
  // Difference, its last chunk, choice.
  localparam int unsigned OwnLatency = HighLatency + 1 + (Chunks - 1) + 1;

  if (Latency < OwnLatency) begin : g_check
    $error("mont_mul needs %0d cycles, Latency is %0d", OwnLatency, Latency);
  end

  // t and m.
  logic [2*Width-1:0] t;
  logic [  Width-1:0] m;
  skew_mul #(
    .Width (Width),
    .Levels(Levels)
  ) u_t (
    .clk_i,
    .a_i(Width'(a_i)),
    .b_i(Width'(b_i)),
    .p_o(t)
  );
  mul_const #(
    .Width   (Width),
    .Frame   (Width),
    .Constant(constant_t'(NegInverse))
  ) u_m (
    .clk_i,
    .x_i    (t[Width-1:0]),
    .extra_i('0),
    .y_o    (m)
  );

  // u, with Guard bits of no interest below it. t waits for the multiples of m.
  logic [Frame-1:0] t_high;
  logic [Frame-1:0] u;
  skew_shift #(
    .Width(2 * Width),
    .Frame(Frame),
    .Shift(int'(Guard) - int'(Width)),
    .Delay(TermLatency - ProductLatency)
  ) u_t_high (
    .clk_i,
    .data_i(t),
    .data_o(t_high)
  );
  mul_const #(
    .Width   (Width),
    .Guard   (Guard),
    .Frame   (Frame),
    .Constant(constant_t'(Modulus))
  ) u_u (
    .clk_i,
    .x_i    (m),
    .extra_i(t_high),
    .y_o    (u)
  );

  // u - Modulus beside u, and the one of them that is in range.
  localparam int unsigned Sign = Frame - 1;
  logic [Frame-1:0] u_q;
  logic [Frame-1:0] less;
  logic [Frame-1:0] u_plain;
  logic [Frame-1:0] less_plain;
  logic [ Bits-1:0] chosen_q;
  logic [2*Guard:0] unused;
  always_ff @(posedge clk_i) u_q <= u;
  skew_add3 #(
    .Width (Frame),
    .Start (Guard),
    .Invert(3'b010),
    .Carry (2'b01)
  ) u_less (
    .clk_i,
    .a_i  (u),
    .b_i  (Frame'(Modulus) << Guard),
    .c_i  ('0),
    .sum_o(less)
  );
  deskew #(
    .Width(Frame)
  ) u_u_plain (
    .clk_i,
    .data_i(u_q),
    .data_o(u_plain)
  );
  deskew #(
    .Width(Frame)
  ) u_less_plain (
    .clk_i,
    .data_i(less),
    .data_o(less_plain)
  );
  always_ff @(posedge clk_i) begin
    chosen_q <= less_plain[Sign] ? u_plain[Guard+:Bits] : less_plain[Guard+:Bits];
  end
  assign unused = {u_plain[Sign], less_plain[Guard-1:0], u_plain[Guard-1:0]};

  delay_line #(
    .Width(Bits),
    .Delay(Latency - OwnLatency)
  ) u_pad (
    .clk_i,
    .data_i(chosen_q),
    .data_o(p_o)
  );
  valid_line #(
    .Delay(Latency)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
