// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Synthesis view of add3 (hdl/rtl/field/add3.sv): the same ports and values, one LUT6_2 a bit
// and one carry chain. A LUT makes the sum of its three bits and, for the place above,
// their carry; the chain adds the carry from the place below to the sum.
// Who uses it: skew_add3, when hdl/syn/arith.f is read.
module add3 #(
  parameter int unsigned       Width  = 64,
  parameter logic        [2:0] Invert = 3'b000  // of c, b, a
) (
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  input  logic [Width-1:0] c_i,
  input  logic [      1:0] carry_i,
  output logic [Width-1:0] sum_o,
  output logic [      1:0] carry_o
);
  localparam int unsigned ChainBits = 8;  // of a CARRY8
  localparam int unsigned Chains = (Width + ChainBits - 1) / ChainBits;
  localparam int unsigned Padded = Chains * ChainBits;
  localparam int unsigned HalfTable = 32;

  // Inputs 0..2 are a, b, c, input 3 is the carry from below. Lower half (O5): the carry of
  // three bits. Upper half (O6): the sum of all four.
  function automatic logic [2*HalfTable-1:0] table_of(logic [2:0] invert);
    logic [2:0] bits;
    for (int unsigned i = 0; i < HalfTable; i++) begin
      bits = 3'(i) ^ invert;
      table_of[i] = (bits[0] & bits[1]) | (bits[0] & bits[2]) | (bits[1] & bits[2]);
      table_of[HalfTable+i] = ^bits ^ 1'(i >> 3);
    end
  endfunction

  logic [   Width:0] from_below;
  logic [  Padded:0] select;
  logic [  Padded:0] data;
  logic [  Padded:0] chain;
  logic [Padded-1:0] sum;

  assign from_below[0] = carry_i[1];
  for (genvar i = 0; i < Width; i++) begin : g_bit
    LUT6_2 #(
      .INIT(table_of(Invert))
    ) u_lut (
      .I0(a_i[i]),
      .I1(b_i[i]),
      .I2(c_i[i]),
      .I3(from_below[i]),
      .I4(1'b0),
      .I5(1'b1),
      .O5(from_below[i+1]),
      .O6(select[i])
    );
    assign data[i] = from_below[i];
  end
  if (Padded >= Width) begin : g_pad
    assign select[Padded:Width] = '0;
    assign data[Padded:Width]   = '0;
  end

  assign chain[0] = carry_i[0];
  for (genvar k = 0; k < Chains; k++) begin : g_chain
    CARRY8 #(
      .CARRY_TYPE("SINGLE_CY8")
    ) u_carry (
      .CI    (chain[k*ChainBits]),
      .CI_TOP(1'b0),
      .DI    (data[k*ChainBits+:ChainBits]),
      .S     (select[k*ChainBits+:ChainBits]),
      .O     (sum[k*ChainBits+:ChainBits]),
      .CO    (chain[k*ChainBits+1+:ChainBits])
    );
  end
  assign sum_o   = sum[Width-1:0];
  assign carry_o = {from_below[Width], chain[Width]};
endmodule
