// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Product of a skewed word x and a constant in look-up tables, skewed, one per cycle.
// The constant is a sum of signed odd digits (digits_pkg), so the product is a sum of as
// many shifted odd multiples of x: they are added in threes by a tree of skew_add3.
// With Guard = 0 it is the low half:
//   y = x Constant mod 2^Frame
// else the high half, from Guard bits below the middle on, cut off term by term:
//   y = x Constant / 2^(Width - Guard) + extra + e      0 < e < 2^Guard
// which is exact for a sum known to be a multiple of 2^Guard, in the bits from Guard on.
// Latency (chunk 0 to chunk 0): 1 + Tree, and in the high half the chunks of x, since
// its chunk 0 takes bits of x's last chunk. Used by: mont_mul.
module mul_const
  import digits_pkg::*;
#(
  parameter int unsigned Width    = 384,
  parameter int unsigned Guard    = 0,
  parameter int unsigned Frame    = 384,  // bits of y
  parameter constant_t   Constant = '1
) (
  input  logic             clk_i,
  input  logic [Width-1:0] x_i,
  input  logic [Frame-1:0] extra_i,  // with chunk 0 of the multiples' sums, see Tree; unused in the low half
  output logic [Frame-1:0] y_o
);
  localparam int unsigned Chunk = arith_pkg::CarryBits;
  localparam bit High = Guard != 0;
  localparam int unsigned Base = High ? Width - Guard : 0;

  // ---- Digits, and the terms of the sum in ascending order ----
  localparam digits_t Digits = recode(Constant, High ? MaxConstantBits : Width);
  localparam int unsigned DigitCount = int'(Digits.count);
  // The high half adds extra and the constant that makes e positive.
  localparam int unsigned Terms = DigitCount + (High ? 2 : 0);
  localparam int unsigned Tree = tree_levels(Terms);

  if (DigitBits != 4) begin : g_check_multiples
    $error("mul_const makes the multiples of digits of 4 bits");
  end
  // Each negative or positive term is cut off by less than 1.
  if (High && Terms > (1 << (Guard - 1))) begin : g_check_guard
    $error("mul_const needs more guard bits for %0d terms", Terms);
  end

  // ---- Odd multiples of x, one cycle later ----
  localparam int unsigned MultipleWidth = High ? Width + DigitBits - 1 : Width;
  localparam int unsigned Chunks = arith_pkg::add_stages(MultipleWidth);
  logic [MultipleWidth-1:0] x;
  logic [MultipleWidth-1:0] multiple[Multiples];
  assign x = MultipleWidth'(x_i);
  for (genvar m = 0; m < Multiples; m++) begin : g_multiple
    // 1 = 0 + 1, 3 = 2 + 1, 5 = 4 + 1, 7 = 8 - 1.
    localparam logic Minus = (m == Multiples - 1);
    if (m == 0) begin : g_one
      always_ff @(posedge clk_i) multiple[0] <= x;
    end else begin : g_sum
      logic [MultipleWidth-1:0] shifted;
      skew_shift #(
        .Width(MultipleWidth),
        .Frame(MultipleWidth),
        .Shift(m)
      ) u_shift (
        .clk_i,
        .data_i(x),
        .data_o(shifted)
      );
      skew_add3 #(
        .Width (MultipleWidth),
        .Invert({1'b0, Minus, 1'b0}),
        .Carry ({1'b0, Minus})
      ) u_add (
        .clk_i,
        .a_i  (shifted),
        .b_i  (x),
        .c_i  ('0),
        .sum_o(multiple[m])
      );
    end
  end

  // ---- The multiples as each chunk of the sum needs them ----
  // aligned[m][j]: in the cycle of the sum's chunk j, chunks 0..j in the low half (whose
  // chunk j takes no others), all of them in the high half.
  localparam int unsigned SumChunks = arith_pkg::add_stages(Frame);
  localparam int unsigned Wait = High ? Chunks - 1 : 0;
  // Zeros on either side, so that a term's chunk is one slice wherever it lies.
  localparam int unsigned Below = MaxConstantBits + DigitBits;
  localparam int unsigned Above = Frame + Chunk;
  logic [Above+MultipleWidth+Below-1:0] padded[Multiples][SumChunks];
  for (genvar m = 0; m < Multiples; m++) begin : g_aligned
    for (genvar j = 0; j < SumChunks; j++) begin : g_chunk
      logic [MultipleWidth-1:0] aligned;
      for (genvar k = 0; k < Chunks; k++) begin : g_part
        localparam int unsigned From = k * Chunk;
        localparam int unsigned To = (From + Chunk < MultipleWidth) ? From + Chunk : MultipleWidth;
        if (j == (High ? 0 : k)) begin : g_fresh
          delay_line #(
            .Width(To - From),
            .Delay(High ? Wait - k : 0)
          ) u_delay (
            .clk_i,
            .data_i(multiple[m][To-1:From]),
            .data_o(aligned[To-1:From])
          );
        end else if (High || k < j) begin : g_kept
          logic [To-From-1:0] kept_q;
          always_ff @(posedge clk_i) kept_q <= g_aligned[m].g_chunk[j-1].aligned[To-1:From];
          assign aligned[To-1:From] = kept_q;
        end else begin : g_not_yet
          assign aligned[To-1:From] = '0;
        end
      end
      assign padded[m][j] = {{Above{1'b0}}, aligned, {Below{1'b0}}};
    end
  end

  // ---- The tree ----
  // Sums at a level, and the place of its first in `sum`; level 0 are the terms.
  function automatic int unsigned sums_at(int unsigned level);
    int unsigned left;
    left = Terms;
    for (int unsigned l = 0; l < level; l++) left = (left + 2) / 3;
    return left;
  endfunction
  function automatic int unsigned first_at(int unsigned level);
    int unsigned first;
    first = 0;
    for (int unsigned l = 0; l < level; l++) first = first + sums_at(l);
    return first;
  endfunction

  // The lowest and the highest term of a sum.
  function automatic int unsigned lowest(int unsigned level, int unsigned n);
    return n * 3 ** level;
  endfunction
  function automatic int unsigned highest(int unsigned level, int unsigned n);
    return ((n + 1) * 3 ** level < Terms) ? (n + 1) * 3 ** level - 1 : Terms - 1;
  endfunction

  // A sum is kept with the sign that makes it convenient: in the high half that of its
  // highest term, which outweighs the others, so that it is not negative; in the low half
  // that of its lowest term, whose low bits then need no addition. y is
  // positive, and so is the last sum in front of it, since y can negate two of three.
  function automatic logic negative(int unsigned level, int unsigned n);
    int unsigned term;
    if (level == Tree || (level + 1 == Tree && n + 1 == sums_at(level))) return 1'b0;
    term = High ? highest(level, n) : lowest(level, n);
    return (term < DigitCount) ? Digits.digit[term].negative : 1'b0;
  endfunction

  // First bit that may not be zero, and the one above the last.
  function automatic int unsigned start_of(int unsigned level, int unsigned n);
    return High ? 0 : int'(Digits.digit[lowest(level, n)].place);
  endfunction
  function automatic int unsigned end_of(int unsigned level, int unsigned n);
    int unsigned top;
    int unsigned bits;
    top = highest(level, n);
    if (!High || top >= DigitCount) return Frame;
    bits = int'(Digits.digit[top].place) + Width + $clog2(2 * int'(Digits.digit[top].multiple) + 2) - Base;
    return (bits < Frame) ? bits : Frame;
  endfunction

  logic [Frame-1:0] sum[first_at(Tree + 1)];

  for (genvar t = 0; t < DigitCount; t++) begin : g_term
    localparam int unsigned Place = int'(Digits.digit[t].place);
    for (genvar j = 0; j < SumChunks; j++) begin : g_chunk
      localparam int unsigned Low = j * Chunk;
      localparam int unsigned Bits = (Low + Chunk < Frame) ? Chunk : Frame - Low;
      assign sum[t][Low+:Bits] = padded[Digits.digit[t].multiple][j][Below+Base+Low-Place+:Bits];
    end
  end
  if (High) begin : g_extra
    assign sum[DigitCount] = extra_i;
    assign sum[DigitCount+1] = Frame'(1) << (Guard - 1);
  end else begin : g_no_extra
    logic unused_extra;
    assign unused_extra = ^extra_i;
  end

  for (genvar level = 1; level <= Tree; level++) begin : g_level
    for (genvar n = 0; n < sums_at(level); n++) begin : g_sum
      localparam int unsigned Operand = first_at(level - 1) + 3 * n;
      localparam int unsigned Left = sums_at(level - 1) - 3 * n;
      localparam logic Sign = negative(level, n);
      localparam logic MinusA = Sign != negative(level - 1, 3 * n);
      localparam logic MinusB = (Left > 1) ? Sign != negative(level - 1, 3 * n + 1) : 1'b0;
      localparam logic MinusC = (Left > 2) ? Sign != negative(level - 1, 3 * n + 2) : 1'b0;
      localparam int unsigned End = end_of(level, n);
      // The lowest operand's own bits pass unless it has to be negated.
      localparam int unsigned Start = MinusA ? start_of(level - 1, 3 * n) : (Left > 1) ? start_of(level - 1, 3 * n + 1) : End;
      if (MinusA && MinusB && MinusC) begin : g_check_sign
        $error("mul_const can negate two of three operands only: another DigitBits may help");
      end
      logic [Frame-1:0] b;
      logic [Frame-1:0] c;
      if (Left > 1) begin : g_b
        assign b = sum[Operand+1];
      end else begin : g_no_b
        assign b = '0;
      end
      if (Left > 2) begin : g_c
        assign c = sum[Operand+2];
      end else begin : g_no_c
        assign c = '0;
      end
      skew_add3 #(
        .Width (Frame),
        .Start (Start),
        .End   (End),
        .Invert({MinusC, MinusB, MinusA}),
        .Carry ({1'(2'(MinusA) + 2'(MinusB) + 2'(MinusC) > 2'd1), MinusA || MinusB || MinusC})
      ) u_add (
        .clk_i,
        .a_i  (sum[Operand]),
        .b_i  (b),
        .c_i  (c),
        .sum_o(sum[first_at(level)+n])
      );
    end
  end
  assign y_o = sum[first_at(Tree)];
endmodule
