// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Decides in every slot (a cycle; in G2 every third cycle) which addition starts. It sees addresses only; the
// datapath moves the operands. A bucket is a meeting place: whatever arrives for
// it (a point, or a sum out of the adder) waits there when it is empty, and
// leaves with what waits there, as the next addition, when it is full. So no
// bucket is ever busy, and nothing has to be retried. Per slot:
//   1. a bucket's sum comes out of the adder: it is added to the candidate of the
//      same bucket if there is one, else to what waits in the bucket, else it waits;
//   2. an addition of the combination or of the chains, if 1 started none;
//   3. a candidate whose bucket is full, round-robin over the banks, or an addition
//      of the rows of buckets, if neither 1 nor 2 started one;
//   4. every candidate whose bucket is empty is put there (needs no addition).
// Used by: msm_unit. Proofs: hdl/formal. Rates: hdl/doc/msm.md.
module msm_scheduler
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic      g2_i,           // two words a point; constant while anything is under way
  input  logic      slot_i,         // decide now; in G1 always, in G2 every third cycle
  input  logic      flush_i,        // level: start nothing, drop what comes back
  input  logic      clear_i,        // mark one bucket of every bank empty
  input  cell_t     clear_place_i,
  output logic      idle_o,         // no addition under way, the last sum stored
  output win_mask_t windows_busy_o, // windows with a bucket addition under way

  // Candidates of the banks
  input  bank_mask_t candidate_valid_i,
  input  candidate_t candidate_i      [MsmBanks],
  output bank_mask_t candidate_take_o,

  // Additions outside the bucket phase: those that others wait for ...
  input  logic     node_valid_i,
  input  node_op_t node_op_i,
  output logic     node_grant_o,

  // ... and those that take buckets: never while candidates are about
  input  logic     sum_valid_i,
  input  node_op_t sum_op_i,
  input  take_t    sum_take_i,
  output logic     sum_grant_o,

  output node_return_t return_o,  // one of their sums is back

  // To the datapath, one cycle after the decision, and in G2 again for the second words
  output access_t    out_access_o[MsmBanks],  // port of the sums
  output access_t    in_access_o [MsmBanks],  // port of the points
  output issue_t     issue_o,
  output logic       sum_due_o,               // the adder's sum is there
  output logic       node_write_o,            // it goes to the node memory
  output logic       node_half_o,
  output node_addr_t node_dst_o,

  // For the counters, in the slot of the decision
  output logic bucket_issue_o,
  output logic node_issue_o
);

  // ---- Tags of the additions under way ----
  logic issue;  // an addition starts
  logic back_valid;
  tag_t tag, back;

  msm_loop u_loop (
    .clk_i,
    .rst_ni,
    .g2_i,
    .slot_i,
    .issue_i     (issue),
    .tag_i       (tag),
    .back_valid_o(back_valid),
    .back_o      (back)
  );

  wire back_bucket = back_valid && back.owner == OwnerBucket && !flush_i;
  wire back_node = back_valid && back.owner != OwnerBucket;
  assign return_o = '{valid: back_node, owner: back.owner, last: back.last};

  // ---- What waits in the buckets ----
  bank_mask_t out_full, in_full, out_toggle, in_toggle;
  bank_mask_t out_here, sum_here;
  cell_t in_place[MsmBanks];

  for (genvar b = 0; b < MsmBanks; b++) begin : gen_flags
    assign out_here[b] = back_bucket && back.bank == bank_t'(b);
    assign sum_here[b] = sum_valid_i && sum_take_i.valid && sum_take_i.bank == bank_t'(b);
    assign in_place[b] = candidate_valid_i[b] ? candidate_i[b].place : sum_take_i.place;

    msm_flags u_flags (
      .clk_i,
      .out_place_i  (back.place),
      .out_full_o   (out_full[b]),
      .out_toggle_i (out_toggle[b]),
      .in_place_i   (in_place[b]),
      .in_full_o    (in_full[b]),
      .in_toggle_i  (in_toggle[b]),
      .clear_i,
      .clear_place_i
    );
  end

  // ---- Decision ----
  bank_mask_t same, want, park, grant;
  logic  any_want;
  bank_t turn;
  wire   out_same = |same;
  wire   out_issue = |(out_here & (same | out_full));
  wire   start = slot_i && !flush_i;
  wire   node_issue = node_valid_i && !out_issue && start;
  wire   in_free = !out_issue && !node_issue && start;
  wire   point_issue = in_free && any_want;
  wire   sum_issue = in_free && !any_want && sum_valid_i;

  always_comb begin
    for (int unsigned b = 0; b < MsmBanks; b++) begin
      same[b] = out_here[b] && candidate_valid_i[b] && candidate_i[b].place == back.place;
      want[b] = candidate_valid_i[b] && !same[b] && in_full[b];
      park[b] = candidate_valid_i[b] && !same[b] && !in_full[b] && start;
    end
  end
  always_comb begin
    for (int unsigned b = 0; b < MsmBanks; b++) begin
      grant[b] = point_issue && turn == bank_t'(b);
      out_toggle[b] = out_here[b] && !same[b];
      in_toggle[b] = park[b] || grant[b] || (sum_issue && sum_here[b] && in_full[b]);
    end
  end

  rr_arbiter #(
    .N(MsmBanks)
  ) u_turn (
    .clk_i,
    .rst_ni,
    .request_i(want),
    .take_i   (point_issue),
    .valid_o  (any_want),
    .index_o  (turn)
  );

  assign candidate_take_o = same | park | grant;
  assign sum_grant_o = sum_issue;
  assign node_grant_o = node_issue;
  assign bucket_issue_o = out_issue || point_issue;
  assign node_issue_o = node_issue || sum_issue;
  assign issue = bucket_issue_o || node_issue_o;

  issue_t   issue_d;
  node_op_t op;
  always_comb begin
    op = node_issue ? node_op_i : sum_op_i;
    issue_d = '{
        valid: issue,
        half: 1'b0,
        a_sel: ANode,
        a_infinity: 1'b0,
        a_bank: sum_take_i.bank,
        b_sel: op.x_infinity ? BInfinity : BNode,
        b_bank: turn,
        x: op.x,
        y: op.y
    };
    tag = '{owner: OwnerBucket, last: op.last, win: back.win, bank: back.bank, place: back.place, dst: op.dst};
    if (out_issue) begin
      issue_d.a_sel = out_same ? AResult : ASlotOut;
      issue_d.a_bank = back.bank;
      issue_d.b_sel = out_same ? BPoint : BResult;
      issue_d.b_bank = back.bank;
    end else if (node_issue) begin
      tag.owner = op.owner;
    end else if (point_issue) begin
      issue_d.a_sel = ASlotIn;
      issue_d.a_bank = turn;
      issue_d.b_sel = BPoint;
      tag.win = candidate_i[turn].win;
      tag.bank = turn;
      tag.place = candidate_i[turn].place;
    end else begin
      if (sum_take_i.valid) begin
        issue_d.a_sel = ASlotIn;
        issue_d.a_infinity = !in_full[sum_take_i.bank];
      end
      tag.owner = op.owner;
    end
  end

  // ---- To the datapath ----
  logic first_q;  // G2: the words that go out are the first ones
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      first_q <= 1'b0;
      issue_o <= '0;
      sum_due_o <= 1'b0;
      node_write_o <= 1'b0;
      node_half_o <= 1'b0;
      node_dst_o <= '0;
    end else begin
      first_q <= slot_i && g2_i;
      if (slot_i) begin
        issue_o <= issue_d;
        sum_due_o <= back_valid;
        node_write_o <= back_node;
        node_half_o <= 1'b0;
        node_dst_o <= back.dst;
      end else if (first_q) begin
        issue_o.half <= 1'b1;
        node_half_o <= 1'b1;
      end else begin
        issue_o.valid <= 1'b0;
        sum_due_o <= 1'b0;
        node_write_o <= 1'b0;
      end
    end
  end

  for (genvar b = 0; b < MsmBanks; b++) begin : gen_access
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        out_access_o[b] <= '0;
        in_access_o[b] <= '0;
      end else if (slot_i) begin
        out_access_o[b] <= '{enable: out_toggle[b], write: !out_full[b], half: 1'b0, place: back.place};
        in_access_o[b] <= '{enable: in_toggle[b], write: !in_full[b], half: 1'b0, place: in_place[b]};
      end else if (first_q) begin
        out_access_o[b].half <= 1'b1;
        in_access_o[b].half <= 1'b1;
      end else begin
        out_access_o[b].enable <= 1'b0;
        in_access_o[b].enable <= 1'b0;
      end
    end
  end

  // ---- Under way ----
  typedef logic [$clog2(LoopLatency+1)-1:0] level_t;
  level_t nodes_q, buckets_q[UnitWindows];

  for (genvar w = 0; w < UnitWindows; w++) begin : gen_busy
    wire starts = bucket_issue_o && tag.win == win_t'(w);
    wire ends = back_valid && back.owner == OwnerBucket && back.win == win_t'(w);
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) buckets_q[w] <= '0;
      else if (starts != ends) buckets_q[w] <= starts ? buckets_q[w] + 1'b1 : buckets_q[w] - 1'b1;
    end
    assign windows_busy_o[w] = buckets_q[w] != '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) nodes_q <= '0;
    else nodes_q <= nodes_q + level_t'(node_issue_o) - level_t'(back_node);
  end
  assign idle_o = windows_busy_o == '0 && nodes_q == '0 && !sum_due_o;

endmodule
