// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// A plain word becomes a skewed one (arith_pkg): chunk k waits k cycles.
// Who uses it: mul_karatsuba.
module skew #(
  parameter int unsigned Width = 384
) (
  input  logic             clk_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  localparam int unsigned Chunk = arith_pkg::CarryBits;
  localparam int unsigned Chunks = arith_pkg::add_stages(Width);

  for (genvar k = 0; k < Chunks; k++) begin : g_chunk
    localparam int unsigned Low = k * Chunk;
    localparam int unsigned High = (Low + Chunk < Width) ? Low + Chunk : Width;
    delay_line #(
      .Width(High - Low),
      .Delay(k)
    ) u_delay (
      .clk_i,
      .data_i(data_i[High-1:Low]),
      .data_o(data_o[High-1:Low])
    );
  end
endmodule
