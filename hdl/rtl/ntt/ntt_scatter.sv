// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Packs the results of butterflies into the beats of one or two write streams,
// for the three layouts of ntt_pkg. The mirror of ntt_gather. Called by
// ntt_datapath; the streams are ntt_engine's stream_writers.
//
// The butterfly pipeline cannot be held up, so a place for each beat is
// reserved when its first butterfly is issued.
module ntt_scatter
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
(
  input logic      clk_i,
  input logic      rst_ni,
  input logic      clear_i,    // drop everything
  input layout_e   layout_i,
  input logic      single_i,
  input run_log2_t run_log2_i,

  output logic ready_o,  // the results of one more butterfly have a place
  input  logic issue_i,  // and it is issued

  input logic valid_i,
  input fr_t  u_i,
  input fr_t  v_i,

  output logic  beat_valid_o[2],
  input  logic  beat_ready_i[2],
  output beat_t beat_o      [2]
);
  // Beats on the way through the butterfly at full rate, and a run that waits for its turn.
  localparam int unsigned FifoLog2 = $clog2(ButterflyLatency + (1 << MergeLog2));
  typedef logic [FifoLog2:0] count_t;

  logic paired, merged;
  assign paired = (layout_i == LayoutPaired);
  assign merged = (layout_i == LayoutMerged);

  // ---- Results to beats ----
  logic lane_q;
  fr_t first_u_q, first_v_q;
  logic push[2], pop[2], head_valid[2];
  logic [1:0] unused_full;  // never full: places are reserved
  beat_t packed_beat[2], head[2];

  assign push[0] = valid_i && (paired || lane_q);
  assign push[1] = valid_i && !paired && lane_q;

  always_comb begin
    packed_beat[1] = {FrImageBits'(v_i), FrImageBits'(first_v_q)};
    if (!paired) packed_beat[0] = {FrImageBits'(u_i), FrImageBits'(first_u_q)};
    else packed_beat[0] = {single_i ? FrImageBits'(0) : FrImageBits'(v_i), FrImageBits'(u_i)};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) lane_q <= 1'b0;
    else if (clear_i) lane_q <= 1'b0;
    else if (valid_i) lane_q <= !paired && !lane_q;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i && !lane_q) begin
      first_u_q <= u_i;
      first_v_q <= v_i;
    end
  end

  for (genvar i = 0; i < 2; i++) begin : gen_result
    fifo #(
      .T        (beat_t),
      .DepthLog2(FifoLog2)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .clear_i,
      .push_i (push[i]),
      .data_i (packed_beat[i]),
      .full_o (unused_full[i]),
      .valid_o(head_valid[i]),
      .data_o (head[i]),
      .pop_i  (pop[i])
    );
  end

  // ---- Reservations ----
  logic issue_lane_q, reserve;
  count_t reserved_q[2];

  assign ready_o  = issue_lane_q || (!reserved_q[0][FifoLog2] && !reserved_q[1][FifoLog2]);
  assign reserve = issue_i && !issue_lane_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      issue_lane_q  <= 1'b0;
      reserved_q[0] <= '0;
      reserved_q[1] <= '0;
    end else if (clear_i) begin
      issue_lane_q  <= 1'b0;
      reserved_q[0] <= '0;
      reserved_q[1] <= '0;
    end else begin
      if (issue_i) issue_lane_q <= !paired && !issue_lane_q;
      reserved_q[0] <= reserved_q[0] + count_t'(reserve) - count_t'(pop[0]);
      reserved_q[1] <= reserved_q[1] + count_t'(reserve && !paired) - count_t'(pop[1]);
    end
  end

  // ---- Beats to the streams ----
  logic [MergeLog2:0] beats_q;  // given to a merged stream
  logic               second_run;

  assign second_run      = merged && beats_q[run_log2_i];
  assign beat_valid_o[0] = second_run ? head_valid[1] : head_valid[0];
  assign beat_o[0]       = second_run ? head[1] : head[0];
  assign beat_valid_o[1] = !merged && head_valid[1];
  assign beat_o[1]       = head[1];
  assign pop[0]          = beat_valid_o[0] && beat_ready_i[0] && !second_run;
  assign pop[1]          = second_run ? beat_valid_o[0] && beat_ready_i[0] : beat_valid_o[1] && beat_ready_i[1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) beats_q <= '0;
    else if (clear_i) beats_q <= '0;
    else if (beat_valid_o[0] && beat_ready_i[0]) beats_q <= beats_q + 1'b1;
  end
endmodule
