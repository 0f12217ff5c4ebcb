// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Recodes a constant, when the design is elaborated, into few signed digits with gaps
// between them: the non-adjacent form of width DigitBits. Every digit is odd, below
// 2^(DigitBits-1) in magnitude, and at least DigitBits places above the one before it,
// so that one place in DigitBits + 1 holds a digit on average, and all digits below
// one add up to less than half of that one's place. Who uses it: mul_const, mont_mul.
package digits_pkg;

  parameter int unsigned DigitBits = 4;
  parameter int unsigned Multiples = 1 << (DigitBits - 2);  // magnitudes 1, 3, 5, 7
  parameter int unsigned MultipleBits = $clog2(Multiples);
  parameter int unsigned MaxConstantBits = 384;
  parameter int unsigned MaxDigits = MaxConstantBits / DigitBits + 1;
  parameter int unsigned PlaceBits = $clog2(MaxConstantBits + DigitBits);

  typedef logic [MaxConstantBits-1:0] constant_t;

  typedef struct packed {
    logic                    negative;
    logic [MultipleBits-1:0] multiple;  // the magnitude is 2 multiple + 1
    logic [PlaceBits-1:0]    place;
  } digit_t;

  typedef struct packed {
    logic [PlaceBits-1:0]   count;
    digit_t [MaxDigits-1:0] digit;  // lowest place first
  } digits_t;

  // The digits of `constant` in the places below `places`; what lies above is dropped.
  function automatic digits_t recode(constant_t constant, int unsigned places);
    digits_t                                       digits;
    logic        [MaxConstantBits+2*DigitBits-1:0] rest;
    logic        [                  DigitBits-1:0] window;
    logic                                          carry;
    int unsigned                                   skip;
    digits = '0;
    rest = (MaxConstantBits + 2 * DigitBits)'(constant);
    carry = 1'b0;
    skip = 0;
    for (int unsigned place = 0; place < places; place++) begin
      if (skip != 0) begin
        skip = skip - 1;
      end else if (rest[0] != carry) begin
        window = rest[DigitBits-1:0] + DigitBits'(carry);  // odd
        carry = window[DigitBits-1];
        digits.digit[digits.count].negative = carry;
        digits.digit[digits.count].multiple = carry ? ~window[MultipleBits:1] : window[MultipleBits:1];
        digits.digit[digits.count].place = PlaceBits'(place);
        digits.count = digits.count + 1'b1;
        skip = DigitBits - 1;
      end
      rest = rest >> 1;
    end
    return digits;
  endfunction

  // Levels of a tree that adds this many terms in threes.
  function automatic int unsigned tree_levels(int unsigned terms);
    int unsigned count;
    count = 0;
    for (int unsigned left = terms; left > 1; left = (left + 2) / 3) count = count + 1;
    return count;
  endfunction

endpackage
