// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Montgomery multiplier of the scalar field, one product per cycle, R = 2^256.
// Structural view; hdl/sim/fr_mul.sv is the fast one. Who uses it: the NTT
// stages, the quotient engine and the MSM's scalar conversion.
module fr_mul
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  fr_t  a_i,      // < r
  input  fr_t  b_i,      // < r
  output logic valid_o,
  output fr_t  p_o       // a b 2^-256 mod r, FrMulLatency cycles later
);
  /*verilator hier_block*/

  localparam int unsigned Width = 256;

  mont_mul #(
    .Bits      (FrBits),
    .Width     (Width),
    .Levels    (2),
    .Modulus   (FrModulus),
    // -1 / r mod 2^256
    .NegInverse(256'h3d443ab0d7bf2839181b2c170004ec0653ba5bfffffe5bfdfffffffeffffffff),
    .Latency   (FrMulLatency)
  ) u_mul (
    .clk_i,
    .rst_ni,
    .valid_i,
    .a_i,
    .b_i,
    .valid_o,
    .p_o
  );
endmodule
