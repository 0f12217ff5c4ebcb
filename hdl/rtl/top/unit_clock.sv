// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The clock of one execution unit: stopped while the unit has nothing to do, which
// saves power on a board and most of the time of a simulation. It runs on for
// 2^TailLog2 cycles after the last work, so that free-running pipelines are empty when it
// stops. Used by: carillon_card, one per large unit.
module unit_clock #(
  parameter int unsigned TailLog2 = 8  // more than any pipeline's latency
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic want_i,  // the unit starts or is busy
  output logic clk_o
);

  logic [TailLog2:0] tail_q;  // cycles left; the top bit stands for "as new"
  wire               on = want_i || tail_q != '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) tail_q <= {1'b1, {TailLog2{1'b0}}};
    else if (want_i) tail_q <= {1'b1, {TailLog2{1'b0}}};
    else if (on) tail_q <= tail_q - 1'b1;
  end

  // Clock gate: the enable passes while the clock is low, so clk_o has no short pulses.
  // A board replaces these two lines by its own cell (UltraScale+: BUFGCE).
  logic on_q;
  always_latch begin
    if (!clk_i) on_q = on;
  end
  assign clk_o = clk_i && on_q;

endmodule
