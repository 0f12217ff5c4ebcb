// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Sum of three words in one carry chain, combinational. Operands may be inverted, and
// there are two carries in and out, each of weight 1 (a negative operand is the inverted
// one plus a carry). An UltraScale+ device needs one LUT a bit for it; hdl/syn/add3.sv
// says so cell by cell, this one says what it computes. Who uses it: pipe_add3, skew_add3.
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
  logic [Width+1:0] total;

  assign total = {2'b00, a_i ^ {Width{Invert[0]}}} + {2'b00, b_i ^ {Width{Invert[1]}}} + {2'b00, c_i ^ {Width{Invert[2]}}}
      + (Width + 2)'(carry_i[0]) + (Width + 2)'(carry_i[1]);
  assign sum_o = total[Width-1:0];
  assign carry_o = {total[Width+1], |total[Width+1:Width]};
endmodule
