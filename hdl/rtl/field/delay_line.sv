// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Delays a word by a fixed number of cycles; no reset, so that FPGAs map it to
// shift-register LUTs. Who uses it: the arithmetic pipelines.
module delay_line #(
  parameter int unsigned Width = 1,
  parameter int unsigned Delay = 1   // cycles, may be 0
) (
  input  logic             clk_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  if (Delay == 0) begin : g_wire
    logic unused_clk;
    assign unused_clk = clk_i;
    assign data_o = data_i;
  end else if (Delay == 1) begin : g_register
    always_ff @(posedge clk_i) data_o <= data_i;
  end else begin : g_shift
    logic [Width-1:0] word_q[Delay];
    always_ff @(posedge clk_i) begin
      word_q[0] <= data_i;
      for (int unsigned i = 1; i < Delay; i++) word_q[i] <= word_q[i-1];
    end
    assign data_o = word_q[Delay-1];
  end
endmodule
