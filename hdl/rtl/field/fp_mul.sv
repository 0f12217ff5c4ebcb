// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Montgomery multiplier of the base field, one product per cycle, R = 2^384.
// Structural view; hdl/sim/fp_mul.sv is the fast one. Who uses it: point_add, msm_twist.
module fp_mul
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  fp_t  a_i,      // < p
  input  fp_t  b_i,      // < p
  output logic valid_o,
  output fp_t  p_o       // a b 2^-384 mod p, FpMulLatency cycles later
);
  /*verilator hier_block*/

  localparam int unsigned Width = 384;

  mont_mul #(
    .Bits      (FpBits),
    .Width     (Width),
    .Levels    (3),
    .Modulus   (FpModulus),
    // -1 / p mod 2^384
    .NegInverse(384'hceb06106feaafc9468b316fee268cf5819ecca0e8eb2db4c16ef2ef0c8e30b48286adb92d9d113e889f3fffcfffcfffd),
    .Latency   (FpMulLatency)
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
