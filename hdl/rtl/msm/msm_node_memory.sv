// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The sums of the aggregation and of the window combination: one write port for
// the adder's output, two read ports, read data one cycle later and held until
// the next read. In G2 a sum is two words. Used by: msm_datapath.
module msm_node_memory
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic       clk_i,
  input  logic       write_i,
  input  logic       write_half_i,  // G2: the second word
  input  node_addr_t write_addr_i,
  input  xyz_t       write_data_i,
  input  logic       read_half_i,
  input  logic       x_read_i,
  input  node_addr_t x_addr_i,
  output xyz_t       x_data_o,
  input  logic       y_read_i,
  input  node_addr_t y_addr_i,
  output xyz_t       y_data_o
);

  xyz_t sum_q[NodeDepth];

  always_ff @(posedge clk_i) begin
    if (write_i) sum_q[{write_half_i, write_addr_i}] <= write_data_i;
    if (x_read_i) x_data_o <= sum_q[{read_half_i, x_addr_i}];
    if (y_read_i) y_data_o <= sum_q[{read_half_i, y_addr_i}];
  end

endmodule
