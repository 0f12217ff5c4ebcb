// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Execution unit of MSM_G1 and MSM_G2: the sum of scalar_i * base_i over points
// and scalars in card memory, by buckets, in MsmAdders units with a complete adder
// each, one point out. Connects the blocks of this folder; see hdl/doc/msm.md.
// Started by queue_engine through carillon_card.
module msm_engine
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter axi_id_t IdBase = MsmIdBase  // its write ID; each lane has two read IDs of its own
) (
  input logic clk_i,
  input logic rst_ni,

  // Execution unit (hdl/doc/blocks.md)
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // Lanes: read ports to card memory
  output axi_ax_t [MsmLanes-1:0] lane_ar_o,
  output logic    [MsmLanes-1:0] lane_ar_valid_o,
  input  logic    [MsmLanes-1:0] lane_ar_ready_i,
  input  axi_r_t  [MsmLanes-1:0] lane_r_i,
  input  logic    [MsmLanes-1:0] lane_r_valid_i,
  output logic    [MsmLanes-1:0] lane_r_ready_o,

  // AXI4 master to card memory: the result
  output axi_ax_t mem_aw_o,
  output logic    mem_aw_valid_o,
  input  logic    mem_aw_ready_i,
  output axi_w_t  mem_w_o,
  output logic    mem_w_valid_o,
  input  logic    mem_w_ready_i,
  input  axi_b_t  mem_b_i,
  input  logic    mem_b_valid_i,
  output logic    mem_b_ready_o
);

  wire addr_t                            points_addr = cmd_i.op[0];
  wire addr_t                            scalars_addr = cmd_i.op[1];
  wire count_t                           count = cmd_i.op[2][CountBits-1:0];
  wire addr_t                            result_addr = cmd_i.op[3];

  // ---- Mode: of the command at hand, until the next one comes ----
  logic                                  g2_q;
  logic        [$clog2(G2AddCycles)-1:0] slot_q;
  wire                                   g2 = busy_o ? g2_q : cmd_i.opcode == OpMsmG2;
  wire                                   slot = slot_q == '0;  // additions may start

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      g2_q <= 1'b0;
      slot_q <= '0;
    end else begin
      if (start_i && !busy_o) g2_q <= cmd_i.opcode == OpMsmG2;
      slot_q <= (!g2_q || slot_q == ($bits(slot_q))'(G2AddCycles - 1)) ? '0 : slot_q + 1'b1;
    end
  end

  // ---- Control ----
  logic run_start, full, learn, touched, flush, group_start, stream_start, sum_start;
  logic prepare_busy, prepare_empty, gathered, bad_scalar, bad_point, clear;
  logic totals_half, totals_start, totals_done, write_start, write_busy, write_error;
  logic [MsmLanes-1:0] lane_busy, lane_error;
  logic [MsmAdders-1:0] empty, sum_busy, total_done, total_valid, idle, fault, ready;
  window_bits_t window_bits;
  geometry_t    geometry;
  bit_pos_t     pos;
  group_mask_t  mask;
  group_win_t   last;
  cell_t        clear_place;
  status_t      status;
  count_t       fault_index;
  pair_t        pair;
  logic         pair_valid;
  wire          all_in = gathered && prepare_empty;

  msm_control u_control (
    .clk_i,
    .rst_ni,
    .start_i,
    .count_i       (count),
    .window_bits_i (cmd_i.window_bits),
    .g2_i          (g2),
    .full_scalars_i((cmd_i.flags & FlagFullScalars) != '0),
    .abort_i,
    .busy_o,
    .done_o,
    .status_o      (status),
    .bad_index_o   (fault_index),
    .run_start_o   (run_start),
    .window_bits_o (window_bits),
    .full_o        (full),
    .geometry_o    (geometry),
    .pos_o         (pos),
    .mask_o        (mask),
    .last_o        (last),
    .learn_o       (learn),
    .touched_i     (touched),
    .flush_o       (flush),
    .group_start_o (group_start),
    .stream_start_o(stream_start),
    .sum_start_o   (sum_start),
    .fetch_busy_i  (|lane_busy),
    .fetch_error_i (|lane_error),
    .prepare_busy_i(prepare_busy),
    .all_in_i      (all_in),
    .empty_i       (empty),
    .sum_busy_i    (sum_busy),
    .total_done_i  (total_done),
    .idle_i        (idle),
    .fault_i       (fault),
    .bad_scalar_i  (bad_scalar),
    .bad_point_i   (bad_point),
    .bad_index_i   (pair.index),
    .clear_o       (clear),
    .clear_place_o (clear_place),
    .totals_start_o(totals_start),
    .totals_done_i (totals_done),
    .write_start_o (write_start),
    .write_busy_i  (write_busy),
    .write_error_i (write_error)
  );

  // ---- Pairs from memory, in order ----
  logic [MsmLanes-1:0] lane_valid, lane_ready, lane_pair, lane_last;
  raw_pair_t lane_raw[MsmLanes];
  logic raw_valid, raw_ready;
  raw_pair_t raw;

  for (genvar l = 0; l < MsmLanes; l++) begin : gen_lane
    msm_lane #(
      .Lane(l)
    ) u_lane (
      .clk_i,
      .rst_ni,
      .g2_i          (g2_q),
      .start_i       (stream_start),
      .points_addr_i (points_addr),
      .scalars_addr_i(scalars_addr),
      .count_i       (count),
      .flush_i       (flush),
      .busy_o        (lane_busy[l]),
      .error_o       (lane_error[l]),
      .valid_o       (lane_valid[l]),
      .ready_i       (lane_ready[l]),
      .pair_o        (lane_pair[l]),
      .last_o        (lane_last[l]),
      .raw_o         (lane_raw[l]),
      .ar_o          (lane_ar_o[l]),
      .ar_valid_o    (lane_ar_valid_o[l]),
      .ar_ready_i    (lane_ar_ready_i[l]),
      .r_i           (lane_r_i[l]),
      .r_valid_i     (lane_r_valid_i[l]),
      .r_ready_o     (lane_r_ready_o[l])
    );
  end

  msm_gather u_gather (
    .clk_i,
    .rst_ni,
    .start_i     (stream_start),
    .count_i     (count),
    .flush_i     (flush),
    .done_o      (gathered),
    .lane_valid_i(lane_valid),
    .lane_ready_o(lane_ready),
    .lane_pair_i (lane_pair),
    .lane_last_i (lane_last),
    .lane_raw_i  (lane_raw),
    .raw_valid_o (raw_valid),
    .raw_ready_i (raw_ready),
    .raw_o       (raw)
  );

  // The first faulty pair stays where it is and stops the pass.
  wire bad = pair.bad_scalar || pair.bad_point;
  wire pair_take = pair_valid && !bad && (&ready) && !flush;
  assign bad_scalar = pair_valid && pair.bad_scalar;
  assign bad_point = pair_valid && pair.bad_point && !pair.bad_scalar;

  msm_prepare u_prepare (
    .clk_i,
    .rst_ni,
    .g2_i         (g2_q),
    .window_bits_i(window_bits),
    .full_i       (full),
    .offset_i     (geometry.offset),
    .pos_i        (pos),
    .mask_i       (mask),
    .learn_i      (learn),
    .forget_i     (run_start),
    .touched_o    (touched),
    .flush_i      (flush),
    .busy_o       (prepare_busy),
    .empty_o      (prepare_empty),
    .raw_valid_i  (raw_valid),
    .raw_ready_o  (raw_ready),
    .raw_i        (raw),
    .pair_valid_o (pair_valid),
    .pair_ready_i (pair_take),
    .pair_o       (pair)
  );

  // ---- Units ----
  logic [MsmAdders-1:0] total_read;
  xyz_t total[MsmAdders], other;
  xyz_t [1:0] sum_words;
  logic other_write, other_add;
  logic [MsmAdders-1:0][31:0] bucket_adds, node_adds, hazard, memory, rest;

  for (genvar a = 0; a < MsmAdders; a++) begin : gen_unit
    msm_unit #(
      .Index(a)
    ) u_unit (
      .clk_i,
      .rst_ni,
      .g2_i           (g2_q),
      .slot_i         (slot),
      .start_i        (run_start),
      .window_bits_i  (window_bits),
      .top_last_i     (geometry.top_last),
      .group_last_i   (geometry.group_last),
      .groups_i       (geometry.groups),
      .flush_i        (flush),
      .clear_i        (clear),
      .clear_place_i  (clear_place),
      .idle_o         (idle[a]),
      .fault_o        (fault[a]),
      .group_i        (group_start),
      .last_i         (last),
      .streaming_i    (!all_in),
      .empty_o        (empty[a]),
      .sum_i          (sum_start),
      .sum_busy_o     (sum_busy[a]),
      .ready_o        (ready[a]),
      .take_i         (pair_take),
      .second_i       (pair.second),
      .point_i        (pair.point),
      .digits_i       (pair.digits[a]),
      .done_o         (total_done[a]),
      .total_valid_o  (total_valid[a]),
      .total_half_i   (totals_half),
      .total_read_i   (total_read[a]),
      .total_o        (total[a]),
      .other_write_i  ((a == 0) && other_write),
      .other_i        (other),
      .other_add_i    ((a == 0) && other_add),
      .bucket_adds_o  (bucket_adds[a]),
      .node_adds_o    (node_adds[a]),
      .bubble_hazard_o(hazard[a]),
      .bubble_memory_o(memory[a]),
      .bubble_other_o (rest[a])
    );
  end

  msm_totals u_totals (
    .clk_i,
    .rst_ni,
    .g2_i   (g2_q),
    .start_i(totals_start),
    .flush_i(flush),
    .done_i (total_done),
    .valid_i(total_valid),
    .half_o (totals_half),
    .read_o (total_read),
    .total_i(total),
    .write_o(other_write),
    .other_o(other),
    .add_o  (other_add),
    .done_o (totals_done),
    .sum_o  (sum_words)
  );

  // ---- Result ----
  msm_result #(
    .IdValue(IdBase)
  ) u_result (
    .clk_i,
    .rst_ni,
    .g2_i         (g2_q),
    .start_i      (write_start),
    .addr_i       (result_addr),
    .total_i      (sum_words),
    .total_valid_i(total_valid[0]),
    .flush_i      (flush),
    .busy_o       (write_busy),
    .error_o      (write_error),
    .aw_o         (mem_aw_o),
    .aw_valid_o   (mem_aw_valid_o),
    .aw_ready_i   (mem_aw_ready_i),
    .w_o          (mem_w_o),
    .w_valid_o    (mem_w_valid_o),
    .w_ready_i    (mem_w_ready_i),
    .b_i          (mem_b_i),
    .b_valid_i    (mem_b_valid_i),
    .b_ready_o    (mem_b_ready_o)
  );

  // ---- Counters ----
  function automatic logic [31:0] sum(logic [MsmAdders-1:0][31:0] of);
    logic [33:0] all;
    all = '0;
    for (int unsigned a = 0; a < MsmAdders; a++) all = all + 34'(of[a]);
    return (all[33:32] != '0) ? '1 : all[31:0];
  endfunction

  logic [31:0] cycles_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) cycles_q <= '0;
    else if (start_i && !busy_o) cycles_q <= 32'd1;
    else if (busy_o && cycles_q != '1) cycles_q <= cycles_q + 32'd1;
  end

  assign result_o.cycles = cycles_q;
  assign result_o.ops = sum(bucket_adds);
  assign result_o.bubble_hazard = sum(hazard);
  assign result_o.bubble_memory = sum(memory);
  assign result_o.bubble_other = sum(rest);
  assign result_o.status = status;
  always_comb begin
    unique case (status)
      StSuccess:               result_o.detail = sum(node_adds);
      StBadScalar, StBadPoint: result_o.detail = fault_index;
      default:                 result_o.detail = '0;
    endcase
  end

  // Checked before the command comes here, or of no meaning to this unit.
  wire unused = &{1'b0, cmd_i.op[6:4], cmd_i.op[2][63:CountBits], cmd_i.reserved, cmd_i.log2n, cmd_i.cid, geometry};

endmodule
