// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Moves a skewed word (arith_pkg) by Shift places and keeps it skewed: bit i becomes
// bit i + Shift, and waits Delay cycles and one for each chunk border that it crosses
// upwards. Places that no bit comes to are zero; bits that leave the frame are lost.
// Who uses it: mul_karatsuba, mul_const, mont_mul.
module skew_shift #(
  parameter int unsigned Width = 384,
  parameter int unsigned Frame = 384,  // width of the result
  parameter int          Shift = 0,
  parameter int unsigned Delay = 0     // at least the chunk borders crossed downwards
) (
  input  logic             clk_i,
  input  logic [Width-1:0] data_i,
  output logic [Frame-1:0] data_o
);
  localparam int Chunk = int'(arith_pkg::CarryBits);
  localparam int unsigned FromChunks = arith_pkg::add_stages(Width);
  localparam int unsigned ToChunks = arith_pkg::add_stages(Frame);

  function automatic int larger(int a, int b);
    return (a > b) ? a : b;
  endfunction
  function automatic int smaller(int a, int b);
    return (a < b) ? a : b;
  endfunction

  // Where the word lies in the frame.
  localparam int Bottom = larger(Shift, 0);
  localparam int Top = smaller(int'(Width) + Shift, int'(Frame));

  if (Bottom > 0) begin : g_below
    assign data_o[Bottom-1:0] = '0;
  end
  if (Top < int'(Frame)) begin : g_above
    assign data_o[Frame-1:Top] = '0;
  end
  for (genvar to = 0; to < ToChunks; to++) begin : g_to
    for (genvar from = 0; from < FromChunks; from ++) begin : g_from
      // The result's bits [Low, High) are in chunk `to` and come from chunk `from`.
      localparam int Low = larger(Bottom, larger(int'(to) * Chunk, int'(from) * Chunk + Shift));
      localparam int High = smaller(Top, smaller(int'(to + 1) * Chunk, int'(from + 1) * Chunk + Shift));
      if (High > Low) begin : g_bits
        delay_line #(
          .Width(High - Low),
          .Delay(int'(Delay) + int'(to) - int'(from))
        ) u_delay (
          .clk_i,
          .data_i(data_i[High-Shift-1:Low-Shift]),
          .data_o(data_o[High-1:Low])
        );
      end
    end
  end
endmodule
