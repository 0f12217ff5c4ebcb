// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Schoolbook product of two short words, cut to the unsigned multiplier of a DSP48E2:
// 26 x 17 bits. Latency DspLatency: operand registers, products, sums of rows, total.
// Who uses it: the leaves of mul_karatsuba and mul_low.
module mul_dsp #(
  parameter int unsigned Width = 50
) (
  input  logic               clk_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic [2*Width-1:0] p_o
);
  localparam int unsigned DspA = 26;
  localparam int unsigned DspB = 17;
  localparam int unsigned Rows = (Width + DspA - 1) / DspA;
  localparam int unsigned Columns = (Width + DspB - 1) / DspB;
  localparam int unsigned RowBits = DspA + Columns * DspB;
  localparam int unsigned TotalBits = Rows * DspA + Columns * DspB;

  logic [   Rows*DspA-1:0] a_q;
  logic [Columns*DspB-1:0] b_q;
  logic [   DspA+DspB-1:0] product_q[Rows] [Columns];
  logic [     RowBits-1:0] row_d    [Rows];
  logic [     RowBits-1:0] row_q    [Rows];
  logic [   TotalBits-1:0] total_d;

  always_comb begin
    for (int unsigned r = 0; r < Rows; r++) begin
      row_d[r] = '0;
      for (int unsigned c = 0; c < Columns; c++) begin
        row_d[r] = row_d[r] + (RowBits'(product_q[r][c]) << (c * DspB));
      end
    end
  end

  always_comb begin
    total_d = '0;
    for (int unsigned r = 0; r < Rows; r++) begin
      total_d = total_d + (TotalBits'(row_q[r]) << (r * DspA));
    end
  end

  always_ff @(posedge clk_i) begin
    a_q <= (Rows * DspA)'(a_i);
    b_q <= (Columns * DspB)'(b_i);
    for (int unsigned r = 0; r < Rows; r++) begin
      for (int unsigned c = 0; c < Columns; c++) begin
        product_q[r][c] <= (DspA + DspB)'(a_q[r*DspA+:DspA]) * (DspA + DspB)'(b_q[c*DspB+:DspB]);
      end
    end
    row_q <= row_d;
    p_o   <= total_d[2*Width-1:0];
  end
endmodule
