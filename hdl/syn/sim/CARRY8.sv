// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Simulation model of a CARRY8 as one chain (Xilinx UG574). Not for synthesis.
module CARRY8 #(
  parameter CARRY_TYPE = "SINGLE_CY8"
) (
  input  logic       CI,
  input  logic       CI_TOP,
  input  logic [7:0] DI,
  input  logic [7:0] S,
  output logic [7:0] O,
  output logic [7:0] CO
);
  if (CARRY_TYPE != "SINGLE_CY8") begin : g_check
    $error("this model of a CARRY8 knows one chain of eight only");
  end

  logic carry;
  always_comb begin
    carry = CI;
    for (int unsigned i = 0; i < 8; i++) begin
      O[i]  = S[i] ^ carry;
      CO[i] = S[i] ? carry : DI[i];
      carry = CO[i];
    end
  end
endmodule
