// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Synchronous FIFO of 2^DepthLog2 entries of any type. data_o is the oldest
// entry whenever valid_o is set (first word falls through). Pushing when full
// and popping when empty are the caller's mistakes and are ignored.
// Used by: the streams and muxes of this folder, the queue engine.
module fifo #(
  parameter type         T         = logic [7:0],
  parameter int unsigned DepthLog2 = 4
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic clear_i,  // drop everything
  input  logic push_i,
  input  T     data_i,
  output logic full_o,
  output logic valid_o,
  output T     data_o,
  input  logic pop_i
);

  localparam int unsigned Depth = 1 << DepthLog2;

  T mem_q[Depth];
  logic [DepthLog2:0] head_q, tail_q;  // one bit more than the index: full and empty differ

  wire push = push_i && !full_o;
  wire pop = pop_i && valid_o;

  assign valid_o = head_q != tail_q;
  assign full_o = head_q[DepthLog2-1:0] == tail_q[DepthLog2-1:0] && head_q[DepthLog2] != tail_q[DepthLog2];
  assign data_o = mem_q[head_q[DepthLog2-1:0]];

  always_ff @(posedge clk_i) begin
    if (push) mem_q[tail_q[DepthLog2-1:0]] <= data_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      head_q <= '0;
      tail_q <= '0;
    end else if (clear_i) begin
      head_q <= '0;
      tail_q <= '0;
    end else begin
      if (push) tail_q <= tail_q + 1'b1;
      if (pop) head_q <= head_q + 1'b1;
    end
  end

endmodule
