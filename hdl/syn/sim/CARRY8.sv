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

  logic [8:0] chain;
  always_comb begin
    chain[0] = CI;
    for (int unsigned i = 0; i < 8; i++) chain[i+1] = S[i] ? chain[i] : DI[i];
  end
  assign O  = S ^ chain[7:0];
  assign CO = chain[8:1];
endmodule
