// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// What msm_scheduler promises, judged by its ports: this module follows every
// operand that the datapath would move and asserts that none is lost, used twice or
// paired with a stranger (and msm_scheduler_waiting, that nobody waits without
// reason). One bucket, chosen freely by the prover, is watched as a whole: its points
// carry arbitrary weights; the weights about must add up to those that came in.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module msm_scheduler_props
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  // In G2 the same decisions are made with a loop of another length; what happens between
  // slots is msm_slots_props', so that here every cycle is one.
  parameter  bit          G2         = 1'b0,
  parameter  int unsigned WeightBits = 2,
  localparam int unsigned Loop       = G2 ? G2LoopSlots : LoopLatency,
  localparam type         weight_t   = logic                          [WeightBits-1:0]
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       flush_i,
  input logic       clear_i,
  input cell_t      clear_place_i,
  input bank_mask_t candidate_valid_i,
  input candidate_t candidate_i      [MsmBanks],
  input logic       node_valid_i,
  input node_op_t   node_op_i,
  input logic       sum_valid_i,
  input node_op_t   sum_op_i,
  input take_t      sum_take_i,

  // The prover's choice: the first three are taken in reset
  input window_bits_t window_bits_i,
  input bank_t        watch_bank_i,
  input cell_t        watch_place_i,
  input weight_t      weight_i     [MsmBanks]
);
  typedef logic [$clog2(Loop+2)-1:0] level_t;

  logic node_half;
  logic idle, node_grant, sum_grant, sum_due, node_write, bucket_issue, node_issue;
  win_mask_t    windows_busy;
  bank_mask_t   take;
  node_return_t returned;
  access_t out_access[MsmBanks], in_access[MsmBanks];
  issue_t     issue;
  node_addr_t node_dst;

  msm_scheduler u_dut (
    .clk_i,
    .rst_ni,
    .g2_i            (G2),
    .slot_i          (1'b1),
    .flush_i,
    .clear_i,
    .clear_place_i,
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

  // ---- Reset in the first cycle; the watched bucket is fixed then ----
  logic         started_q = 1'b0;
  window_bits_t window_bits_q;
  bank_t        watch_bank_q;
  cell_t        watch_place_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) begin
      window_bits_q <= window_bits_i;
      watch_bank_q <= watch_bank_i;
      watch_place_q <= watch_place_i;
    end
  end

  function automatic logic watched(bank_t bank, cell_t place);
    return bank == watch_bank_q && place == watch_place_q;
  endfunction

  function automatic win_t window_of(cell_t place);  // to which a bucket belongs
    return win_t'(place >> (window_bits_q - window_bits_t'(MsmMinWindowBits)));
  endfunction

  // ---- The decision, one cycle later: in step with accesses and issue ----
  logic flush_q, bucket_issue_q, sum_grant_q, node_grant_q;
  bank_mask_t take_q, held_q;
  candidate_t candidate_q[MsmBanks];
  weight_t    weight_q   [MsmBanks];
  node_op_t sum_op_q, node_op_q;
  take_t        sum_take_q;
  node_return_t returned_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {flush_q, bucket_issue_q, sum_grant_q, node_grant_q} <= '0;
      take_q <= '0;
      held_q <= '0;
      returned_q <= '0;
    end else begin
      flush_q <= flush_i;
      bucket_issue_q <= bucket_issue;
      sum_grant_q <= sum_grant;
      node_grant_q <= node_grant;
      take_q <= take;
      held_q <= flush_i ? '0 : candidate_valid_i & ~take;
      returned_q <= returned;
    end
  end
  always_ff @(posedge clk_i) begin
    candidate_q <= candidate_i;
    sum_op_q <= sum_op_i;
    node_op_q <= node_op_i;
    sum_take_q <= sum_take_i;
    for (int unsigned b = 0; b < MsmBanks; b++) begin
      weight_q[b] <= watched(bank_t'(b), candidate_i[b].place) ? weight_i[b] : '0;
    end
  end
  wire node_op_t op_q = sum_grant_q ? sum_op_q : node_op_q;

  // ---- Additions under way, named by their operands ----
  typedef struct packed {
    logic       valid;
    logic       bucket;  // else it is one of the others
    bank_t      bank;
    cell_t      place;
    weight_t    weight;
    owner_e     owner;
    logic       last;
    node_addr_t dst;
  } flight_t;
  flight_t flight_q[Loop];
  flight_t start, sum;
  bank_t a_bank, b_bank;
  cell_t a_place, b_place;
  weight_t a_weight, b_weight, stored_q;

  always_comb begin
    sum = flight_q[Loop-1];
    {a_bank, a_place, a_weight} = {sum.bank, sum.place, sum.weight};
    {b_bank, b_place, b_weight} = {sum.bank, sum.place, sum.weight};
    if (issue.a_sel == ASlotOut || issue.a_sel == ASlotIn) begin
      a_bank = issue.a_bank;
      a_place = (issue.a_sel == ASlotOut) ? out_access[issue.a_bank].place : in_access[issue.a_bank].place;
      a_weight = watched(a_bank, a_place) ? stored_q : '0;
    end
    if (issue.b_sel == BPoint) begin
      b_bank = issue.b_bank;
      b_place = candidate_q[issue.b_bank].place;
      b_weight = weight_q[issue.b_bank];
    end
    start = '{
      valid: issue.valid,
      bucket: issue.valid && !sum_grant_q && !node_grant_q,
      bank: a_bank,
      place: a_place,
      weight: '0,
      owner: op_q.owner,
      last: op_q.last,
      dst: op_q.dst
    };
    if (start.bucket) start.weight = a_weight + b_weight;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      for (int unsigned i = 0; i < Loop; i++) flight_q[i] <= '0;
    end else begin
      flight_q[0] <= start;
      for (int unsigned i = 1; i < Loop; i++) flight_q[i] <= flight_q[i-1];
    end
  end

  // ---- The watched bucket ----
  logic defined_q;  // cleared since reset or flush
  logic full_q;
  weight_t total_q, about;
  wire access_t out_here = out_access[watch_bank_q];
  wire access_t in_here = in_access[watch_bank_q];
  wire          out_toggle = out_here.enable && out_here.place == watch_place_q;
  wire          in_toggle = in_here.enable && in_here.place == watch_place_q;
  wire          arrival = take_q[watch_bank_q] && candidate_q[watch_bank_q].place == watch_place_q;
  wire          handed = sum_grant_q && sum_take_q.valid && watched(sum_take_q.bank, sum_take_q.place);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      defined_q <= 1'b0;
      full_q <= 1'b0;
      stored_q <= '0;
      total_q <= '0;
    end else if (clear_i && clear_place_i == watch_place_q) begin
      defined_q <= 1'b1;
      full_q <= 1'b0;
      stored_q <= '0;
      total_q <= '0;
    end else begin
      if (flush_i) defined_q <= 1'b0;
      if (out_toggle ^ in_toggle) full_q <= !full_q;
      if (out_toggle) stored_q <= out_here.write ? sum.weight : '0;
      if (in_toggle) stored_q <= in_here.write ? weight_q[watch_bank_q] : '0;
      if (handed) total_q <= '0;
      else if (arrival) total_q <= total_q + weight_q[watch_bank_q];
    end
  end

  level_t nodes, buckets[UnitWindows];
  always_comb begin
    about = stored_q;
    nodes = level_t'(start.valid && !start.bucket);
    for (int unsigned w = 0; w < UnitWindows; w++) buckets[w] = level_t'(start.bucket && window_of(start.place) == win_t'(w));
    for (int unsigned i = 0; i < Loop; i++) begin
      about = about + flight_q[i].weight;
      if (i < Loop - 1) begin
        nodes = nodes + level_t'(flight_q[i].valid && !flight_q[i].bucket);
        for (int unsigned w = 0; w < UnitWindows; w++) begin
          buckets[w] = buckets[w] + level_t'(flight_q[i].bucket && window_of(flight_q[i].place) == win_t'(w));
        end
      end
    end
  end

  // ---- What the blocks around it guarantee ----
  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_window_bits : assume (32'(window_bits_i) >= MsmMinWindowBits && 32'(window_bits_i) <= MsmMaxWindowBits);
    if (rst_ni) begin
      // msm_control: buckets are cleared before a run, and a flush lasts until all is idle.
      if (clear_i) e_clear : assume (idle && !(|candidate_valid_i || sum_valid_i || node_valid_i || flush_i));
      if (flush_q && !flush_i) e_flush : assume (idle);
      if (!defined_q) begin
        e_cleared : assume (!(candidate_valid_i[watch_bank_q] && candidate_i[watch_bank_q].place == watch_place_q));
      end
      // msm_rows: buckets are taken when all points are in and their window is at rest.
      if (sum_valid_i) e_rows : assume (candidate_valid_i == '0);
      if (sum_valid_i && sum_take_i.valid) e_rows_rest : assume (!windows_busy[window_of(sum_take_i.place)]);
      e_owners : assume (sum_op_i.owner != OwnerBucket && node_op_i.owner != OwnerBucket);
    end
  end
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_environment
    // msm_dispatch: a candidate stays until it is taken, and its place is its window's.
    always_comb begin
      if (rst_ni && candidate_valid_i[b]) e_window : assume (candidate_i[b].win == window_of(candidate_i[b].place));
      if (rst_ni && held_q[b] && !flush_q) e_held : assume (candidate_valid_i[b] && candidate_i[b] == candidate_q[b]);
    end
  end

  // ---- Every operand is used once ----
  bank_mask_t out_write, out_read, in_write, in_read;
  always_comb begin
    for (int unsigned b = 0; b < MsmBanks; b++) begin
      out_write[b] = out_access[b].enable && out_access[b].write;
      out_read[b] = out_access[b].enable && !out_access[b].write;
      in_write[b] = in_access[b].enable && in_access[b].write;
      in_read[b] = in_access[b].enable && !in_access[b].write;
    end
  end
  wire sum_a = issue.valid && issue.a_sel == AResult;
  wire sum_b = issue.valid && issue.b_sel == BResult;

  always_comb begin
    if (rst_ni) begin
      a_sum_due : assert (sum_due == sum.valid);
      a_first_words : assert (!node_half && !issue.half);
      a_sum_used_once :
      assert (level_t'(sum_a) + level_t'(sum_b) + level_t'(|out_write) + level_t'(node_write)
          == level_t'(sum.valid && !(flush_q && sum.bucket)));
      a_sum_of_a_bucket : assert (!(|out_write || sum_a || sum_b) || sum.bucket);
      a_sum_of_a_node : assert (!node_write || (!sum.bucket && node_dst == sum.dst));
      a_returns :
      assert (returned_q.valid == (sum.valid && !sum.bucket)
          && (!returned_q.valid || (returned_q.owner == sum.owner && returned_q.last == sum.last)));
    end
  end
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_once
    always_comb begin
      if (rst_ni) begin
        a_first_word_of_bank : assert (!out_access[b].half && !in_access[b].half);
        a_take_valid : assert (candidate_valid_i[b] || !take[b]);
        a_point_used_once :
        assert (level_t'(in_write[b]) + level_t'(issue.valid && issue.b_sel == BPoint && issue.b_bank == bank_t'(b))
            == level_t'(take_q[b]));
        a_point_to_its_bucket : assert (!in_write[b] || in_access[b].place == candidate_q[b].place);
        a_sum_to_its_bucket : assert (!out_write[b] || (sum.bank == bank_t'(b) && out_access[b].place == sum.place));
        a_read_used_once :
        assert (out_read[b] == (issue.valid && issue.a_sel == ASlotOut && issue.a_bank == bank_t'(b))
            && in_read[b] == (issue.valid && issue.a_sel == ASlotIn && issue.a_bank == bank_t'(b) && !issue.a_infinity));
        a_no_race : assert (!(out_access[b].enable && in_access[b].enable && out_access[b].place == in_access[b].place));
      end
    end
  end

  // ---- Additions join what belongs together ----
  always_comb begin
    if (rst_ni) begin
      a_one_owner : assert (2'(bucket_issue_q) + 2'(sum_grant_q) + 2'(node_grant_q) == 2'(issue.valid));
      if (bucket_issue_q) begin
        a_same_bucket : assert (a_bank == b_bank && a_place == b_place);
        a_bucket_operands :
        assert (issue.a_sel != ANode && !issue.a_infinity
            && (issue.b_sel == BPoint || (issue.b_sel == BResult && issue.a_sel == ASlotOut)));
      end
      if (node_grant_q) begin
        a_node_operands :
        assert (issue.a_sel == ANode && issue.y == node_op_q.y
            && issue.b_sel == (node_op_q.x_infinity ? BInfinity : BNode) && (node_op_q.x_infinity || issue.x == node_op_q.x));
      end
      if (sum_grant_q) begin
        a_rows_operands :
        assert (issue.b_sel == (sum_op_q.x_infinity ? BInfinity : BNode)
            && (sum_op_q.x_infinity || issue.x == sum_op_q.x)
            && (sum_take_q.valid
                ? issue.a_sel == ASlotIn && a_bank == sum_take_q.bank && (issue.a_infinity || a_place == sum_take_q.place)
                : issue.a_sel == ANode && issue.y == sum_op_q.y));
      end
    end
  end

  // ---- The watched bucket ----
  bank_mask_t flag;
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_flag
    assign flag[b] = u_dut.gen_flags[b].u_flags.out_q[watch_place_q] ^ u_dut.gen_flags[b].u_flags.in_q[watch_place_q];
  end
  always_comb begin
    if (rst_ni && defined_q) begin
      a_write_empty : assert (!full_q || !(out_toggle && out_here.write) && !(in_toggle && in_here.write));
      a_read_full : assert (full_q || !(out_toggle && !out_here.write) && !(in_toggle && !in_here.write));
      a_conserved : assert (total_q == about);
      if (handed) a_handed_whole : assert (issue.a_infinity ? !full_q && total_q == '0 : full_q && total_q == stored_q);
      i_flag : assert (flag[watch_bank_q] == (full_q ^ out_toggle ^ in_toggle));
      i_stored : assert (full_q || stored_q == '0);
    end
  end
  for (genvar i = 0; i < Loop; i++) begin : gen_flight
    always_comb begin
      if (rst_ni) begin
        i_weight : assert (flight_q[i].weight == '0 || (flight_q[i].bucket && watched(flight_q[i].bank, flight_q[i].place)));
        i_valid : assert (flight_q[i].valid || !flight_q[i].bucket);
      end
    end
  end

  // ---- Counts of what is under way; nobody waits without reason ----
  wire flight_t next_sum = flight_q[Loop-2];  // about to come back: every tag passes here
  always_comb begin
    if (rst_ni) begin
      a_idle : assert (idle == (windows_busy == '0 && nodes == '0 && !sum.valid));
      i_window_bits : assert (32'(window_bits_q) >= MsmMinWindowBits && 32'(window_bits_q) <= MsmMaxWindowBits);
      i_nodes : assert (level_t'(u_dut.nodes_q) == nodes);
      i_back : assert (u_dut.back_valid == next_sum.valid && (u_dut.back.owner == OwnerBucket || !next_sum.bucket));
      if (next_sum.bucket) begin
        i_tag :
        assert (u_dut.back.bank == next_sum.bank && u_dut.back.place == next_sum.place && u_dut.back.win == window_of(next_sum.place));
      end
    end
  end
  for (genvar w = 0; w < UnitWindows; w++) begin : gen_busy
    always_comb begin
      if (rst_ni) begin
        a_busy : assert (windows_busy[w] == (buckets[w] != '0));
        i_buckets : assert (level_t'(u_dut.buckets_q[w]) == buckets[w]);
      end
    end
  end
  msm_scheduler_waiting #(
    .Loop(Loop)
  ) u_waiting (
    .clk_i,
    .rst_ni,
    .flush_i,
    .idle_i        (idle),
    .candidate_valid_i,
    .take_i        (take),
    .sum_valid_i,
    .sum_grant_i   (sum_grant),
    .node_valid_i,
    .node_grant_i  (node_grant),
    .bucket_issue_i(bucket_issue),
    .node_issue_i  (node_issue),
    .later_i       (u_dut.u_turn.later_q),
    .held_i        (held_q),
    .point_start_i (issue.valid && issue.a_sel == ASlotIn && issue.b_sel == BPoint)
  );

  // ---- All of this happens ----
  always_comb begin
    if (rst_ni && defined_q) begin
      c_points_meet : cover (bucket_issue_q && issue.a_sel == ASlotIn && watched(a_bank, a_place) && start.weight == '0 && a_weight == 1);
      c_sum_meets_point : cover (sum_a && sum.weight == 1);
      c_sum_meets_sum : cover (sum_b && sum.weight == 1 && stored_q == 1);
      c_sum_waits : cover (out_toggle && out_here.write && sum.weight == 3);
      c_handed : cover (handed && total_q == 3 && !issue.a_infinity);
      c_overlap : cover (sum_grant && |windows_busy);
    end
  end

endmodule
