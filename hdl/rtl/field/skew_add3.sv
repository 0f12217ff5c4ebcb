// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Sum of three skewed words (arith_pkg), skewed, one cycle later: chunk k is added
// when it arrives, with the carries of chunk k - 1. Only the bits from Start to End are
// added; those below are a_i's own (b_i and c_i are zero there), those above are zero.
// A negative operand has its bit in Invert set, and one of Carry.
// Who uses it: mul_karatsuba, mul_const, mont_mul.
module skew_add3 #(
  parameter int unsigned       Width  = 384,
  parameter int unsigned       Start  = 0,
  parameter int unsigned       End    = Width,
  parameter logic        [2:0] Invert = 3'b000,  // of c, b, a
  parameter logic        [1:0] Carry  = 2'b00    // into bit Start, weight 1 each
) (
  input  logic             clk_i,
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  input  logic [Width-1:0] c_i,
  output logic [Width-1:0] sum_o
);
  localparam int unsigned Chunk = arith_pkg::CarryBits;
  localparam int unsigned Chunks = arith_pkg::add_stages(Width);

  for (genvar k = 0; k < Chunks; k++) begin : g_chunk
    // This chunk's bits: [Low, High); those of the sum: [From, To).
    localparam int unsigned Low = k * Chunk;
    localparam int unsigned High = (Low + Chunk < Width) ? Low + Chunk : Width;
    localparam int unsigned From = (Start > Low) ? ((Start < High) ? Start : High) : Low;
    localparam int unsigned To = (End < High) ? ((End > Low) ? End : Low) : High;

    logic [1:0] carry_q;  // into the next chunk

    if (From > Low) begin : g_pass
      logic [From-Low-1:0] pass_q;
      always_ff @(posedge clk_i) pass_q <= a_i[From-1:Low];
      assign sum_o[From-1:Low] = pass_q;
    end
    if (To > From) begin : g_sum
      logic [        1:0] carry_in;
      logic [        1:0] carry_d;
      logic [To-From-1:0] sum_d;
      logic [To-From-1:0] sum_q;
      if (Start >= Low) begin : g_first
        assign carry_in = Carry;
      end else begin : g_later
        assign carry_in = g_chunk[k-1].carry_q;
      end
      add3 #(
        .Width (To - From),
        .Invert(Invert)
      ) u_add (
        .a_i    (a_i[To-1:From]),
        .b_i    (b_i[To-1:From]),
        .c_i    (c_i[To-1:From]),
        .carry_i(carry_in),
        .sum_o  (sum_d),
        .carry_o(carry_d)
      );
      always_ff @(posedge clk_i) begin
        sum_q   <= sum_d;
        carry_q <= carry_d;
      end
      assign sum_o[To-1:From] = sum_q;
    end else begin : g_no_sum
      assign carry_q = Carry;
    end
    if (High > To && To >= From) begin : g_zero
      assign sum_o[High-1:To] = '0;
    end
  end
endmodule
