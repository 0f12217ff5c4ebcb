// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Product of two short words, cut to the unsigned multiplier of a DSP48E2. Behavioural
// view: it says what is computed and when; hdl/syn/mul_dsp.sv has the same ports and
// latency and says with which cells. Who uses it: the leaves of mul_karatsuba.
module mul_dsp
  import arith_pkg::*;
#(
  parameter int unsigned Width = 50
) (
  input  logic               clk_i,
  input  logic [  Width-1:0] a_i,
  input  logic [  Width-1:0] b_i,
  output logic [2*Width-1:0] p_o     // dsp_latency(Width) cycles later
);
  localparam int unsigned Rows = dsp_rows(Width);
  localparam int unsigned Columns = dsp_columns(Width);
  localparam int unsigned RowBits = DspA + Columns * DspB;
  localparam int unsigned TotalBits = Rows * DspA + Columns * DspB;
  localparam int unsigned OwnStages = 4;  // operands, products, rows, total

  logic [   Rows*DspA-1:0] a_q;
  logic [Columns*DspB-1:0] b_q;
  logic [   DspA+DspB-1:0] product_q[Rows] [Columns];
  logic [     RowBits-1:0] row_d    [Rows];
  logic [     RowBits-1:0] row_q    [Rows];
  logic [   TotalBits-1:0] total_d;
  logic [     2*Width-1:0] total_q;

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
    row_q   <= row_d;
    total_q <= total_d[2*Width-1:0];
  end

  delay_line #(
    .Width(2 * Width),
    .Delay(dsp_latency(Width) - OwnStages)
  ) u_pad (
    .clk_i,
    .data_i(total_q),
    .data_o(p_o)
  );
endmodule
