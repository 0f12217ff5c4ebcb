// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Makes of a pair as it lies in memory what the units add up: one pair a cycle,
// a pipeline of fixed length between promised places.
//   scalar: < r?  out of Montgomery form (fr_mul by 1), split, 2^(c-1) added in
//           every window, cut into the digits of the windows in flight
//   point:  < p?  infinity?  x of its image under the endomorphism, -y
// In G2 a pair comes in two raw ones and is worked on when the second is there: the first
// entry then has the digits of P, the second those of z P, and msm_twist makes words of them.
// Also remembers over the first pass in which bits any scalar had a digit, so that
// groups without work are skipped. Used by: msm_engine.
module msm_prepare
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Held from the start of a pass to its end
  input  logic         g2_i,
  input  window_bits_t window_bits_i,
  input  logic         full_i,         // without the endomorphism
  input  recoded_t     offset_i,
  input  bit_pos_t     pos_i,          // lowest bit of the group's window 0
  input  group_mask_t  mask_i,         // windows of the group that exist
  input  logic         learn_i,        // first pass: collect where digits are
  input  logic         forget_i,       // pulse: a new command
  output logic         touched_o,      // some learnt scalar has a digit in the group

  input  logic flush_i,  // level, at least until busy_o is low
  output logic busy_o,   // pairs in the pipeline
  output logic empty_o,  // nor in the FIFO behind it

  input  logic      raw_valid_i,
  output logic      raw_ready_o,
  input  raw_pair_t raw_i,

  output logic  pair_valid_o,
  input  logic  pair_ready_i,
  output pair_t pair_o
);

  // ---- Lengths: the slower half decides ----
  localparam int unsigned ScalarLatency = FrMulLatency + SplitLatency + 2;  // and recode, cut
  localparam int unsigned ImageLatency = FpMulLatency + 5;  // 1 behind, and in front what the delays below need
  localparam int unsigned ScalarWait = (ImageLatency > ScalarLatency + 2) ? ImageLatency - ScalarLatency : 2;
  localparam int unsigned Latency = ScalarWait + ScalarLatency;

  // Pairs in the pipeline and in the FIFO behind it.
  localparam int unsigned DepthLog2 = $clog2(Latency + QuarterLatency + 8);
  localparam int unsigned Depth = 1 << DepthLog2;
  typedef logic [DepthLog2:0] level_t;
  typedef logic [MsmMaxWindowBits-1:0] window_t;

  level_t promised_q;  // FIFO entries in use or promised to the pipeline
  level_t in_flight_q;  // of these, in the pipeline

  assign raw_ready_o = promised_q != level_t'(Depth) && !flush_i;
  wire enter = raw_valid_i && raw_ready_o;
  wire begins = enter && (!g2_i || raw_i.second);  // all of a pair is there

  // ---- Scalar ----
  logic scalar_valid, plain_valid, halves_valid, quarters_valid;
  fr_t scalar, plain;
  fr_t half_part[Parts], quarter[Parts], part[Parts];
  logic [Parts-1:0] half_negative, quarter_negative, part_negative;

  logic [ScalarWait-1:0] scalar_wait_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) scalar_wait_q <= '0;
    else scalar_wait_q <= {scalar_wait_q[ScalarWait-2:0], begins};
  end
  assign scalar_valid = scalar_wait_q[ScalarWait-1];

  delay_memory #(
    .Width(FrBits),
    .Delay(ScalarWait)
  ) u_scalar (
    .clk_i,
    .rst_ni,
    .valid_i(begins),
    .data_i (raw_i.scalar[FrBits-1:0]),
    .data_o (scalar)
  );

  fr_mul u_from_montgomery (
    .clk_i,
    .rst_ni,
    .valid_i(scalar_valid),
    .a_i    (scalar),
    .b_i    (fr_t'(1)),
    .valid_o(plain_valid),
    .p_o    (plain)
  );

  msm_split u_split (
    .clk_i,
    .rst_ni,
    .full_i,
    .valid_i   (plain_valid),
    .k_i       (plain),
    .valid_o   (halves_valid),
    .part_o    (half_part),
    .negative_o(half_negative)
  );

  msm_quarter u_quarter (
    .clk_i,
    .rst_ni,
    .full_i,
    .valid_i   (halves_valid && g2_i),
    .part_i    (half_part),
    .negative_i(half_negative),
    .valid_o   (quarters_valid),
    .part_o    (quarter),
    .negative_o(quarter_negative)
  );

  wire parts_valid = g2_i ? quarters_valid : halves_valid;
  assign part = g2_i ? quarter : half_part;
  assign part_negative = g2_i ? quarter_negative : half_negative;

  // ---- Recode ----
  logic recoded_valid_q, cut_valid_q;
  recoded_t             recoded_q          [Parts];
  logic     [Parts-1:0] recoded_negative_q;
  recoded_t             seen_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      recoded_valid_q <= 1'b0;
      cut_valid_q <= 1'b0;
      seen_q <= '0;
    end else begin
      recoded_valid_q <= parts_valid;
      cut_valid_q <= recoded_valid_q;
      if (forget_i) seen_q <= '0;
      else if (recoded_valid_q && learn_i) seen_q <= seen_q | (recoded_q[0] ^ offset_i) | (recoded_q[1] ^ offset_i);
    end
  end
  always_ff @(posedge clk_i) begin
    if (parts_valid) begin
      for (int unsigned i = 0; i < Parts; i++) recoded_q[i] <= recoded_t'(part[i]) + offset_i;
      recoded_negative_q <= part_negative;
    end
  end

  // ---- Cut ----
  wire window_t half = window_t'(1) << (window_bits_i - 1'b1);
  wire window_t used = half | (half - 1'b1);

  function automatic digit_t cut(recoded_t recoded, bit_pos_t pos, logic negate, window_t one, window_t all);
    window_t window, magnitude;
    logic negative;
    window = recoded[pos+:MsmMaxWindowBits] & all;
    negative = (window & one) == '0;
    magnitude = negative ? one - window : window - one;
    return '{nonzero: window != one, negative: negative ^ negate, bucket: bucket_t'(magnitude - 1'b1)};
  endfunction

  unit_digits_t [MsmAdders-1:0] digits_q;
  always_ff @(posedge clk_i) begin
    if (recoded_valid_q) begin
      for (int unsigned w = 0; w < MsmWindows; w++) begin
        automatic bit_pos_t pos = pos_i + bit_pos_t'(w) * bit_pos_t'(window_bits_i);
        for (int unsigned i = 0; i < Parts; i++) begin
          automatic digit_t digit = cut(recoded_q[i], pos, recoded_negative_q[i], half, used);
          digit.nonzero &= mask_i[w];
          digits_q[w%MsmAdders][w/MsmAdders][i] <= digit;
        end
      end
    end
  end

  logic touched;
  always_comb begin
    touched = 1'b0;
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      automatic bit_pos_t pos = pos_i + bit_pos_t'(w) * bit_pos_t'(window_bits_i);
      touched |= (seen_q[pos+:MsmMaxWindowBits] & used) != '0 && mask_i[w];
    end
  end
  assign touched_o = touched;

  // ---- Point ----
  typedef struct packed {
    logic   bad_scalar;
    logic   bad_point;
    logic   infinity;
    count_t index;
    fp_t    y;
    fp_t    x;
  } carried_t;
  carried_t carried_in, carried, carried_q;

  assign carried_in = '{
      bad_scalar: raw_i.scalar >= 256'(FrModulus),
      bad_point: raw_i.x >= 384'(FpModulus) || raw_i.y >= 384'(FpModulus),
      infinity: raw_i.x == '0 && raw_i.y == '0,
      index: raw_i.index,
      y: raw_i.y[FpBits-1:0],
      x: raw_i.x[FpBits-1:0]
    };

  logic carried_full, carried_valid;  // as many places as are promised
  fifo #(
    .T        (carried_t),
    .DepthLog2(DepthLog2)
  ) u_carried (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (enter),
    .data_i (carried_in),
    .full_o (carried_full),
    .valid_o(carried_valid),
    .data_o (carried),
    .pop_i  (recoded_valid_q)
  );

  fp_t image_x, image, image_q, neg_y_q;
  localparam int unsigned ImageWait = Latency - 1 - FpMulLatency;
  logic [ImageWait-1:0] image_wait_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) image_wait_q <= '0;
    else image_wait_q <= {image_wait_q[ImageWait-2:0], enter && !full_i && !g2_i};
  end

  delay_memory #(
    .Width(FpBits),
    .Delay(ImageWait)
  ) u_image_x (
    .clk_i,
    .rst_ni,
    .valid_i(enter),
    .data_i (raw_i.x[FpBits-1:0]),
    .data_o (image_x)
  );

  // recoded_valid_q stands one cycle before the end of the pipeline.
  always_ff @(posedge clk_i) begin
    if (recoded_valid_q) begin
      carried_q <= carried;
      // Minus zero is zero: p would not be a field element.
      neg_y_q <= (carried.y == '0) ? '0 : FpModulus - carried.y;
      image_q <= image;
    end
  end

  // ---- Wait for the units, or for msm_twist ----
  logic fifo_full;  // never: places are promised before pairs enter
  logic entry_valid, word_valid, twist_take, twist_busy, twist_empty;
  pair_t pair, entry, word;
  wire push = cut_valid_q && !flush_i;
  wire entry_pop = g2_i ? twist_take : pair_ready_i && entry_valid;

  assign pair = '{
      bad_scalar: carried_q.bad_scalar,
      bad_point: carried_q.bad_point,
      second: 1'b0,
      index: carried_q.index,
      point: '{infinity: carried_q.infinity, x: carried_q.x, x_image: image_q, y: carried_q.y, neg_y: neg_y_q},
      digits: digits_q
    };

  fifo #(
    .T        (pair_t),
    .DepthLog2(DepthLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (push),
    .data_i (pair),
    .full_o (fifo_full),
    .valid_o(entry_valid),
    .data_o (entry),
    .pop_i  (entry_pop)
  );

  msm_twist u_twist (
    .clk_i,
    .rst_ni,
    .flush_i,
    .busy_o       (twist_busy),
    .empty_o      (twist_empty),
    .g2_i,
    .image_valid_i(image_wait_q[ImageWait-1]),
    .image_x_i    (image_x),
    .image_o      (image),
    .entry_valid_i(entry_valid && g2_i),
    .entry_take_o (twist_take),
    .entry_i      (entry),
    .word_valid_o (word_valid),
    .word_take_i  (pair_ready_i),
    .word_o       (word)
  );

  assign pair_valid_o = g2_i ? word_valid : entry_valid;
  assign pair_o = g2_i ? word : entry;

  // In G2 both entries of a pair are under way once its second half has entered.
  wire level_t entering = !begins ? '0 : g2_i ? level_t'(2) : level_t'(1);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      promised_q <= '0;
      in_flight_q <= '0;
    end else begin
      in_flight_q <= in_flight_q + entering - level_t'(cut_valid_q);
      // While flushing, only what is still in the pipeline remains promised.
      if (flush_i) promised_q <= in_flight_q - level_t'(cut_valid_q);
      else promised_q <= promised_q + level_t'(enter) - level_t'(entry_pop);
    end
  end
  assign busy_o = in_flight_q != '0 || twist_busy;
  assign empty_o = promised_q == '0 && twist_empty;

  wire unused = &{1'b0, fifo_full, carried_full, carried_valid, raw_i.scalar[255]};

endmodule
