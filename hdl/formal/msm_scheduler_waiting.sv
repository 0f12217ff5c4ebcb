// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The part of the scheduler's properties that is about time: who waits, waits for an
// addition that starts in that very cycle; banks take turns; and when nothing more
// comes, everything comes to rest. Used by: msm_scheduler_props.
module msm_scheduler_waiting
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter int unsigned Loop = LoopLatency  // slots from an addition to its sum
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       flush_i,
  input logic       idle_i,
  input bank_mask_t candidate_valid_i,
  input bank_mask_t take_i,
  input logic       sum_valid_i,
  input logic       sum_grant_i,
  input logic       node_valid_i,
  input logic       node_grant_i,
  input logic       bucket_issue_i,
  input logic       node_issue_i,
  input bank_mask_t later_i,            // of the scheduler's arbiter

  // One cycle later
  input bank_mask_t held_i,        // candidates that were not taken
  input logic       point_start_i  // an addition of a candidate and a bucket started
);

  // In each pass through the adder the items of a bucket halve.
  localparam int unsigned DrainBound = ($clog2(Loop + 1) + 1) * Loop + 2;
  typedef logic [$clog2(MsmBanks+1)-1:0] level_t;

  // ---- Rest ----
  logic [$clog2(DrainBound+2)-1:0] quiet_q;  // cycles since anything came
  wire                             coming = |candidate_valid_i || sum_valid_i || node_valid_i || flush_i;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) quiet_q <= '0;
    else if (coming) quiet_q <= '0;
    else if (32'(quiet_q) <= DrainBound) quiet_q <= quiet_q + 1'b1;
  end

  always_comb begin
    if (rst_ni) begin
      a_rows_held : assert (flush_i || !sum_valid_i || sum_grant_i || bucket_issue_i || node_grant_i);
      a_node_held : assert (flush_i || !node_valid_i || node_grant_i || bucket_issue_i);
      a_drains : assert (32'(quiet_q) < DrainBound || idle_i);
      c_drained : cover (32'(quiet_q) == DrainBound);
    end
  end

  // ---- Turns ----
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_bank
    localparam bank_mask_t Below = bank_mask_t'((1 << b) - 1);
    level_t passed_q;  // points of other banks that passed this one's waiting candidate
    level_t ahead_q;  // banks whose turn came before this one's, in the decision
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        passed_q <= '0;
        ahead_q <= '0;
      end else begin
        if (!held_i[b]) passed_q <= '0;
        else if (point_start_i) passed_q <= passed_q + 1'b1;
        ahead_q <= level_t'($countones(later_i[b] ? later_i & Below : later_i | Below));
      end
    end
    always_comb begin
      if (rst_ni) begin
        a_held_by_an_addition : assert (!candidate_valid_i[b] || flush_i || take_i[b] || bucket_issue_i || node_issue_i);
        a_turn : assert (32'(passed_q) < MsmBanks);
        i_turn : assert (32'(passed_q) + 32'(ahead_q) < MsmBanks);
        i_order : assert (later_i[b] || (later_i & Below) == '0);
      end
    end
  end

endmodule
