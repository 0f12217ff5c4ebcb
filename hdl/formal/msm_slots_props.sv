// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// What msm_scheduler does in G2 between slots: nothing is decided and nothing changes, and
// what went to the datapath goes there once more for the second words, then no more. So it
// is, slot by slot, the scheduler of msm_scheduler_props.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module msm_slots_props
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic       clk_i,
  input logic       rst_ni,
  input logic       slot_i,
  input logic       flush_i,
  input bank_mask_t candidate_valid_i,
  input candidate_t candidate_i      [MsmBanks],
  input logic       node_valid_i,
  input node_op_t   node_op_i,
  input logic       sum_valid_i,
  input node_op_t   sum_op_i,
  input take_t      sum_take_i
);
  logic idle, node_grant, sum_grant, sum_due, node_write, node_half, bucket_issue, node_issue;
  win_mask_t    windows_busy;
  bank_mask_t   take;
  node_return_t returned;
  access_t out_access[MsmBanks], in_access[MsmBanks];
  issue_t     issue;
  node_addr_t node_dst;

  msm_scheduler u_dut (
    .clk_i,
    .rst_ni,
    .g2_i            (1'b1),
    .slot_i,
    .flush_i,
    .clear_i         (1'b0),
    .clear_place_i   ('0),
    .idle_o          (idle),
    .windows_busy_o  (windows_busy),
    .candidate_valid_i,
    .candidate_i,
    .candidate_take_o(take),
    .node_valid_i,
    .node_op_i,
    .node_grant_o    (node_grant),
    .sum_valid_i,
    .sum_op_i,
    .sum_take_i,
    .sum_grant_o     (sum_grant),
    .return_o        (returned),
    .out_access_o    (out_access),
    .in_access_o     (in_access),
    .issue_o         (issue),
    .sum_due_o       (sum_due),
    .node_write_o    (node_write),
    .node_half_o     (node_half),
    .node_dst_o      (node_dst),
    .bucket_issue_o  (bucket_issue),
    .node_issue_o    (node_issue)
  );

  // ---- The two cycles before ----
  logic started_q = 1'b0;
  logic was_q;  // not the first cycle
  logic slot_1, slot_2, sum_due_1, node_write_1, node_half_1;
  issue_t     issue_1;
  node_addr_t node_dst_1;
  access_t out_access_1[MsmBanks], in_access_1[MsmBanks];
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    issue_1 <= issue;
    node_dst_1 <= node_dst;
    {sum_due_1, node_write_1, node_half_1} <= {sum_due, node_write, node_half};
    out_access_1 <= out_access;
    in_access_1 <= in_access;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {slot_1, slot_2, was_q} <= '0;
    else {slot_1, slot_2, was_q} <= {slot_i, slot_1, 1'b1};
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    // Every third cycle at most.
    e_slots : assume (!slot_i || !(slot_1 || slot_2));
  end

  // ---- Between slots ----
  function automatic issue_t second(issue_t of);
    second = of;
    second.half = 1'b1;
  endfunction
  function automatic access_t second_access(access_t of);
    second_access = of;
    second_access.half = 1'b1;
  endfunction
  always_comb begin
    if (rst_ni) begin
      if (!slot_i) begin
        a_nothing_decided : assert (take == '0 && !node_grant && !sum_grant && !bucket_issue && !node_issue && !returned.valid);
      end
      if (slot_1) a_first_words : assert (!issue.half && !node_half);
      if (slot_2) begin
        a_second_words :
        assert (issue == second(issue_1) && sum_due == sum_due_1 && node_write == node_write_1 && node_dst == node_dst_1 && node_half);
      end
      if (!slot_1 && !slot_2) a_no_more : assert (!issue.valid && !sum_due && !node_write);
      i_first : assert (u_dut.first_q == slot_1);
    end
  end
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_access
    always_comb begin
      if (rst_ni) begin
        if (slot_1) a_first_of_bank : assert (!out_access[b].half && !in_access[b].half);
        if (slot_2) begin
          a_second_of_bank : assert (out_access[b] == second_access(out_access_1[b]) && in_access[b] == second_access(in_access_1[b]));
        end
        if (!slot_1 && !slot_2) a_no_more_of_bank : assert (!out_access[b].enable && !in_access[b].enable);
      end
    end
  end

  // ---- What is kept ----
  logic       [LoopLatency-1:0] valid_1;
  logic       [           31:0] place_1;
  bank_mask_t                   later_1;
  win_mask_t                    busy_1;
  tag_t                         back_1;
  logic       [           31:0] nodes_1;
  logic       [           31:0] buckets_1[UnitWindows];
  always_ff @(posedge clk_i) begin
    valid_1 <= u_dut.u_loop.valid_q;
    place_1 <= 32'(u_dut.u_loop.place_q);
    later_1 <= u_dut.u_turn.later_q;
    busy_1 <= windows_busy;
    back_1 <= u_dut.back;
    nodes_1 <= 32'(u_dut.nodes_q);
    for (int unsigned w = 0; w < UnitWindows; w++) buckets_1[w] <= 32'(u_dut.buckets_q[w]);
  end
  bank_mask_t toggles;
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_toggles
    assign toggles[b] = u_dut.out_toggle[b] || u_dut.in_toggle[b];
  end
  always_comb begin
    if (rst_ni && !slot_i) a_no_toggle : assert (toggles == '0);
    if (rst_ni && !slot_1 && was_q) begin
      a_kept :
      assert (u_dut.u_loop.valid_q == valid_1 && 32'(u_dut.u_loop.place_q) == place_1 && u_dut.u_turn.later_q == later_1
          && windows_busy == busy_1 && u_dut.back == back_1 && 32'(u_dut.nodes_q) == nodes_1);
    end
    if (rst_ni) begin
      c_second : cover (slot_2 && issue.valid && issue.half && node_write && in_access[1].enable);
      c_second_of_sums : cover (slot_2 && issue.valid && issue.half && out_access[0].enable && in_access[1].enable);
    end
  end

  for (genvar w = 0; w < UnitWindows; w++) begin : gen_kept
    always_comb begin
      if (rst_ni && !slot_1 && was_q) a_kept_count : assert (32'(u_dut.buckets_q[w]) == buckets_1[w]);
    end
  end

endmodule
