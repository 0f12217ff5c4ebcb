// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Montgomery product p = a b 2^-Width mod Modulus, one per cycle (P. L. Montgomery,
// Modular multiplication without trial division, 1985):
//   t = a b
//   m = t N' mod 2^Width           N' = -1 / Modulus mod 2^Width
//   u = (t + m Modulus) / 2^Width  < 2 Modulus
//   p = u or u - Modulus
// The low half of t + m Modulus is zero by construction of m, so only high halves are
// added; the carry out of the low half is 1 unless the low half of t is zero.
// Who uses it: fp_mul, fr_mul.
module mont_mul #(
  parameter int unsigned             Bits       = 381,  // of the modulus
  parameter int unsigned             Width      = 384,  // the Montgomery radix is 2^Width
  parameter int unsigned             Levels     = 3,    // of Karatsuba's method
  parameter logic        [ Bits-1:0] Modulus    = '1,
  parameter logic        [Width-1:0] NegInverse = '1,   // N'
  parameter int unsigned             Latency    = 80    // at least mont_latency(Width, Bits, Levels)
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            valid_i,
  input  logic [Bits-1:0] a_i,      // < Modulus
  input  logic [Bits-1:0] b_i,      // < Modulus
  output logic            valid_o,
  output logic [Bits-1:0] p_o
);
  localparam int unsigned FullLatency = arith_pkg::karatsuba_latency(Width, Levels);
  localparam int unsigned LowLatency = arith_pkg::low_latency(Width, Levels);
  localparam int unsigned SumStages = arith_pkg::add_stages(Bits + 1);
  localparam int unsigned OwnLatency = arith_pkg::mont_latency(Width, Bits, Levels);

  if (Latency < OwnLatency) begin : g_check
    $error("mont_mul needs %0d cycles, Latency is %0d", OwnLatency, Latency);
  end

  // t and m.
  logic [2*Width-1:0] t;
  logic [  Width-1:0] m;
  mul_karatsuba #(
    .Width (Width),
    .Levels(Levels)
  ) u_t (
    .clk_i,
    .a_i(Width'(a_i)),
    .b_i(Width'(b_i)),
    .p_o(t)
  );
  mul_low #(
    .Width (Width),
    .Levels(Levels)
  ) u_m (
    .clk_i,
    .a_i(t[Width-1:0]),
    .b_i(NegInverse),
    .p_o(m)
  );

  // m Modulus, of which the high half matters.
  logic [      Bits-1:0] reduce;
  logic [     Width-1:0] unused_reduce_low;
  logic [Width-Bits-1:0] unused_reduce_top;
  mul_karatsuba #(
    .Width (Width),
    .Levels(Levels)
  ) u_reduce (
    .clk_i,
    .a_i(m),
    .b_i(Width'(Modulus)),
    .p_o({unused_reduce_top, reduce, unused_reduce_low})
  );

  // t's high half and the carry out of its low half wait for it.
  logic [      Bits-1:0] t_high;
  logic [Width-Bits-1:0] unused_t_top;
  logic                  t_carry_q;
  logic [      Bits-1:0] t_high_q;
  logic                  carry_q;
  assign {unused_t_top, t_high} = t[2*Width-1:Width];
  always_ff @(posedge clk_i) t_carry_q <= |t[Width-1:0];
  delay_line #(
    .Width(Bits),
    .Delay(LowLatency + FullLatency)
  ) u_t_high (
    .clk_i,
    .data_i(t_high),
    .data_o(t_high_q)
  );
  delay_line #(
    .Width(1),
    .Delay(LowLatency + FullLatency - 1)
  ) u_carry (
    .clk_i,
    .data_i(t_carry_q),
    .data_o(carry_q)
  );

  // u, u - Modulus, and the one of them that is in range.
  logic [Bits:0] u;
  logic [Bits:0] u_q;
  logic [Bits:0] u_less;
  logic          in_range;
  logic          unused_u_carry;
  pipe_add #(
    .Width(Bits + 1)
  ) u_u (
    .clk_i,
    .a_i    ({1'b0, t_high_q}),
    .b_i    ({1'b0, reduce}),
    .carry_i(carry_q),
    .sum_o  (u),
    .carry_o(unused_u_carry)
  );
  pipe_add #(
    .Width(Bits + 1)
  ) u_subtract (
    .clk_i,
    .a_i    (u),
    .b_i    (~{1'b0, Modulus}),
    .carry_i(1'b1),
    .sum_o  (u_less),
    .carry_o(in_range)  // no borrow: u >= Modulus
  );
  delay_line #(
    .Width(Bits + 1),
    .Delay(SumStages)
  ) u_keep (
    .clk_i,
    .data_i(u),
    .data_o(u_q)
  );
  // The chosen value is below the modulus: its top bit is zero.
  logic [Bits:0] chosen_q;
  logic          unused_chosen_top;
  always_ff @(posedge clk_i) chosen_q <= in_range ? u_less : u_q;
  assign unused_chosen_top = chosen_q[Bits];

  delay_line #(
    .Width(Bits),
    .Delay(Latency - OwnLatency)
  ) u_pad (
    .clk_i,
    .data_i(chosen_q[Bits-1:0]),
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
