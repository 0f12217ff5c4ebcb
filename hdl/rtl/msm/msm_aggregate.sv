// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Sums the buckets of a group of windows, each weighted with its digit: sum of
// (b + 1) * bucket b. The buckets of a window are cut into segments of `length`;
// all segments of all windows advance together, so that the adder stays full:
//   Sum     from the top bucket of each segment down: weighted += plain;
//           plain += bucket (in this order, on the plain sum before)
//   Double  plain *= length, by doublings: the weight of a step to the next segment
//   Pair    segments 2i and 2i + 1 of a level: weighted and plain sums are added
//   Merge   weighted(2i) += plain(2i + 1); plain doubles: a step is twice as long
// until one segment per window is left. Additions start in a fixed order and sums
// return in order, so an addition whose operand was made `d` additions ago may
// start when at most d - 1 are under way: no addresses need to be compared.
// Used by: msm_engine; its additions go through msm_scheduler.
module msm_aggregate
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic         start_i,         // pulse
  input  window_bits_t window_bits_i,
  input  win_t         last_win_i,      // the group's highest window
  input  logic         flush_i,         // level: stop
  input  logic         results_free_i,  // the windows' sums may be overwritten
  output logic         done_o,          // pulse: the windows' sums are in the node memory

  output logic     op_valid_o,
  output node_op_t op_o,
  output take_t    take_o,
  input  logic     op_grant_i,
  input  logic     op_return_i
);

  typedef enum logic [2:0] {
    StIdle,
    StSum,
    StDouble,
    StPair,
    StMerge,
    StDrain
  } state_e;
  // Counts up to all segments of all windows, twice, and beyond.
  localparam int unsigned LevelBits = SegmentLog2 + WinBits + 3;
  typedef logic [LevelBits-1:0] level_t;
  typedef logic [SegmentLog2:0] span_t;
  typedef logic [$clog2(BucketBits+1)-1:0] log_t;

  // ---- Shape, constant over a run ----
  wire log_t     buckets_log = log_t'(window_bits_i - 1'b1);
  wire log_t     segments_log = (buckets_log > log_t'(SegmentLog2)) ? log_t'(SegmentLog2) : buckets_log;
  wire log_t     length_log = buckets_log - segments_log;
  wire span_t    segments = span_t'(1) << segments_log;
  wire bucket_t  length = bucket_t'(1) << length_log;
  wire level_t   chains = level_t'(segments) * (level_t'(last_win_i) + 1'b1);

  // ---- State ----
  state_e        state_q;
  bucket_t       round_q;  // StSum: buckets of each segment summed; StDouble: doublings done
  segment_t      segment_q;
  win_t          win_q;
  logic          plain_q;  // the addition makes a plain sum (else a weighted one)
  log_t          level_q;  // StPair, StMerge
  logic          fresh_q;  // first addition of a step that needs all sums of the step before
  level_t        under_way_q;

  wire           last_level = level_q == segments_log - 1'b1;
  wire span_t    stride = (state_q == StPair || state_q == StMerge) ? span_t'(2) << level_q : span_t'(1);
  wire segment_t partner = segment_q | (segment_t'(1) << level_q);
  wire           last_segment = span_t'(segment_q) + stride == segments;
  wire           last_chain = last_segment && win_q == last_win_i;

  // The next addition of the same chain in this step is the plain one.
  logic          both;
  always_comb begin
    unique case (state_q)
      StSum:           both = round_q != '0 && round_q != length;
      StPair, StMerge: both = !last_level;
      default:         both = 1'b0;
    endcase
  end
  wire    step_done = op_grant_i && last_chain && (plain_q || !both);

  // ---- The addition ----
  level_t allowed;  // additions that may be under way when this one starts
  always_comb begin
    unique case (state_q)
      StSum: begin
        if (round_q == '0) allowed = '1;
        else if (round_q == bucket_t'(1) || round_q == length) allowed = chains - level_t'(1);
        else allowed = (chains << 1) - level_t'(2);
      end
      StDouble: allowed = chains - level_t'(1);
      default:  allowed = fresh_q ? '0 : '1;
    endcase
  end

  wire results = state_q == StMerge && last_level;
  assign op_valid_o = state_q != StIdle && state_q != StDrain && under_way_q <= allowed && (!results || results_free_i);

  node_addr_t plain_here, weighted_here;
  always_comb begin
    plain_here = '{kind: NodePlain, segment: segment_q, win: win_q};
    weighted_here = '{kind: NodeWeighted, segment: segment_q, win: win_q};
    op_o = '{
        dst: plain_q ? plain_here : weighted_here,
        x: plain_q ? plain_here : weighted_here,
        x_infinity: 1'b0,
        y: plain_here
    };
    unique case (state_q)
      StSum: begin
        op_o.x_infinity = plain_q ? round_q == '0 : round_q == bucket_t'(1);
      end
      StPair: begin
        op_o.y = plain_q ? plain_here : weighted_here;
        op_o.y.segment = partner;
      end
      StMerge: begin
        if (!plain_q) op_o.y.segment = partner;
        if (results) op_o.dst = '{kind: NodeWindow, segment: '0, win: win_q};
      end
      default: ;
    endcase
  end

  assign take_o = '{
      valid: state_q == StSum && plain_q,
      win: win_q,
      bucket: (bucket_t'(segment_q) << length_log) | (length - bucket_t'(1) - round_q)
    };

  // ---- Steps ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      round_q <= '0;
      segment_q <= '0;
      win_q <= '0;
      plain_q <= 1'b0;
      level_q <= '0;
      fresh_q <= 1'b0;
    end else if (flush_i) begin
      state_q <= StIdle;
    end else begin
      // Order within a step: weighted then plain, windows, segments.
      if (op_grant_i) begin
        fresh_q <= 1'b0;
        if (both && !plain_q) plain_q <= 1'b1;
        else begin
          plain_q <= state_q == StDouble || (state_q == StSum && round_q == '0);
          win_q <= (win_q == last_win_i) ? '0 : win_q + 1'b1;
          if (win_q == last_win_i) segment_q <= last_segment ? '0 : segment_q + segment_t'(stride);
        end
      end

      unique case (state_q)
        StIdle: begin
          round_q <= '0;
          segment_q <= '0;
          win_q <= '0;
          plain_q <= 1'b1;
          level_q <= '0;
          if (start_i) state_q <= StSum;
        end
        StSum: begin
          if (step_done) begin
            plain_q <= 1'b0;
            round_q <= round_q + 1'b1;
            if (round_q == length) begin
              round_q <= '0;
              plain_q <= length_log != '0;
              fresh_q <= length_log == '0;
              state_q <= (length_log != '0) ? StDouble : StPair;
            end
          end
        end
        StDouble: begin
          if (step_done) begin
            round_q <= round_q + 1'b1;
            if (round_q + 1'b1 == bucket_t'(length_log)) begin
              plain_q <= 1'b0;
              fresh_q <= 1'b1;
              state_q <= StPair;
            end
          end
        end
        StPair: begin
          if (step_done) begin
            plain_q <= 1'b0;
            fresh_q <= 1'b1;
            state_q <= StMerge;
          end
        end
        StMerge: begin
          if (step_done) begin
            plain_q <= 1'b0;
            fresh_q <= 1'b1;
            level_q <= level_q + 1'b1;
            state_q <= last_level ? StDrain : StPair;
          end
        end
        default: if (under_way_q == '0) state_q <= StIdle;
      endcase
    end
  end
  assign done_o = state_q == StDrain && under_way_q == '0;

  // What is under way after a flush still returns.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) under_way_q <= '0;
    else under_way_q <= under_way_q + level_t'(op_grant_i) - level_t'(op_return_i);
  end

endmodule
