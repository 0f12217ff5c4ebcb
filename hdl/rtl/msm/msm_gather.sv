// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Puts the lanes' blocks in order again: one pair a cycle (in G2 one half), by rising index, so that
// the first fault met is the one with the lowest index. Used by: msm_engine.
module msm_gather
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic   start_i,  // pulse
  input  count_t count_i,
  input  logic   flush_i,  // level: drop everything
  output logic   done_o,   // every block has passed

  input  logic      [MsmLanes-1:0] lane_valid_i,
  output logic      [MsmLanes-1:0] lane_ready_o,
  input  logic      [MsmLanes-1:0] lane_pair_i,
  input  logic      [MsmLanes-1:0] lane_last_i,
  input  raw_pair_t                lane_raw_i  [MsmLanes],

  output logic      raw_valid_o,
  input  logic      raw_ready_i,
  output raw_pair_t raw_o
);

  typedef logic [((MsmLanes > 1) ? $clog2(MsmLanes) : 1)-1:0] lane_t;
  typedef logic [CountBits-BlockPairsLog2:0] blocks_t;

  lane_t   lane_q;
  blocks_t blocks_q;  // still to pass
  logic    raw_valid_q;

  wire     out_free = !raw_valid_q || raw_ready_i;
  wire     pass = lane_valid_i[lane_q] && out_free && blocks_q != '0 && !flush_i;
  wire     block_done = pass && lane_last_i[lane_q];

  always_comb begin
    lane_ready_o = '0;
    lane_ready_o[lane_q] = out_free && blocks_q != '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      lane_q <= '0;
      blocks_q <= '0;
      raw_valid_q <= 1'b0;
    end else if (flush_i) begin
      blocks_q <= '0;
      raw_valid_q <= 1'b0;
    end else begin
      if (start_i) begin
        lane_q <= '0;
        blocks_q <= blocks_t'(count_i[CountBits-1:BlockPairsLog2]) + blocks_t'(|count_i[BlockPairsLog2-1:0]);
      end else if (block_done) begin
        lane_q <= (lane_q == lane_t'(MsmLanes - 1)) ? '0 : lane_q + 1'b1;
        blocks_q <= blocks_q - 1'b1;
      end
      if (out_free) raw_valid_q <= pass && lane_pair_i[lane_q];
    end
  end
  always_ff @(posedge clk_i) begin
    if (pass) raw_o <= lane_raw_i[lane_q];
  end

  assign raw_valid_o = raw_valid_q;
  assign done_o = blocks_q == '0 && !raw_valid_q;

endmodule
