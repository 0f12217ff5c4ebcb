// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Keeps points for the banks of a unit: a point and its digits are held once, in a
// ring, and each bank has a queue of the points that have digits for its buckets. A
// bank takes one digit after another, zero digits cost nothing, and at its own pace; a
// ring slot is free again when no bank refers to it. Also notes how far up each
// window's buckets are used. Used by: msm_unit; candidates go to msm_scheduler, points to msm_datapath.
module msm_dispatch
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic         g2_i,           // a point takes two slots, one for each of its words
  input  window_bits_t window_bits_i,
  input  logic         run_i,          // pulse: a new command, while nothing is held
  input  logic         start_i,        // pulse: a pass begins
  input  logic         flush_i,        // level: drop everything
  output logic         empty_o,        // no candidate is left

  // Pairs, for all units at once
  output logic         ready_o,
  input  logic         take_i,    // only while every unit is ready
  input  logic         second_i,  // G2: the point's second word
  input  point_t       point_i,
  input  unit_digits_t digits_i,

  // Candidates, one per bank
  output bank_mask_t candidate_valid_o,
  output candidate_t candidate_o      [MsmBanks],
  input  bank_mask_t candidate_take_i,

  // The points taken in the cycle before, signed and projective; in G2 the second words in the next one
  output xyz_t point_o[MsmBanks],

  // Of this pass: windows with a digit, and their highest bucket
  output win_mask_t                   touched_o,
  output bucket_t   [UnitWindows-1:0] highest_o
);

  localparam int unsigned Slots = 1 << PointsLog2;
  localparam int unsigned Items = UnitWindows * Parts;  // digits of a point
  typedef logic [$clog2(Items)-1:0] item_t;
  typedef logic [Items-1:0] items_t;

  // ---- Ring of points ----
  point_slot_t oldest_q, next_q;
  typedef logic [PointsLog2:0] held_t;
  held_t      held_q;
  bank_mask_t wanted;

  wire held_t span = g2_i ? held_t'(2) : held_t'(1);  // slots of a point
  wire        write = take_i && !flush_i;
  wire        keep = write && |wanted && (!g2_i || second_i);
  assign ready_o = held_q <= held_t'(Slots) - span;

  fp_t x_q[Slots], image_q[Slots], y_q[Slots], neg_y_q[Slots];
  digit_t     [Items-1:0] digits;
  digit_t     [Items-1:0] digits_q                                               [Slots];
  bank_mask_t             refers;  // the bank still needs the ring's oldest slot
  wire                    release_slot = held_q != '0 && refers == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      oldest_q <= '0;
      next_q <= '0;
      held_q <= '0;
    end else if (flush_i || run_i) begin
      oldest_q <= '0;
      next_q <= '0;
      held_q <= '0;
    end else begin
      if (keep) next_q <= next_q + point_slot_t'(span);
      if (release_slot) oldest_q <= oldest_q + point_slot_t'(span);
      held_q <= held_q + (keep ? span : '0) - (release_slot ? span : '0);
    end
  end

  // Slots of G2 go in pairs, the first one even.
  wire point_slot_t into = next_q | point_slot_t'(g2_i && second_i);
  always_ff @(posedge clk_i) begin
    if (write) begin
      x_q[into] <= point_i.x;
      image_q[into] <= point_i.x_image;
      y_q[into] <= point_i.y;
      neg_y_q[into] <= point_i.neg_y;
    end
    if (keep) digits_q[next_q] <= digits;
  end

  // An item is a window and a part (Parts = 2).
  assign digits = digits_i;
  function automatic win_t win_of(item_t item);
    return win_t'(item >> 1);
  endfunction

  // ---- Queues of the banks ----
  typedef struct packed {
    point_slot_t slot;
    items_t      items;  // digits for this bank
  } bundle_t;
  bank_mask_t queue_valid, queue_full, valid_q;
  candidate_t candidate_q[MsmBanks];

  for (genvar b = 0; b < MsmBanks; b++) begin : gen_bank
    bundle_t front;
    items_t arriving, left, done_q;
    item_t item;

    always_comb begin
      for (int unsigned i = 0; i < Items; i++) begin
        arriving[i] = digits[i].nonzero && !point_i.infinity && bank_of(win_of(item_t'(i)), digits[i].bucket) == bank_t'(b);
      end
    end
    assign wanted[b] = |arriving;

    // Digits of the oldest point that are still to be taken, the lowest first.
    always_comb begin
      left = front.items & ~done_q;
      item = '0;
      for (int i = Items - 1; i >= 0; i--) begin
        if (left[i]) item = item_t'(i);
      end
    end
    wire load = queue_valid[b] && (!valid_q[b] || candidate_take_i[b]);
    wire finished = (left & (left - 1'b1)) == '0;

    // As deep as the ring, hence never full before it.
    fifo #(
      .T        (bundle_t),
      .DepthLog2(PointsLog2)
    ) u_queue (
      .clk_i,
      .rst_ni,
      .clear_i(flush_i),
      .push_i (keep && wanted[b]),
      .data_i ('{slot: next_q, items: arriving}),
      .full_o (queue_full[b]),
      .valid_o(queue_valid[b]),
      .data_o (front),
      .pop_i  (load && finished)
    );

    digit_t digit;
    assign digit = digits_q[front.slot][item];
    wire unused_digit = &{1'b0, digit.nonzero};

    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        valid_q[b] <= 1'b0;
        done_q <= '0;
      end else if (flush_i) begin
        valid_q[b] <= 1'b0;
        done_q <= '0;
      end else begin
        if (load) begin
          valid_q[b] <= 1'b1;
          done_q <= finished ? '0 : done_q | (items_t'(1) << item);
        end else if (candidate_take_i[b]) valid_q[b] <= 1'b0;
      end
    end
    always_ff @(posedge clk_i) begin
      if (load) begin
        candidate_q[b] <= '{
          image: item[0],
          negative: digit.negative,
          win: win_of(item),
          place: place_of(win_of(item), digit.bucket, window_bits_i),
          slot: front.slot
        };
      end
    end

    assign refers[b] = (valid_q[b] && candidate_q[b].slot == oldest_q) || (queue_valid[b] && front.slot == oldest_q);
    assign candidate_o[b] = candidate_q[b];

    // A slot is written again three cycles after it was taken at the earliest.
    logic use_q, first_q, image_part_q, negative_q;
    point_slot_t slot_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        use_q <= 1'b0;
        first_q <= 1'b0;
      end else begin
        use_q <= candidate_take_i[b] || first_q;
        first_q <= candidate_take_i[b] && g2_i;
      end
    end
    always_ff @(posedge clk_i) begin
      if (candidate_take_i[b]) begin
        slot_q <= candidate_q[b].slot;
        image_part_q <= candidate_q[b].image;
        negative_q <= candidate_q[b].negative;
      end else if (first_q) slot_q[0] <= 1'b1;
    end
    always_comb begin
      point_o[b] = '0;
      if (use_q) begin
        point_o[b].x = image_part_q ? image_q[slot_q] : x_q[slot_q];
        point_o[b].y = negative_q ? neg_y_q[slot_q] : y_q[slot_q];
        if (!g2_i || first_q) point_o[b].z = FpOne;
      end
    end
  end

  // ---- How far up the buckets are used ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      touched_o <= '0;
      highest_o <= '0;
    end else if (start_i) begin
      touched_o <= '0;
      highest_o <= '0;
    end else if (keep) begin
      for (int unsigned w = 0; w < UnitWindows; w++) begin
        automatic bucket_t highest = highest_o[w];
        for (int unsigned i = 0; i < Parts; i++) begin
          if (digits_i[w][i].nonzero && digits_i[w][i].bucket > highest) highest = digits_i[w][i].bucket;
          if (digits_i[w][i].nonzero) touched_o[w] <= 1'b1;
        end
        highest_o[w] <= highest;
      end
    end
  end

  assign candidate_valid_o = valid_q;
  assign empty_o = valid_q == '0 && queue_valid == '0;

  wire unused = &{1'b0, queue_full};

endmodule
