// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Delays a valid bit by a fixed number of cycles; the reset empties it. Travels
// beside the delay_lines of a pipeline's data.
module valid_line #(
  parameter int unsigned Delay = 1  // cycles, at least 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  output logic valid_o
);
  logic [Delay-1:0] valid_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= Delay'({valid_q, valid_i});
  end

  assign valid_o = valid_q[Delay-1];
endmodule
