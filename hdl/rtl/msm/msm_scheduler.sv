// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Decides in every cycle which addition starts. It sees addresses only; the
// datapath moves the operands. A bucket is a meeting place: whatever arrives for
// it (a point, or a sum out of the adder) waits there when it is empty, and
// leaves with what waits there, as the next addition, when it is full. So no
// bucket is ever busy, and nothing has to be retried. Per cycle:
//   1. a bucket's sum comes out of the adder: it is added to the candidate of the
//      same bucket if there is one, else to what waits in the bucket, else it waits;
//   2. the combination's addition, if 1 started none;
//   3. a candidate whose bucket is full, round-robin over the windows, or the
//      aggregation's addition, if neither 1 nor 2 started one;
//   4. every candidate whose bucket is empty is put there (needs no addition).
// Used by: msm_engine. Proof sketch and rates: hdl/doc/msm.md.
module msm_scheduler
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic    flush_i,         // level: start nothing, drop what comes back
  input  logic    clear_i,         // mark one bucket of every window empty
  input  bucket_t clear_bucket_i,
  output logic    idle_o,          // no addition under way, the last sum stored
  output logic    buckets_idle_o,  // no bucket addition under way

  // Candidates of the windows
  input  win_mask_t  candidate_valid_i,
  input  candidate_t candidate_i      [MsmWindows],
  output win_mask_t  candidate_take_o,

  // Additions outside the bucket phase
  input  logic     aggregate_valid_i,   // never while candidates or bucket sums are about
  input  node_op_t aggregate_op_i,
  input  take_t    aggregate_take_i,
  output logic     aggregate_grant_o,
  output logic     aggregate_return_o,  // one of its sums is back
  input  logic     combine_valid_i,
  input  node_op_t combine_op_i,
  output logic     combine_grant_o,
  output logic     combine_return_o,

  // To the datapath, one cycle after the decision
  output access_t    out_access_o[MsmWindows],  // bucket port of the sums
  output access_t    in_access_o [MsmWindows],  // bucket port of the points
  output issue_t     issue_o,
  output logic       sum_due_o,                 // the adder's sum is there
  output logic       node_write_o,              // it goes to the node memory
  output node_addr_t node_dst_o,

  // For the counters, in the cycle of the decision
  output logic bucket_issue_o,
  output logic node_issue_o
);

  // ---- Tags of the additions under way ----
  logic issue;  // an addition starts
  tag_t tag, back;
  logic [LoopLatency-1:0] valid_q;
  wire                    back_valid = valid_q[LoopLatency-1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[LoopLatency-2:0], issue};
  end

  delay_memory #(
    .Width($bits(tag_t)),
    .Delay(LoopLatency)
  ) u_tags (
    .clk_i,
    .rst_ni,
    .valid_i(issue),
    .data_i (tag),
    .data_o (back)
  );

  wire back_bucket = back_valid && back.owner == OwnerBucket && !flush_i;
  wire back_node = back_valid && back.owner != OwnerBucket;
  assign aggregate_return_o = back_valid && back.owner == OwnerAggregate;
  assign combine_return_o = back_valid && back.owner == OwnerCombine;

  // ---- What waits in the buckets ----
  win_mask_t out_full, in_full, out_toggle, in_toggle;
  win_mask_t out_here, aggregate_here;

  for (genvar w = 0; w < MsmWindows; w++) begin : gen_flags
    assign out_here[w] = back_bucket && back.win == win_t'(w);
    assign aggregate_here[w] = aggregate_valid_i && aggregate_take_i.valid && aggregate_take_i.win == win_t'(w);

    msm_flags u_flags (
      .clk_i,
      .out_bucket_i  (back.bucket),
      .out_full_o    (out_full[w]),
      .out_toggle_i  (out_toggle[w]),
      .in_bucket_i   (candidate_valid_i[w] ? candidate_i[w].bucket : aggregate_take_i.bucket),
      .in_full_o     (in_full[w]),
      .in_toggle_i   (in_toggle[w]),
      .clear_i,
      .clear_bucket_i
    );
  end

  // ---- Decision ----
  win_mask_t same, want, park, grant;
  logic any_want;
  win_t turn;
  wire  out_same = |same;
  wire  out_issue = |(out_here & (same | out_full));
  wire  combine_issue = combine_valid_i && !out_issue && !flush_i;
  wire  in_free = !out_issue && !combine_issue && !flush_i;
  wire  point_issue = in_free && any_want;
  wire  aggregate_issue = in_free && !any_want && aggregate_valid_i;

  always_comb begin
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      same[w] = out_here[w] && candidate_valid_i[w] && candidate_i[w].bucket == back.bucket;
      want[w] = candidate_valid_i[w] && !same[w] && in_full[w];
      park[w] = candidate_valid_i[w] && !same[w] && !in_full[w] && !flush_i;
    end
  end
  always_comb begin
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      grant[w] = point_issue && turn == win_t'(w);
      out_toggle[w] = out_here[w] && !same[w];
      in_toggle[w] = park[w] || grant[w] || (aggregate_issue && aggregate_here[w] && in_full[w]);
    end
  end

  rr_arbiter #(
    .N(MsmWindows)
  ) u_turn (
    .clk_i,
    .rst_ni,
    .request_i(want),
    .take_i   (point_issue),
    .valid_o  (any_want),
    .index_o  (turn)
  );

  assign candidate_take_o = same | park | grant;
  assign aggregate_grant_o = aggregate_issue;
  assign combine_grant_o = combine_issue;
  assign bucket_issue_o = out_issue || point_issue;
  assign node_issue_o = combine_issue || aggregate_issue;
  assign issue = bucket_issue_o || node_issue_o;

  issue_t issue_d;
  always_comb begin
    issue_d = '{
        valid: issue,
        a_sel: ANode,
        a_infinity: 1'b0,
        a_win: aggregate_take_i.win,
        b_sel: aggregate_op_i.x_infinity ? BInfinity : BNode,
        b_win: turn,
        x: aggregate_op_i.x,
        y: aggregate_op_i.y
    };
    tag = '{owner: OwnerBucket, win: back.win, bucket: back.bucket, dst: aggregate_op_i.dst};
    if (out_issue) begin
      issue_d.a_sel = out_same ? AResult : ASlotOut;
      issue_d.a_win = back.win;
      issue_d.b_sel = out_same ? BPoint : BResult;
      issue_d.b_win = back.win;
    end else if (combine_issue) begin
      issue_d.b_sel = combine_op_i.x_infinity ? BInfinity : BNode;
      issue_d.x = combine_op_i.x;
      issue_d.y = combine_op_i.y;
      tag.owner = OwnerCombine;
      tag.dst = combine_op_i.dst;
    end else if (point_issue) begin
      issue_d.a_sel = ASlotIn;
      issue_d.a_win = turn;
      issue_d.b_sel = BPoint;
      tag.win = turn;
      tag.bucket = candidate_i[turn].bucket;
    end else begin
      if (aggregate_take_i.valid) begin
        issue_d.a_sel = ASlotIn;
        issue_d.a_infinity = !in_full[aggregate_take_i.win];
      end
      tag.owner = OwnerAggregate;
    end
  end

  // ---- To the datapath ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      issue_o <= '0;
      sum_due_o <= 1'b0;
      node_write_o <= 1'b0;
      node_dst_o <= '0;
    end else begin
      issue_o <= issue_d;
      sum_due_o <= back_valid;
      node_write_o <= back_node;
      node_dst_o <= back.dst;
    end
  end

  for (genvar w = 0; w < MsmWindows; w++) begin : gen_access
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        out_access_o[w] <= '0;
        in_access_o[w] <= '0;
      end else begin
        out_access_o[w] <= '{enable: out_toggle[w], write: !out_full[w], bucket: back.bucket};
        in_access_o[w] <= '{
            enable: in_toggle[w],
            write: !in_full[w],
            bucket: candidate_valid_i[w] ? candidate_i[w].bucket : aggregate_take_i.bucket
        };
      end
    end
  end

  // ---- Under way ----
  typedef logic [$clog2(LoopLatency+1)-1:0] level_t;
  level_t buckets_q, nodes_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      buckets_q <= '0;
      nodes_q <= '0;
    end else begin
      buckets_q <= buckets_q + level_t'(bucket_issue_o) - level_t'(back_valid && back.owner == OwnerBucket);
      nodes_q <= nodes_q + level_t'(node_issue_o) - level_t'(back_node);
    end
  end
  assign buckets_idle_o = buckets_q == '0;
  assign idle_o = buckets_q == '0 && nodes_q == '0 && !sum_due_o;

endmodule
