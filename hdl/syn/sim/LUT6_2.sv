// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Simulation model of a LUT6_2 (Xilinx UG574): one table of six inputs, whose lower half
// is a table of five of its own. Not for synthesis.
module LUT6_2 #(
  parameter logic [63:0] INIT = '0
) (
  input  logic I0,
  input  logic I1,
  input  logic I2,
  input  logic I3,
  input  logic I4,
  input  logic I5,
  output logic O5,
  output logic O6
);
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule
