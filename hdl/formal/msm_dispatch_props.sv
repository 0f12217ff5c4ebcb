// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// What msm_dispatch promises: no queue overflows, no ring slot is written while
// somebody still needs it, and each digit that is not zero leaves exactly once, in
// order, with its own point and sign. One digit of one point, chosen freely by the
// prover, is followed from the pair to the datapath; the digits before it are counted.
// In G2 a point comes, lies and leaves in two words.
// `a_*` are the properties, `i_*` invariants of the block that carry the induction,
// `e_*` what the blocks around it guarantee.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module msm_dispatch_props
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic         clk_i,
  input logic         rst_ni,
  input window_bits_t window_bits_i,
  input logic         start_i,
  input logic         flush_i,
  input logic         take_i,
  input logic         second_i,
  input logic         change_i,         // to the other group, while nothing is held; a new command follows
  input point_t       point_i,
  input unit_digits_t digits_i,
  input bank_mask_t   candidate_take_i,

  // The prover's choice: bank and item are taken in reset, the point when it comes
  input bank_t                                   watch_bank_i,
  input logic  [$clog2(UnitWindows * Parts)-1:0] watch_item_i,
  input logic                                    watch_i
);

  localparam int unsigned Slots = 1 << PointsLog2;
  localparam int unsigned Items = UnitWindows * Parts;
  typedef logic [Items-1:0] items_t;
  typedef logic [PointsLog2:0] held_t;
  typedef logic [7:0] count_t;
  typedef struct packed {
    point_slot_t slot;
    items_t      items;
  } bundle_t;

  logic empty, ready;
  bank_mask_t                     valid;
  candidate_t                     candidate     [MsmBanks];
  xyz_t                           point         [MsmBanks];
  win_mask_t                      touched;
  bucket_t      [UnitWindows-1:0] highest;

  window_bits_t                   window_bits_q;
  logic g2_q, run_q;  // of the command; it begins
  msm_dispatch u_dut (
    .clk_i,
    .rst_ni,
    .g2_i             (g2_q),
    .window_bits_i    (window_bits_q),
    .run_i            (run_q),
    .start_i,
    .flush_i,
    .empty_o          (empty),
    .ready_o          (ready),
    .take_i,
    .second_i,
    .point_i,
    .digits_i,
    .candidate_valid_o(valid),
    .candidate_o      (candidate),
    .candidate_take_i,
    .point_o          (point),
    .touched_o        (touched),
    .highest_o        (highest)
  );

  // ---- Reset in the first cycle; bank, item and window size are fixed then ----
  logic                      started_q = 1'b0;
  bank_t                     bank_q;
  logic  [$clog2(Items)-1:0] item_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) begin
      bank_q <= watch_bank_i;
      item_q <= watch_item_i;
      window_bits_q <= window_bits_i;
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {g2_q, run_q} <= '0;
    else {g2_q, run_q} <= {g2_q ^ change_i, change_i};
  end
  wire items_t below = items_t'((32'd1 << item_q) - 1);

  // ---- What the banks hold: the queues' entries, the oldest first ----
  bundle_t     memory                                  [MsmBanks] [Slots];
  point_slot_t slots                                   [MsmBanks] [Slots];
  items_t      marked                                  [MsmBanks] [Slots];
  items_t      done                                    [MsmBanks];
  held_t       count                                   [MsmBanks];
  held_t       head                                    [MsmBanks];
  held_t       tail                                    [MsmBanks];
  point_slot_t used                                    [MsmBanks];
  logic        load                                    [MsmBanks];
  items_t      item                                    [MsmBanks];
  bank_mask_t  overflow;
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_bank
    for (genvar e = 0; e < Slots; e++) begin : gen_memory
      assign memory[b][e] = bundle_t'(u_dut.gen_bank[b].u_queue.mem_q[e]);
    end
    assign head[b] = u_dut.gen_bank[b].u_queue.head_q;
    assign tail[b] = u_dut.gen_bank[b].u_queue.tail_q;
    assign count[b] = tail[b] - head[b];
    always_comb begin
      for (int unsigned e = 0; e < Slots; e++) begin
        slots[b][e] = memory[b][point_slot_t'(head[b]+held_t'(e))].slot;
        marked[b][e] = memory[b][point_slot_t'(head[b]+held_t'(e))].items;
      end
    end
    assign used[b] = u_dut.gen_bank[b].slot_q;
    assign done[b] = u_dut.gen_bank[b].done_q;
    assign load[b] = u_dut.gen_bank[b].load;
    assign item[b] = items_t'(1) << u_dut.gen_bank[b].item;
    assign overflow[b] = u_dut.keep && u_dut.wanted[b] && u_dut.queue_full[b];
  end

  // ---- The digit that is followed ----
  digit_t arriving;
  items_t arriving_marks;
  always_comb begin
    for (int unsigned i = 0; i < Items; i++) begin
      arriving_marks[i] = digits_i[i/Parts][i%Parts].nonzero && !point_i.infinity &&
        bank_of(win_t'(i / Parts), digits_i[i/Parts][i%Parts].bucket) == bank_q;
    end
    arriving = digits_i[32'(item_q)/Parts][32'(item_q)%Parts];
  end
  logic                       watching_q;
  logic                       loaded_q;  // it is the candidate
  logic                       using_q;  // it was taken in the cycle before
  count_t                     ahead_q;  // digits of the bank that are to be taken before it
  count_t                     total_q;  // digits of the bank that are to be taken
  point_slot_t                slot_q;
  point_t      [         1:0] point_q;  // its words
  point_t                     first_word_q;  // of the point that is coming
  logic                       first_came_q;
  digit_t                     digit_q;
  logic        [PointsLog2:0] place_q;  // its entry's place in the queue's memory, and lap
  wire                        keep = take_i && !flush_i && (!g2_q || second_i);
  wire                        chosen = keep && watch_i && arriving_marks[item_q] && !watching_q;
  wire                        taken = candidate_take_i[bank_q];
  wire held_t                 entry = place_q - head[bank_q];  // its entry's place in the queue, while it is not loaded
  wire count_t                arrived = (keep && !(point_i.infinity)) ? count_t'($countones(arriving_marks)) : '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {watching_q, loaded_q, using_q} <= '0;
      ahead_q <= '0;
      total_q <= '0;
    end else if (flush_i) begin
      {watching_q, loaded_q, using_q} <= '0;
      ahead_q <= '0;
      total_q <= '0;
    end else begin
      total_q <= total_q + arrived - count_t'(taken);
      using_q <= watching_q && taken && ahead_q == '0;
      if (watching_q && taken) begin
        ahead_q <= ahead_q - 1'b1;
        if (ahead_q == '0) {watching_q, loaded_q} <= '0;
      end
      if (watching_q && load[bank_q] && entry == '0 && item[bank_q][item_q]) loaded_q <= 1'b1;
      if (chosen) begin
        watching_q <= 1'b1;
        loaded_q <= 1'b0;
        ahead_q <= total_q - count_t'(taken) + count_t'($countones(arriving_marks & below));
      end
    end
  end
  wire image = 32'(item_q) % Parts == 1;

  // In G2 the second word leaves one cycle after the first, when another digit may be followed already.
  logic using_second_q, second_image_q, second_negative_q;
  point_t      second_word_q;
  point_slot_t second_slot_q;
  bank_mask_t taken_1, taken_2;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {using_second_q, first_came_q} <= '0;
      {taken_1, taken_2} <= '0;
    end else begin
      using_second_q <= using_q && g2_q;
      {taken_1, taken_2} <= {candidate_take_i, taken_1};
      if (flush_i) first_came_q <= 1'b0;
      else if (take_i) first_came_q <= g2_q && !second_i;
    end
  end
  always_ff @(posedge clk_i) begin
    second_word_q <= point_q[1];
    second_slot_q <= slot_q;
    second_image_q <= image;
    second_negative_q <= digit_q.negative;
    if (take_i && !second_i) first_word_q <= point_i;
    if (chosen) begin
      slot_q <= u_dut.next_q;
      point_q <= {point_i, g2_q ? first_word_q : point_i};
      digit_q <= arriving;
      place_q <= tail[bank_q];
    end
  end

  // ---- What it must look like ----
  wire win_t  win = win_t'(32'(item_q) / Parts);
  wire cell_t place = place_of(win, digit_q.bucket, window_bits_q);

  // Digits in front of it, by what the block holds.
  count_t     in_front;
  always_comb begin
    in_front = count_t'(valid[bank_q]);
    for (int unsigned e = 0; e < Slots; e++) begin
      if (e < 32'(entry)) in_front = in_front + count_t'($countones(marked[bank_q][e] & ((e == 0) ? ~done[bank_q] : '1)));
      if (e == 32'(entry)) in_front = in_front + count_t'($countones(marked[bank_q][e] & below & ((e == 0) ? ~done[bank_q] : '1)));
    end
  end
  count_t in_all;
  always_comb begin
    in_all = count_t'(valid[bank_q]);
    for (int unsigned e = 0; e < Slots; e++) begin
      if (e < 32'(count[bank_q])) in_all = in_all + count_t'($countones(marked[bank_q][e] & ((e == 0) ? ~done[bank_q] : '1)));
    end
  end
  wire point_slot_t oldest = u_dut.oldest_q;
  wire held_t       age = held_t'(point_slot_t'(slot_q - oldest));  // places after the ring's oldest

  // ---- What the blocks around it guarantee ----
  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_window_bits : assume (32'(window_bits_i) >= MsmMinWindowBits && 32'(window_bits_i) <= MsmMaxWindowBits);
    e_ready : assume (!take_i || ready);
    e_take : assume ((candidate_take_i & ~valid) == '0);
    // msm_control: a command begins when all is at rest, and points come later.
    e_change :
    assume (!change_i || (u_dut.held_q == '0 && empty && !take_i && !watching_q && !using_q && !using_second_q && !first_came_q));
    e_run : assume (!run_q || !take_i);
    // msm_twist: words come in pairs; msm_scheduler: candidates are taken in slots.
    e_words : assume (!take_i || (g2_q ? second_i == first_came_q : !second_i));
    e_slots : assume (!g2_q || candidate_take_i == '0 || (taken_1 | taken_2) == '0);
    e_item : assume (32'(watch_item_i) < Items);
  end

  // ---- Properties ----
  always_comb begin
    if (rst_ni) begin
      a_never_overflows : assert (overflow == '0);
      a_ring_never_overflows : assert (32'(u_dut.held_q) <= Slots && (!take_i || 32'(u_dut.held_q) < Slots));
      a_nothing_more : assert (valid[bank_q] ? total_q != '0 : 1'b1);
      a_empty : assert (!empty || total_q == '0);
      if (watching_q) begin
        a_in_order : assert (loaded_q == (ahead_q == '0 && valid[bank_q]));
        if (ahead_q == '0 && valid[bank_q]) begin
          a_its_digit :
          assert (candidate[bank_q].image == image && candidate[bank_q].negative == digit_q.negative
              && candidate[bank_q].win == win && candidate[bank_q].place == place);
        end
      end
      if (using_q) begin
        a_its_point :
        assert (point[bank_q].x == (image ? point_q[0].x_image : point_q[0].x)
            && point[bank_q].y == (digit_q.negative ? point_q[0].neg_y : point_q[0].y) && point[bank_q].z == FpOne);
      end
      if (using_second_q) begin
        a_its_second_word :
        assert (point[bank_q].x == (second_image_q ? second_word_q.x_image : second_word_q.x)
            && point[bank_q].y == (second_negative_q ? second_word_q.neg_y : second_word_q.y) && point[bank_q].z == '0);
      end
    end
  end

  // ---- Invariants ----
  always_comb begin
    if (rst_ni) begin
      i_window_bits : assert (32'(window_bits_q) >= MsmMinWindowBits && 32'(window_bits_q) <= MsmMaxWindowBits);
      i_held : assert (point_slot_t'(u_dut.next_q - oldest) == point_slot_t'(u_dut.held_q) && 32'(u_dut.held_q) <= Slots);
      i_total : assert (total_q == in_all);
      if (watching_q) begin
        i_slot : assert (age < u_dut.held_q);
        i_content :
        assert (u_dut.x_q[slot_q] == point_q[0].x && u_dut.image_q[slot_q] == point_q[0].x_image
            && u_dut.y_q[slot_q] == point_q[0].y && u_dut.neg_y_q[slot_q] == point_q[0].neg_y);
        i_content_of_second :
        assert (!g2_q || (u_dut.x_q[slot_q|1] == point_q[1].x && u_dut.image_q[slot_q|1] == point_q[1].x_image
            && u_dut.y_q[slot_q|1] == point_q[1].y && u_dut.neg_y_q[slot_q|1] == point_q[1].neg_y));
        if (loaded_q) begin
          i_loaded : assert (ahead_q == '0 && valid[bank_q] && candidate[bank_q].slot == slot_q);
        end else begin
          i_entry :
          assert (entry < count[bank_q] && slots[bank_q][point_slot_t'(entry)] == slot_q
              && marked[bank_q][point_slot_t'(entry)][item_q] && !(entry == '0 && done[bank_q][item_q]));
          i_ahead : assert (ahead_q == in_front);
          i_digit : assert (u_dut.digits_q[slot_q][item_q] == digit_q);
        end
      end
      if (using_q) begin
        i_used : assert (used[bank_q] == slot_q);
      end
      if (using_second_q) begin
        i_used_second : assert (used[bank_q] == (second_slot_q | 1'b1));
      end
      if (first_came_q) begin
        i_first_word :
        assert (g2_q && u_dut.x_q[u_dut.next_q] == first_word_q.x && u_dut.image_q[u_dut.next_q] == first_word_q.x_image
            && u_dut.y_q[u_dut.next_q] == first_word_q.y && u_dut.neg_y_q[u_dut.next_q] == first_word_q.neg_y
            && 32'(u_dut.held_q) <= Slots - 2);
      end
      if (run_q) i_at_rest : assert (u_dut.held_q == '0 && empty);
      if (g2_q && !run_q) begin
        i_even : assert (!u_dut.next_q[0] && !oldest[0] && !u_dut.held_q[0] && !(watching_q && slot_q[0]));
      end
    end
  end

  // Of every bank: entries are held slots, in the ring's order, with digits left.
  for (genvar b = 0; b < MsmBanks; b++) begin : gen_queue
    always_comb begin
      if (rst_ni) begin
        i_count : assert (32'(count[b]) <= Slots);
        i_done : assert (count[b] != '0 ? (marked[b][0] & ~done[b]) != '0 : done[b] == '0);
        if (valid[b]) begin
          i_even_candidate : assert (!g2_q || run_q || !candidate[b].slot[0]);
          i_candidate :
          assert (held_t'(point_slot_t'(candidate[b].slot - oldest)) < u_dut.held_q
              && (count[b] == '0 || point_slot_t'(candidate[b].slot - oldest) <= point_slot_t'(slots[b][0] - oldest)));
        end
      end
    end
    for (genvar e = 0; e < Slots; e++) begin : gen_entry
      always_comb begin
        if (rst_ni && e < 32'(count[b])) begin
          i_even_entry : assert (!g2_q || run_q || !slots[b][e][0]);
          i_marked : assert (marked[b][e] != '0 && held_t'(point_slot_t'(slots[b][e] - oldest)) < u_dut.held_q);
          if (e > 0) begin
            i_sorted : assert (point_slot_t'(slots[b][(e+Slots-1)%Slots] - oldest) < point_slot_t'(slots[b][e] - oldest));
          end
        end
      end
    end
  end

  // ---- All of this happens ----
  logic loops_q;  // the ring went round
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) loops_q <= 1'b0;
    else if (u_dut.keep && (u_dut.next_q | point_slot_t'(g2_q)) == '1) loops_q <= 1'b1;
  end
  always_comb begin
    if (rst_ni) begin
      c_full : cover (32'(count[bank_q]) == Slots / (g2_q ? 2 : 1) && !ready && ahead_q > (g2_q ? 4 : 8));
      c_after_g1 : cover (using_second_q && loops_q && g2_q);
      c_used : cover (using_q && image && digit_q.negative && loops_q);
      c_other : cover (watching_q && ahead_q != '0 && u_dut.release_slot);
    end
  end

endmodule
