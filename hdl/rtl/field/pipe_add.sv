// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Pipelined addition: the operands are cut into chunks of equal width, and stage s
// adds chunk s with the carry of stage s - 1. sum = a + b + carry, after Stages cycles.
// Who uses it: the multipliers and modular adders of hdl/rtl/field.
module pipe_add #(
  parameter  int unsigned Width  = 64,
  localparam int unsigned Stages = arith_pkg::add_stages(Width)
) (
  input  logic             clk_i,
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  input  logic             carry_i,
  output logic [Width-1:0] sum_o,
  output logic             carry_o
);
  localparam int unsigned Chunk = (Width + Stages - 1) / Stages;

  for (genvar s = 0; s < Stages; s++) begin : g_stage
    // Bits below Low are summed; this stage sums those below High.
    localparam int unsigned Low = s * Chunk;
    localparam int unsigned High = (Low + Chunk > Width) ? Width : Low + Chunk;
    localparam int unsigned Bits = High - Low;

    logic [Width-Low-1:0] a;
    logic [Width-Low-1:0] b;
    logic                 carry;
    logic [       Bits:0] chunk;
    logic [     High-1:0] sum_q;
    logic                 carry_q;

    assign chunk = {1'b0, a[Bits-1:0]} + {1'b0, b[Bits-1:0]} + {{Bits{1'b0}}, carry};
    always_ff @(posedge clk_i) carry_q <= chunk[Bits];

    if (s == 0) begin : g_first
      assign a = a_i;
      assign b = b_i;
      assign carry = carry_i;
      always_ff @(posedge clk_i) sum_q <= chunk[Bits-1:0];
    end else begin : g_later
      assign a = g_stage[s-1].g_rest.a_q;
      assign b = g_stage[s-1].g_rest.b_q;
      assign carry = g_stage[s-1].carry_q;
      always_ff @(posedge clk_i) sum_q <= {chunk[Bits-1:0], g_stage[s-1].sum_q};
    end

    if (High < Width) begin : g_rest
      logic [Width-High-1:0] a_q;
      logic [Width-High-1:0] b_q;
      always_ff @(posedge clk_i) begin
        a_q <= a[Width-Low-1:Bits];
        b_q <= b[Width-Low-1:Bits];
      end
    end
  end

  assign sum_o = g_stage[Stages-1].sum_q;
  assign carry_o = g_stage[Stages-1].carry_q;
endmodule
