// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Turns scalars as they lie in memory (Montgomery form) into the signed digits
// of the windows in flight: check < r, leave Montgomery form by a product with 1
// (fr_mul), add 2^(c-1) in every window, cut. Also remembers over the first pass
// in which bits any scalar had a digit, so that groups without work are skipped.
// Used by: msm_engine.
module msm_recoder
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Held from the start of a pass to its end
  input  window_bits_t window_bits_i,
  input  bit_pos_t     pos_i,          // lowest bit of the group's window 0
  input  win_mask_t    mask_i,         // windows of the group that exist
  input  logic         learn_i,        // first pass: collect where digits are
  input  logic         forget_i,       // pulse: a new command
  output logic         touched_o,      // some learnt scalar has a digit in the group

  input  logic flush_i,  // level, at least until busy_o is low
  output logic busy_o,   // scalars in the pipeline

  input  logic         scalar_valid_i,
  output logic         scalar_ready_o,
  input  logic [255:0] scalar_i,

  output logic    digits_valid_o,
  input  logic    digits_ready_i,
  output digits_t digits_o
);

  // Scalars in the pipeline and in the FIFO behind it; covers fr_mul's latency at
  // the full rate of one scalar in two cycles.
  localparam int unsigned DepthLog2 = 6;
  localparam int unsigned Depth = 1 << DepthLog2;
  typedef logic [DepthLog2:0] level_t;
  typedef logic [MsmMaxWindowBits-1:0] window_t;

  level_t promised_q;  // FIFO entries in use or promised to the pipeline
  level_t in_flight_q;  // of these, in the pipeline

  assign scalar_ready_o = promised_q != level_t'(Depth) && !flush_i;
  wire                     enter = scalar_valid_i && scalar_ready_o;

  // ---- Leave Montgomery form ----
  logic                    plain_valid;
  fr_t                     plain;
  logic [FrMulLatency-1:0] bad_q;  // beside the multiplier

  fr_mul u_from_montgomery (
    .clk_i,
    .rst_ni,
    .valid_i(enter),
    .a_i    (scalar_i[FrBits-1:0]),
    .b_i    (fr_t'(1)),
    .valid_o(plain_valid),
    .p_o    (plain)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) bad_q <= '0;
    else bad_q <= {bad_q[FrMulLatency-2:0], enter && scalar_i >= 256'(FrModulus)};
  end

  // ---- Recode ----
  logic recoded_valid_q, recoded_bad_q;
  recoded_t recoded_q, seen_q;
  wire recoded_t offset = Geometry[window_bits_i].offset;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      recoded_valid_q <= 1'b0;
      seen_q <= '0;
    end else begin
      recoded_valid_q <= plain_valid;
      if (forget_i) seen_q <= '0;
      else if (recoded_valid_q && learn_i) seen_q <= seen_q | (recoded_q ^ offset);
    end
  end

  always_ff @(posedge clk_i) begin
    if (plain_valid) begin
      recoded_q <= recoded_t'(plain) + offset;
      recoded_bad_q <= bad_q[FrMulLatency-1];
    end
  end

  // ---- Cut ----
  wire window_t half = window_t'(1) << (window_bits_i - 1'b1);
  wire window_t used = half | (half - 1'b1);
  digits_t      digits;
  win_mask_t    touched;

  always_comb begin
    digits.bad = recoded_bad_q;
    for (int unsigned w = 0; w < MsmWindows; w++) begin
      automatic bit_pos_t pos = pos_i + bit_pos_t'(w) * bit_pos_t'(window_bits_i);
      automatic window_t  window = recoded_q[pos+:MsmMaxWindowBits] & used;
      automatic logic     negative = (window & half) == '0;
      automatic window_t  magnitude = negative ? half - window : window - half;
      digits.digit[w].nonzero = window != half && mask_i[w];
      digits.digit[w].negative = negative;
      digits.digit[w].bucket = bucket_t'(magnitude - 1'b1);
      touched[w] = (seen_q[pos+:MsmMaxWindowBits] & used) != '0 && mask_i[w];
    end
  end
  assign touched_o = |touched;

  // ---- Wait for the points ----
  logic fifo_full;  // never: places are promised before scalars enter
  wire  push = recoded_valid_q && !flush_i;
  wire  pop = digits_valid_o && digits_ready_i;

  fifo #(
    .T        (digits_t),
    .DepthLog2(DepthLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (push),
    .data_i (digits),
    .full_o (fifo_full),
    .valid_o(digits_valid_o),
    .data_o (digits_o),
    .pop_i  (pop)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      promised_q <= '0;
      in_flight_q <= '0;
    end else begin
      in_flight_q <= in_flight_q + level_t'(enter) - level_t'(recoded_valid_q);
      // While flushing, only what is still in the pipeline remains promised.
      if (flush_i) promised_q <= in_flight_q - level_t'(recoded_valid_q);
      else promised_q <= promised_q + level_t'(enter) - level_t'(pop);
    end
  end
  assign busy_o = in_flight_q != '0;

  wire unused = &{1'b0, fifo_full};

endmodule
