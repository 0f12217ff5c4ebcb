// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Additive arithmetic of Fr as combinational functions: operands and results
// are below r, in Montgomery or canonical form alike. Used by the NTT's stages
// and the quotient engine; products come from fr_mul.
package fr_arith_pkg;
  import carillon_pkg::*;

  // An element's image in memory: 32 bytes, so one bit wider than the element.
  parameter int unsigned FrImageBits = 256;
  typedef logic [FrImageBits-1:0] fr_image_t;

  // Two elements in a beat, the lower index in the lower half.
  parameter int unsigned FrPerBeat = BeatBits / FrImageBits;

  // Whether an image read from memory is an element (below r).
  function automatic logic fr_is_canonical(fr_image_t image);
    return image < FrImageBits'(FrModulus);
  endfunction

  // a + b mod r
  function automatic fr_t fr_add(fr_t a, fr_t b);
    logic [FrBits:0] sum;
    logic [FrBits:0] reduced;
    // Both fit in 256 bits: the sum is below 2 r < 2^256, and the top bit of the
    // difference is its sign because |sum - r| < r < 2^255.
    sum     = {1'b0, a} + {1'b0, b};
    reduced = sum - {1'b0, FrModulus};
    return reduced[FrBits] ? sum[FrBits-1:0] : reduced[FrBits-1:0];
  endfunction

  // a - b mod r
  function automatic fr_t fr_sub(fr_t a, fr_t b);
    logic [FrBits:0] difference;
    difference = {1'b0, a} - {1'b0, b};
    return difference[FrBits] ? difference[FrBits-1:0] + FrModulus : difference[FrBits-1:0];
  endfunction
endpackage
