// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Execution unit of the MSM_G1 command: the sum of scalar_i * base_i over points
// and scalars in card memory, by buckets, one complete adder, one point out.
// Connects the blocks of this folder; see hdl/doc/msm.md. Started by queue_engine
// through carillon_card.
module msm_engine
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter axi_id_t IdBase = MsmIdBase  // two read IDs and one write ID from here
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

  // AXI4 master to card memory
  output axi_ax_t mem_ar_o,
  output logic    mem_ar_valid_o,
  input  logic    mem_ar_ready_i,
  input  axi_r_t  mem_r_i,
  input  logic    mem_r_valid_i,
  output logic    mem_r_ready_o,
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

  wire addr_t  points_addr = cmd_i.op[0];
  wire addr_t  scalars_addr = cmd_i.op[1];
  wire count_t count = cmd_i.op[2][CountBits-1:0];
  wire addr_t  result_addr = cmd_i.op[3];

  // ---- Control ----
  logic start, flush, pass_start, phase, learn, touched, fault;
  logic fetch_busy, fetch_error, recoder_busy, all_in, empty, bad_scalar, bad_point;
  logic buckets_idle, idle, clear, aggregate_start, aggregate_done;
  logic combine_free, group_valid, group_last, combine_done, total_valid;
  logic total_read, write_start, write_busy, write_error;
  status_t status;
  count_t bad_index, fault_index;
  window_bits_t window_bits;
  bit_pos_t     pos;
  win_mask_t mask, group_mask;
  win_t    last_win;
  bucket_t clear_bucket;

  msm_control u_control (
    .clk_i,
    .rst_ni,
    .start_i,
    .count_i          (count),
    .window_bits_i    (cmd_i.window_bits),
    .abort_i,
    .busy_o,
    .done_o,
    .status_o         (status),
    .bad_index_o      (fault_index),
    .begin_o          (start),
    .window_bits_o    (window_bits),
    .pos_o            (pos),
    .mask_o           (mask),
    .last_win_o       (last_win),
    .learn_o          (learn),
    .touched_i        (touched),
    .flush_o          (flush),
    .pass_start_o     (pass_start),
    .phase_o          (phase),
    .fetch_busy_i     (fetch_busy),
    .fetch_error_i    (fetch_error),
    .recoder_busy_i   (recoder_busy),
    .all_in_i         (all_in),
    .empty_i          (empty),
    .bad_scalar_i     (bad_scalar),
    .bad_point_i      (bad_point),
    .bad_index_i      (bad_index),
    .buckets_idle_i   (buckets_idle),
    .idle_i           (idle),
    .fault_i          (fault),
    .clear_o          (clear),
    .clear_bucket_o   (clear_bucket),
    .aggregate_start_o(aggregate_start),
    .aggregate_done_i (aggregate_done),
    .combine_free_i   (combine_free),
    .group_valid_o    (group_valid),
    .group_mask_o     (group_mask),
    .group_last_o     (group_last),
    .combine_done_i   (combine_done),
    .total_read_o     (total_read),
    .write_start_o    (write_start),
    .write_busy_i     (write_busy),
    .write_error_i    (write_error)
  );

  // ---- Points and digits ----
  logic point_valid, point_ready, scalar_valid, scalar_ready, digits_valid, digits_ready;
  point_t          point;
  logic    [255:0] scalar;
  digits_t         digits;
  win_mask_t candidate_valid, candidate_take;
  candidate_t candidate  [MsmWindows];
  g1_t        taken_point[MsmWindows];

  msm_fetch #(
    .IdBase(IdBase)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .start_i       (pass_start),
    .points_addr_i (points_addr),
    .scalars_addr_i(scalars_addr),
    .count_i       (count),
    .flush_i       (flush),
    .busy_o        (fetch_busy),
    .error_o       (fetch_error),
    .point_valid_o (point_valid),
    .point_ready_i (point_ready),
    .point_o       (point),
    .scalar_valid_o(scalar_valid),
    .scalar_ready_i(scalar_ready),
    .scalar_o      (scalar),
    .ar_o          (mem_ar_o),
    .ar_valid_o    (mem_ar_valid_o),
    .ar_ready_i    (mem_ar_ready_i),
    .r_i           (mem_r_i),
    .r_valid_i     (mem_r_valid_i),
    .r_ready_o     (mem_r_ready_o)
  );

  msm_recoder u_recoder (
    .clk_i,
    .rst_ni,
    .window_bits_i (window_bits),
    .pos_i         (pos),
    .mask_i        (mask),
    .learn_i       (learn),
    .forget_i      (start),
    .touched_o     (touched),
    .flush_i       (flush),
    .busy_o        (recoder_busy),
    .scalar_valid_i(scalar_valid),
    .scalar_ready_o(scalar_ready),
    .scalar_i      (scalar),
    .digits_valid_o(digits_valid),
    .digits_ready_i(digits_ready),
    .digits_o      (digits)
  );

  msm_dispatch u_dispatch (
    .clk_i,
    .rst_ni,
    .start_i          (pass_start),
    .count_i          (count),
    .flush_i          (flush),
    .all_in_o         (all_in),
    .empty_o          (empty),
    .bad_scalar_o     (bad_scalar),
    .bad_point_o      (bad_point),
    .bad_index_o      (bad_index),
    .point_valid_i    (point_valid),
    .point_ready_o    (point_ready),
    .point_i          (point),
    .digits_valid_i   (digits_valid),
    .digits_ready_o   (digits_ready),
    .digits_i         (digits),
    .candidate_valid_o(candidate_valid),
    .candidate_o      (candidate),
    .candidate_take_i (candidate_take),
    .point_o          (taken_point)
  );

  // ---- Additions ----
  logic aggregate_valid, aggregate_grant, aggregate_return;
  logic combine_valid, combine_grant, combine_return;
  node_op_t aggregate_op, combine_op;
  take_t aggregate_take;
  access_t out_access[MsmWindows], in_access[MsmWindows];
  issue_t issue;
  logic node_write, bucket_issue, node_issue, sum_valid, sum_due;
  node_addr_t node_dst;
  g1_t        total;

  msm_scheduler u_scheduler (
    .clk_i,
    .rst_ni,
    .flush_i           (flush),
    .clear_i           (clear),
    .clear_bucket_i    (clear_bucket),
    .idle_o            (idle),
    .buckets_idle_o    (buckets_idle),
    .candidate_valid_i (candidate_valid),
    .candidate_i       (candidate),
    .candidate_take_o  (candidate_take),
    .aggregate_valid_i (aggregate_valid),
    .aggregate_op_i    (aggregate_op),
    .aggregate_take_i  (aggregate_take),
    .aggregate_grant_o (aggregate_grant),
    .aggregate_return_o(aggregate_return),
    .combine_valid_i   (combine_valid),
    .combine_op_i      (combine_op),
    .combine_grant_o   (combine_grant),
    .combine_return_o  (combine_return),
    .out_access_o      (out_access),
    .in_access_o       (in_access),
    .issue_o           (issue),
    .sum_due_o         (sum_due),
    .node_write_o      (node_write),
    .node_dst_o        (node_dst),
    .bucket_issue_o    (bucket_issue),
    .node_issue_o      (node_issue)
  );

  msm_aggregate u_aggregate (
    .clk_i,
    .rst_ni,
    .start_i       (aggregate_start),
    .window_bits_i (window_bits),
    .last_win_i    (last_win),
    .flush_i       (flush),
    .results_free_i(combine_free),
    .done_o        (aggregate_done),
    .op_valid_o    (aggregate_valid),
    .op_o          (aggregate_op),
    .take_o        (aggregate_take),
    .op_grant_i    (aggregate_grant),
    .op_return_i   (aggregate_return)
  );

  msm_combine u_combine (
    .clk_i,
    .rst_ni,
    .start_i      (start),
    .window_bits_i(window_bits),
    .flush_i      (flush),
    .free_o       (combine_free),
    .group_valid_i(group_valid),
    .group_mask_i (group_mask),
    .group_last_i (group_last),
    .done_o       (combine_done),
    .total_valid_o(total_valid),
    .op_valid_o   (combine_valid),
    .op_o         (combine_op),
    .op_grant_i   (combine_grant),
    .op_return_i  (combine_return)
  );

  msm_datapath u_datapath (
    .clk_i,
    .rst_ni,
    .out_access_i(out_access),
    .in_access_i (in_access),
    .issue_i     (issue),
    .node_write_i(node_write),
    .node_dst_i  (node_dst),
    .point_i     (taken_point),
    .total_read_i(total_read),
    .total_o     (total),
    .sum_valid_o (sum_valid)
  );

  assign fault = sum_valid != sum_due;

  // ---- Result ----
  msm_result #(
    .IdValue(IdBase)
  ) u_result (
    .clk_i,
    .rst_ni,
    .start_i      (write_start),
    .addr_i       (result_addr),
    .total_i      (total),
    .total_valid_i(total_valid),
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

  logic [31:0] node_adds;

  msm_counters u_counters (
    .clk_i,
    .rst_ni,
    .start_i        (start),
    .busy_i         (busy_o),
    .phase_i        (phase),
    .bucket_issue_i (bucket_issue),
    .node_issue_i   (node_issue),
    .waiting_i      (|candidate_valid),
    .streaming_i    (!all_in),
    .cycles_o       (result_o.cycles),
    .bucket_adds_o  (result_o.ops),
    .node_adds_o    (node_adds),
    .bubble_hazard_o(result_o.bubble_hazard),
    .bubble_memory_o(result_o.bubble_memory),
    .bubble_other_o (result_o.bubble_other)
  );

  assign result_o.status = status;
  always_comb begin
    unique case (status)
      StSuccess:               result_o.detail = node_adds;
      StBadScalar, StBadPoint: result_o.detail = fault_index;
      default:                 result_o.detail = '0;
    endcase
  end

  // Checked before the command comes here, or of no meaning to this unit.
  wire unused = &{1'b0, cmd_i.op[6:4], cmd_i.op[2][63:CountBits], cmd_i.reserved, cmd_i.log2n, cmd_i.cid, cmd_i.flags, cmd_i.opcode};

endmodule
