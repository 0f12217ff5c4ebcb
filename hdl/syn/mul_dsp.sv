// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Synthesis view of mul_dsp (hdl/rtl/field/mul_dsp.sv): the same ports, values and
// latency, in DSP48E2 cells alone. Row r multiplies 26 bits of a by the 17-bit columns
// of b: each cell adds the one before it, 17 bits down, through the cascade, so that
// digit c of the row's sum leaves cell c. What a row leaves above its lowest 26 bits
// enters the next row through the cells' C ports; no adder outside the cells is needed.
// Who uses it: the leaves of skew_mul, when hdl/syn/arith.f is read.
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
  localparam int unsigned Latency = dsp_latency(Width);
  localparam int unsigned TotalBits = Rows * DspA + Columns * DspB;
  localparam int unsigned CellBits = 48;
  localparam int unsigned ChainBits = 30;
  // The next row's digit c starts this far into this row's digit c + 1.
  localparam int unsigned Offset = DspA - DspB;
  // From the cells' C port to its register, and from there to the sum.
  localparam int unsigned CStages = 2;

  if (Columns < 3) begin : g_check
    $error("mul_dsp's rows need three columns: %0d bits are too few", Width);
  end

  logic [   Rows*DspA-1:0] a;
  logic [Columns*DspB-1:0] b;
  logic [   TotalBits-1:0] total;
  assign a = (Rows * DspA)'(a_i);
  assign b = (Columns * DspB)'(b_i);

  for (genvar r = 0; r < Rows; r++) begin : g_row
    localparam int unsigned First = dsp_cycle(Width, r, 0);  // its first digit's cycle
    // Cycles that operands wait; one of them is a register in the cell.
    localparam int unsigned Wait = First - DspStages;

    logic [ CellBits-1:0] digit  [  Columns];
    logic [ CellBits-1:0] chain  [Columns+1];
    logic [ChainBits-1:0] a_chain[Columns+1];
    logic [     DspA-1:0] a_row;
    assign chain[0]   = '0;
    assign a_chain[0] = '0;

    delay_line #(
      .Width(DspA),
      .Delay((Wait > 0) ? Wait - 1 : 0)
    ) u_a (
      .clk_i,
      .data_i(a[r*DspA+:DspA]),
      .data_o(a_row)
    );

    for (genvar c = 0; c < Columns; c++) begin : g_column
      logic [    DspB-1:0] b_digit;
      logic [CellBits-1:0] above;  // of the row above
      delay_line #(
        .Width(DspB),
        .Delay((Wait + c > 0) ? Wait + c - 1 : 0)
      ) u_b (
        .clk_i,
        .data_i(b[c*DspB+:DspB]),
        .data_o(b_digit)
      );

      if (r == 0) begin : g_top
        assign above = '0;
      end else if (c + 2 < Columns) begin : g_two_digits
        // Digit c + 2 has just left its cell, digit c + 1 one cycle before.
        logic [DspB-Offset-1:0] low_q;
        always_ff @(posedge clk_i) low_q <= g_row[r-1].digit[c+1][DspB-1:Offset];
        assign above = CellBits'({g_row[r-1].digit[c+2][Offset-1:0], low_q});
      end else begin : g_last_digit
        // The last digit of the row above is wide.
        localparam int unsigned Low = Offset + (c + 2 - Columns) * DspB;
        localparam int unsigned High = (c + 1 < Columns) ? Low + DspB : CellBits;
        localparam int unsigned Ready = dsp_cycle(Width, r - 1, Columns - 1);
        logic [High-Low-1:0] last;
        delay_line #(
          .Width(High - Low),
          .Delay(First + c - CStages - Ready)
        ) u_last (
          .clk_i,
          .data_i(g_row[r-1].digit[Columns-1][High-1:Low]),
          .data_o(last)
        );
        assign above = CellBits'(last);
      end

      dsp_cell #(
        .Chained(c > 0),
        .AddC   (r > 0),
        .AStages((c == 0 && Wait > 0) ? 2 : 1),
        .BStages((Wait + c > 0) ? 2 : 1)
      ) u_cell (
        .clk_i,
        .a_i      (a_row),
        .a_chain_i(a_chain[c]),
        .a_chain_o(a_chain[c+1]),
        .b_i      (b_digit),
        .c_i      (above),
        .p_chain_i(chain[c]),
        .p_chain_o(chain[c+1]),
        .p_o      (digit[c])
      );

      // The digit's bits that are final: all in the last row, else the lowest of the row.
      localparam int unsigned Place = r * DspA + c * DspB;
      localparam int unsigned RowEnd = (r + 1 < Rows) ? (r + 1) * DspA : TotalBits;
      localparam int unsigned DigitEnd = (c + 1 < Columns) ? Place + DspB : TotalBits;
      localparam int unsigned FinalEnd = (DigitEnd < RowEnd) ? DigitEnd : RowEnd;
      if (FinalEnd > Place) begin : g_final
        delay_line #(
          .Width(FinalEnd - Place),
          .Delay(Latency - First - c)
        ) u_final (
          .clk_i,
          .data_i(digit[c][FinalEnd-Place-1:0]),
          .data_o(total[FinalEnd-1:Place])
        );
      end
    end
  end

  assign p_o = total[2*Width-1:0];
endmodule
