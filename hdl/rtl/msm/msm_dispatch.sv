// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Joins points with their digits and keeps them for the windows: a point is held
// once, in a ring, and each window has a queue of the points that have a digit
// there. Zero digits and points at infinity are dropped here. The windows take
// their candidates at their own pace; a ring slot is free again when no window's
// oldest entry refers to it. Used by: msm_engine; candidates go to msm_scheduler,
// points to msm_datapath.
module msm_dispatch
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic   start_i,   // pulse: a pass over `count_i` pairs begins
  input  count_t count_i,
  input  logic   flush_i,   // level: drop everything
  output logic   all_in_o,  // every pair of the pass has been joined
  output logic   empty_o,   // no candidate is left

  // The first faulty pair stops the pass
  output logic   bad_scalar_o,
  output logic   bad_point_o,
  output count_t bad_index_o,

  input  logic    point_valid_i,
  output logic    point_ready_o,
  input  point_t  point_i,
  input  logic    digits_valid_i,
  output logic    digits_ready_o,
  input  digits_t digits_i,

  // Candidates, one per window
  output win_mask_t  candidate_valid_o,
  output candidate_t candidate_o      [MsmWindows],
  input  win_mask_t  candidate_take_i,

  // The points taken in the cycle before, signed and projective
  output g1_t point_o[MsmWindows]
);

  localparam int unsigned Slots = 1 << PointsLog2;

  // ---- Join ----
  count_t left_q, index_q;
  point_slot_t oldest_q, next_q;
  logic      [PointsLog2:0] held_q;
  win_mask_t                wanted;

  wire                      pair = point_valid_i && digits_valid_i && left_q != '0;
  wire                      bad = digits_i.bad || point_i.bad;
  wire                      room = !held_q[PointsLog2];
  wire                      join_ok = pair && !bad && room && !flush_i;
  wire                      keep = join_ok && |wanted;

  always_comb begin
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      wanted[w] = digits_i.digit[w].nonzero && !point_i.infinity;
    end
  end

  assign point_ready_o = join_ok;
  assign digits_ready_o = join_ok;
  assign bad_scalar_o = pair && digits_i.bad;
  assign bad_point_o = pair && point_i.bad && !digits_i.bad;
  assign bad_index_o = index_q;
  assign all_in_o = left_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      left_q <= '0;
      index_q <= '0;
    end else if (start_i) begin
      left_q <= count_i;
      index_q <= '0;
    end else if (flush_i) begin
      left_q <= '0;
    end else if (join_ok) begin
      left_q <= left_q - 1'b1;
      index_q <= index_q + 1'b1;
    end
  end

  // ---- Ring of points ----
  fp_t x_q[Slots], y_q[Slots], neg_y_q[Slots];
  win_mask_t refers;  // the window's oldest entry is the ring's oldest slot
  wire       release_slot = held_q != '0 && refers == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      oldest_q <= '0;
      next_q <= '0;
      held_q <= '0;
    end else if (flush_i) begin
      oldest_q <= '0;
      next_q <= '0;
      held_q <= '0;
    end else begin
      if (keep) next_q <= next_q + 1'b1;
      if (release_slot) oldest_q <= oldest_q + 1'b1;
      held_q <= held_q + (PointsLog2 + 1)'(keep) - (PointsLog2 + 1)'(release_slot);
    end
  end

  always_ff @(posedge clk_i) begin
    if (keep) begin
      x_q[next_q] <= point_i.x;
      y_q[next_q] <= point_i.y;
      neg_y_q[next_q] <= point_i.neg_y;
    end
  end

  // ---- Queues of the windows, each with its head in a register ----
  win_mask_t queue_valid, queue_full, head_valid_q;
  candidate_t head_q[MsmWindows];

  for (genvar w = 0; w < MsmWindows; w++) begin : gen_window
    candidate_t front;
    wire        pull = !head_valid_q[w] || candidate_take_i[w];

    // As deep as the ring, hence never full before it.
    fifo #(
      .T        (candidate_t),
      .DepthLog2(PointsLog2)
    ) u_queue (
      .clk_i,
      .rst_ni,
      .clear_i(flush_i),
      .push_i (keep && wanted[w]),
      .data_i ('{
          negative: digits_i.digit[w].negative,
          bucket: digits_i.digit[w].bucket,
          slot: next_q
      }),
      .full_o (queue_full[w]),
      .valid_o(queue_valid[w]),
      .data_o (front),
      .pop_i  (pull)
    );

    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) head_valid_q[w] <= 1'b0;
      else if (flush_i) head_valid_q[w] <= 1'b0;
      else if (pull) head_valid_q[w] <= queue_valid[w];
    end
    always_ff @(posedge clk_i) begin
      if (pull && queue_valid[w]) head_q[w] <= front;
    end

    assign refers[w] = head_valid_q[w] ? head_q[w].slot == oldest_q : queue_valid[w] && front.slot == oldest_q;
    assign candidate_o[w] = head_q[w];

    // A slot is written again three cycles after it was taken at the earliest.
    logic use_q, negative_q;
    point_slot_t slot_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) use_q <= 1'b0;
      else use_q <= candidate_take_i[w];
    end
    always_ff @(posedge clk_i) begin
      if (candidate_take_i[w]) begin
        slot_q <= head_q[w].slot;
        negative_q <= head_q[w].negative;
      end
    end
    always_comb begin
      point_o[w] = '0;
      if (use_q) begin
        point_o[w].x = x_q[slot_q];
        point_o[w].y = negative_q ? neg_y_q[slot_q] : y_q[slot_q];
        point_o[w].z = FpOne;
      end
    end
  end

  assign candidate_valid_o = head_valid_q;
  assign empty_o = head_valid_q == '0 && queue_valid == '0;

  wire unused = &{1'b0, queue_full};

endmodule
