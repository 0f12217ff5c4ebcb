// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// An adder and all that keeps it busy: every MsmAdders-th window, from the pairs
// of the common stream to the unit's total. Connects the blocks; see hdl/doc/msm.md.
// Used by: msm_engine.
module msm_unit
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter int unsigned Index = 0
) (
  input logic clk_i,
  input logic rst_ni,

  // Run
  input  logic               g2_i,           // held from before start_i until idle
  input  logic               slot_i,         // additions may start
  input  logic               start_i,        // pulse: a new command; the next four are held
  input  window_bits_t       window_bits_i,
  input  group_win_t         top_last_i,
  input  group_win_t         group_last_i,
  input  logic         [7:0] groups_i,
  input  logic               flush_i,        // level: drop everything
  input  logic               clear_i,        // mark one bucket of every bank empty
  input  cell_t              clear_place_i,
  output logic               idle_o,         // no addition under way
  output logic               fault_o,        // the adder and the scheduler disagree

  // Group
  input  logic       group_i,      // pulse: a group begins
  input  group_win_t last_i,       // its highest window, of all units; held
  input  logic       streaming_i,  // pairs are still to come
  output logic       empty_o,      // no digit is left
  input  logic       sum_i,        // pulse: the buckets are to be summed
  output logic       sum_busy_o,   // buckets are still to be taken

  // Pairs, for all units at once
  output logic         ready_o,
  input  logic         take_i,
  input  logic         second_i,  // G2: the second word of a point
  input  point_t       point_i,
  input  unit_digits_t digits_i,

  // Total
  output logic done_o,         // level: the total is there
  output logic total_valid_o,  // else it is infinity
  input  logic total_half_i,   // G2: which word of a total
  input  logic total_read_i,   // while nothing else goes on: total_o in the next cycle
  output xyz_t total_o,
  input  logic other_write_i,  // while nothing else goes on: keep another unit's total,
  input  xyz_t other_i,
  input  logic other_add_i,    // and add it

  // Counters
  output logic [31:0] bucket_adds_o,
  output logic [31:0] node_adds_o,
  output logic [31:0] bubble_hazard_o,
  output logic [31:0] bubble_memory_o,
  output logic [31:0] bubble_other_o
);

  localparam group_win_t Unit = group_win_t'(Index);

  // ---- Points and digits ----
  bank_mask_t candidate_valid, candidate_take;
  candidate_t                   candidate  [MsmBanks];
  xyz_t                         taken_point[MsmBanks];
  win_mask_t                    touched;
  bucket_t    [UnitWindows-1:0] highest;

  msm_dispatch u_dispatch (
    .clk_i,
    .rst_ni,
    .g2_i,
    .window_bits_i,
    .run_i            (start_i),
    .start_i          (group_i),
    .flush_i,
    .empty_o,
    .ready_o,
    .take_i,
    .second_i,
    .point_i,
    .digits_i,
    .candidate_valid_o(candidate_valid),
    .candidate_o      (candidate),
    .candidate_take_i (candidate_take),
    .point_o          (taken_point),
    .touched_o        (touched),
    .highest_o        (highest)
  );

  // ---- Additions ----
  logic sum_valid, sum_grant, tree_valid, tree_grant, combine_valid, combine_grant;
  node_op_t sum_op, tree_op, combine_op;
  take_t        sum_take;
  node_return_t returned;
  win_mask_t windows_busy, waiting, skipped, summed;
  win_t [1:0] batch_first, batch_last;
  logic tree_done;
  access_t out_access[MsmBanks], in_access[MsmBanks];
  issue_t issue;
  logic node_grant, node_write, node_half, bucket_issue, node_issue, adder_valid, adder_due;
  node_addr_t node_dst;

  // The combination is the longest chain of all: first.
  assign combine_grant = node_grant && combine_valid;
  assign tree_grant = node_grant && !combine_valid;

  msm_scheduler u_scheduler (
    .clk_i,
    .rst_ni,
    .g2_i,
    .slot_i,
    .flush_i,
    .clear_i,
    .clear_place_i,
    .idle_o,
    .windows_busy_o   (windows_busy),
    .candidate_valid_i(candidate_valid),
    .candidate_i      (candidate),
    .candidate_take_o (candidate_take),
    .node_valid_i     (combine_valid || tree_valid),
    .node_op_i        (combine_valid ? combine_op : tree_op),
    .node_grant_o     (node_grant),
    .sum_valid_i      (sum_valid),
    .sum_op_i         (sum_op),
    .sum_take_i       (sum_take),
    .sum_grant_o      (sum_grant),
    .return_o         (returned),
    .out_access_o     (out_access),
    .in_access_o      (in_access),
    .issue_o          (issue),
    .sum_due_o        (adder_due),
    .node_write_o     (node_write),
    .node_half_o      (node_half),
    .node_dst_o       (node_dst),
    .bucket_issue_o   (bucket_issue),
    .node_issue_o     (node_issue)
  );

  wire sum_return = returned.valid && returned.owner == OwnerSum;

  msm_rows u_rows (
    .clk_i,
    .rst_ni,
    .start_i       (sum_i),
    .has_windows_i (unit_has_windows(last_i, Unit)),
    .last_win_i    (unit_last_win(last_i, Unit)),
    .window_bits_i,
    .touched_i     (touched),
    .highest_i     (highest),
    .windows_busy_i(windows_busy),
    .flush_i,
    .busy_o        (sum_busy_o),
    .batch_first_o (batch_first),
    .batch_last_o  (batch_last),
    .tree_done_i   (tree_done),
    .waiting_i     (waiting),
    .skipped_o     (skipped),
    .op_valid_o    (sum_valid),
    .op_o          (sum_op),
    .take_o        (sum_take),
    .op_grant_i    (sum_grant),
    .op_return_i   (sum_return)
  );

  msm_tree u_tree (
    .clk_i,
    .rst_ni,
    .window_bits_i,
    .flush_i,
    .batch_i       (sum_return && returned.last),
    .batch_first_i (batch_first),
    .batch_last_i  (batch_last),
    .done_o        (tree_done),
    .done_windows_o(summed),
    .waiting_i     (waiting),
    .op_valid_o    (tree_valid),
    .op_o          (tree_op),
    .op_grant_i    (tree_grant),
    .op_return_i   (returned.valid && returned.owner == OwnerTree)
  );

  msm_combine #(
    .Index(Index)
  ) u_combine (
    .clk_i,
    .rst_ni,
    .start_i,
    .window_bits_i,
    .top_last_i,
    .group_last_i,
    .groups_i,
    .flush_i,
    .summed_i     (summed),
    .skipped_i    (skipped),
    .waiting_o    (waiting),
    .done_o,
    .total_valid_o,
    .other_i      (other_add_i),
    .op_valid_o   (combine_valid),
    .op_o         (combine_op),
    .op_grant_i   (combine_grant),
    .op_return_i  (returned.valid && returned.owner == OwnerCombine)
  );

  msm_datapath u_datapath (
    .clk_i,
    .rst_ni,
    .g2_i,
    .out_access_i(out_access),
    .in_access_i (in_access),
    .issue_i     (issue),
    .node_write_i(node_write),
    .node_half_i (node_half),
    .node_dst_i  (node_dst),
    .point_i     (taken_point),
    .total_half_i,
    .total_read_i,
    .total_o,
    .other_write_i,
    .other_i,
    .sum_valid_o (adder_valid)
  );

  assign fault_o = adder_valid != adder_due;

  msm_counters u_counters (
    .clk_i,
    .rst_ni,
    .slot_i,
    .start_i,
    .group_i,
    .bucket_issue_i(bucket_issue),
    .node_issue_i  (node_issue),
    .waiting_i     (|candidate_valid),
    .streaming_i,
    .bucket_adds_o,
    .node_adds_o,
    .bubble_hazard_o,
    .bubble_memory_o,
    .bubble_other_o
  );

endmodule
