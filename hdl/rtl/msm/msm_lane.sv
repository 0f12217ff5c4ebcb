// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// One of the ports that bring pairs from card memory: every MsmLanes-th block of
// 128 pairs. Scalars come as a stream; of the points only those pairs of points are
// asked for of which a scalar is not zero (2 points = 3 beats), neighbours in one run.
// In G2 a coordinate takes the place of a point: its pair leaves in two, x first.
// What leaves: pairs whose scalar is not zero, in order, and the ends of blocks.
// Used by: msm_engine; msm_gather puts the lanes' blocks in order.
module msm_lane
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter int unsigned Lane   = 0,
  parameter axi_id_t     IdBase = '0  // two read IDs from here
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic   g2_i,            // held
  input  logic   start_i,         // pulse: all of the lane's pairs, from the beginning
  input  addr_t  points_addr_i,   // held, as the next two
  input  addr_t  scalars_addr_i,
  input  count_t count_i,         // elements of all lanes
  input  logic   flush_i,         // level: drop everything; busy_o falls in bounded time
  output logic   busy_o,
  output logic   error_o,         // a read failed; sticky until the next start

  output logic      valid_o,
  input  logic      ready_i,
  output logic      pair_o,   // a pair is there; else only the end of a block
  output logic      last_o,   // the block's last
  output raw_pair_t raw_o,

  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);

  localparam int unsigned Scalars = 0;
  localparam int unsigned Points = 1;
  localparam int unsigned Half = BeatBits / 2;
  localparam int unsigned FpSlot = 384;  // a coordinate in memory
  localparam int unsigned BlockBeatsLog2 = BlockPairsLog2 - 1;  // scalars, two a beat
  localparam int unsigned BlockBeats = 1 << BlockBeatsLog2;
  localparam int unsigned LanesLog2 = $clog2(MsmLanes);
  localparam int unsigned DepthLog2 = 7;  // points, and beats of scalars, on their way or waiting
  localparam int unsigned Depth = 1 << DepthLog2;
  localparam int unsigned TwinBeats = 3;  // two points of G1, one of G2
  localparam int unsigned RunTwins = 10;
  localparam int unsigned MaxRun = TwinBeats * RunTwins;
  typedef logic [CountBits-2:0] twin_t;  // two neighbouring elements share a beat of scalars
  typedef logic [DepthLog2:0] level_t;
  typedef logic [$clog2(RunTwins+1)-1:0] run_t;
  typedef logic [$clog2(MaxRun):0] run_beats_t;

  // ---- The lane's share ----
  // Whole blocks first, then, if it is this lane's, the piece of a block at the end.
  typedef logic [CountBits-BlockPairsLog2-1:0] blocks_t;
  wire blocks_t                      whole_blocks = count_i[CountBits-1:BlockPairsLog2];
  wire          [BlockPairsLog2-1:0] piece = count_i[BlockPairsLog2-1:0];
  wire blocks_t                      mine = (whole_blocks + blocks_t'(MsmLanes - 1 - Lane)) >> LanesLog2;
  wire                               has_piece = piece != '0 && (MsmLanes == 1 || whole_blocks[LanesLog2-1:0] == LanesLog2'(Lane));
  wire          [  BlockBeatsLog2:0] piece_beats = {1'b0, piece[BlockPairsLog2-1:1]} + (BlockBeatsLog2 + 1)'(piece[0]);
  localparam addr_t BlockBytes = addr_t'(BlockBeats * BeatBytes);

  typedef enum logic [1:0] {
    StIdle,
    StWhole,
    StPiece
  } state_e;
  state_e state_q;
  logic stream_start, stream_busy, stream_error, error_q;

  // What the stream says of errors is of this run only once it was started for it: a lane may have no pairs.
  logic used_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) used_q <= 1'b0;
    else if (start_i) used_q <= stream_start;
    else if (stream_start) used_q <= 1'b1;
  end
  wire failed = stream_error && used_q;

  // A stream is started when the one before has been consumed. start_i is answered at once.
  wire starts_whole = start_i && mine != '0;
  wire starts_piece = (state_q == StPiece || (start_i && mine == '0 && has_piece)) && !stream_busy;
  assign stream_start = starts_whole || starts_piece;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) state_q <= StIdle;
    else if (flush_i) state_q <= StIdle;
    else if (start_i) state_q <= (starts_whole && has_piece) ? StWhole : StIdle;
    else if (state_q == StWhole) state_q <= StPiece;
    else if (starts_piece) state_q <= StIdle;
  end

  axi_ax_t ar[2];
  axi_r_t  r [2];
  logic ar_valid[2], ar_ready[2], r_valid[2], r_ready[2];
  logic beat_valid, beat_ready;
  beat_t beat;

  stream_reader #(
    .IdValue (IdBase),
    .FifoLog2(DepthLog2),
    .MaxBurst(32)
  ) u_scalars (
    .clk_i,
    .rst_ni,
    .start_i       (stream_start),
    .addr_i        (scalars_addr_i + (starts_piece ? addr_t'(whole_blocks) : addr_t'(Lane)) * BlockBytes),
    .block_beats_i (starts_piece ? 32'(piece_beats) : 32'(BlockBeats)),
    .stride_beats_i(32'(BlockBeats * MsmLanes)),
    .blocks_i      (starts_piece ? 32'd1 : 32'(mine)),
    .flush_i,
    .busy_o        (stream_busy),
    .error_o       (stream_error),
    .valid_o       (beat_valid),
    .ready_i       (beat_ready),
    .data_o        (beat),
    .ar_o          (ar[Scalars]),
    .ar_valid_o    (ar_valid[Scalars]),
    .ar_ready_i    (ar_ready[Scalars]),
    .r_i           (r[Scalars]),
    .r_valid_i     (r_valid[Scalars]),
    .r_ready_o     (r_ready[Scalars])
  );

  // ---- Which points are wanted ----
  twin_t       twin_q;  // of the beat at hand
  wire         last_twin = twin_q == twin_t'((count_i - 1'b1) >> 1);
  wire         block_ends = &twin_q[BlockBeatsLog2-1:0] || last_twin;
  wire         short_twin = last_twin && count_i[0];  // only the lower one exists
  wire   [1:0] wanted = {beat[BeatBits-1:Half] != '0 && !short_twin, beat[Half-1:0] != '0};

  // A run grows with its neighbour; in a cycle in which it does not, it leaves.
  logic open_q, open_short_q, request_ready;
  twin_t open_first_q, open_next_q;
  run_t open_twins_q;
  level_t points_promised_q, entries_promised_q;

  wire has_space = points_promised_q <= level_t'(Depth - (g2_i ? 4 : 2)) && entries_promised_q != level_t'(Depth);
  wire grows = open_q && |wanted && twin_q == open_next_q && open_twins_q != (g2_i ? run_t'(RunTwins / 2) : run_t'(RunTwins));
  assign beat_ready = has_space && (!open_q || grows || request_ready);
  wire accept = beat_valid && beat_ready && !flush_i;
  wire leave = open_q && !(accept && grows) && request_ready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      open_q <= 1'b0;
      twin_q <= '0;
    end else begin
      if (flush_i) open_q <= 1'b0;
      else if (accept && |wanted) open_q <= 1'b1;
      else if (leave) open_q <= 1'b0;

      if (starts_whole) twin_q <= twin_t'(Lane * BlockBeats);
      else if (starts_piece) twin_q <= twin_t'(whole_blocks) << BlockBeatsLog2;
      else if (accept) twin_q <= block_ends ? twin_q + twin_t'((MsmLanes - 1) * BlockBeats + 1) : twin_q + 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    if (accept && |wanted) begin
      open_short_q <= short_twin;
      open_next_q <= twin_q + 1'b1;
      if (grows) open_twins_q <= open_twins_q + 1'b1;
      else begin
        open_first_q <= twin_q;
        open_twins_q <= run_t'(1);
      end
    end
  end

  // ---- Points ----
  logic run_busy, run_error, arrived;
  beat_t           arrival;

  wire run_beats_t short_beats = !open_short_q ? '0 : g2_i ? run_beats_t'(TwinBeats) : run_beats_t'(1);

  run_reader #(
    .IdValue(IdBase + 8'd1),
    .MaxRun (MaxRun)
  ) u_points (
    .clk_i,
    .rst_ni,
    .clear_error_i(start_i),
    .run_valid_i  (leave),
    .run_ready_o  (request_ready),
    .run_addr_i   (points_addr_i + (addr_t'(open_first_q) << g2_i) * addr_t'(TwinBeats * BeatBytes)),
    .run_beats_i  ((run_beats_t'(open_twins_q) << g2_i) * run_beats_t'(TwinBeats) - short_beats),
    .flush_i,
    .busy_o       (run_busy),
    .error_o      (run_error),
    .valid_o      (arrived),
    .data_o       (arrival),
    .ar_o         (ar[Points]),
    .ar_valid_o   (ar_valid[Points]),
    .ar_ready_i   (ar_ready[Points]),
    .r_i          (r[Points]),
    .r_valid_i    (r_valid[Points]),
    .r_ready_o    (r_ready[Points])
  );

  axi_rd_mux #(
    .N(2)
  ) u_mux (
    .clk_i,
    .rst_ni,
    .s_ar_i      (ar),
    .s_ar_valid_i(ar_valid),
    .s_ar_ready_o(ar_ready),
    .s_r_o       (r),
    .s_r_valid_o (r_valid),
    .s_r_ready_i (r_ready),
    .m_ar_o      (ar_o),
    .m_ar_valid_o(ar_valid_o),
    .m_ar_ready_i(ar_ready_i),
    .m_r_i       (r_i),
    .m_r_valid_i (r_valid_i),
    .m_r_ready_o (r_ready_o)
  );

  // What of each twin on its way is kept.
  typedef struct packed {
    logic       short_twin;
    logic [1:0] wanted;
  } cut_t;
  cut_t cut;
  logic cut_valid, cut_full;

  // Beats 0, 1, 2 hold points 0 and 1, in G2 both coordinates of a point; half a beat is carried over.
  typedef enum logic [1:0] {
    BeatFirst,
    BeatMiddle,  // end of point 0, start of point 1
    BeatLast     // rest of point 1
  } phase_e;
  phase_e phase_q;
  beat_t  held_q;
  typedef logic [2*FpSlot-1:0] raw_point_t;  // y, x
  raw_point_t point_in, point;
  logic other_q;  // G2: the second point of the twin
  wire  beats_done = arrived && (phase_q == BeatLast || (phase_q == BeatMiddle && cut.short_twin && !g2_i));
  wire  twin_done = beats_done && (!g2_i || other_q || cut.short_twin);
  wire  point_push = arrived && phase_q != BeatFirst && (g2_i ? cut.wanted[other_q] : cut.wanted[phase_q==BeatLast]);

  always_comb begin
    if (phase_q == BeatMiddle) point_in = {arrival[Half-1:0], held_q};
    else point_in = {arrival, held_q[Half-1:0]};
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      phase_q <= BeatFirst;
      other_q <= 1'b0;
    end else if (flush_i || start_i) begin
      phase_q <= BeatFirst;
      other_q <= 1'b0;
    end else if (beats_done) begin
      phase_q <= BeatFirst;
      other_q <= g2_i && !twin_done;
    end else if (arrived) begin
      phase_q <= (phase_q == BeatFirst) ? BeatMiddle : BeatLast;
    end
  end
  always_ff @(posedge clk_i) begin
    if (arrived) begin
      if (phase_q == BeatMiddle) held_q[Half-1:0] <= arrival[BeatBits-1:Half];
      else held_q <= arrival;
    end
  end

  fifo #(
    .T        (cut_t),
    .DepthLog2(DepthLog2)
  ) u_cuts (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (accept && |wanted),
    .data_i ('{short_twin: short_twin, wanted: wanted}),
    .full_o (cut_full),
    .valid_o(cut_valid),
    .data_o (cut),
    .pop_i  (twin_done)
  );

  logic point_valid, point_full, point_pop;

  fifo #(
    .T        (raw_point_t),
    .DepthLog2(DepthLog2)
  ) u_point_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (point_push),
    .data_i (point_in),
    .full_o (point_full),
    .valid_o(point_valid),
    .data_o (point),
    .pop_i  (point_pop)
  );

  // ---- Scalars wait for their points ----
  typedef struct packed {
    logic       last;
    logic [1:0] wanted;
    twin_t      twin;
    beat_t      beat;
  } entry_t;
  entry_t entry;
  logic entry_valid, entry_full, upper_q, second_q;

  // All of a pair leaves, and with it the entry if it is the last one.
  wire whole = !g2_i || second_q || !pair_o;
  wire pair_done = valid_o && ready_i && whole;
  wire entry_pop = pair_done && !(entry.wanted == 2'b11 && !upper_q);

  fifo #(
    .T        (entry_t),
    .DepthLog2(DepthLog2)
  ) u_entries (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .push_i (accept && (|wanted || block_ends)),
    .data_i ('{last: block_ends, wanted: wanted, twin: twin_q, beat: beat}),
    .full_o (entry_full),
    .valid_o(entry_valid),
    .data_o (entry),
    .pop_i  (entry_pop)
  );

  wire upper = upper_q || !entry.wanted[0];
  assign pair_o = |entry.wanted;
  assign valid_o = entry_valid && (!pair_o || point_valid) && !flush_i;
  assign last_o = entry.last && (entry.wanted != 2'b11 || upper_q) && whole;
  assign point_pop = valid_o && ready_i && pair_o;
  assign raw_o = '{
      second: second_q,
      index: {entry.twin, upper},
      scalar: upper ? entry.beat[BeatBits-1:Half] : entry.beat[Half-1:0],
      y: point[2*FpSlot-1:FpSlot],
      x: point[FpSlot-1:0]
    };

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      upper_q <= 1'b0;
      second_q <= 1'b0;
      points_promised_q <= '0;
      entries_promised_q <= '0;
    end else if (flush_i) begin
      upper_q <= 1'b0;
      second_q <= 1'b0;
      points_promised_q <= '0;
      entries_promised_q <= '0;
    end else begin
      if (pair_done) upper_q <= entry.wanted == 2'b11 && !upper_q;
      if (valid_o && ready_i) second_q <= !whole;
      points_promised_q <= points_promised_q + (accept ? (level_t'(wanted[0]) + level_t'(wanted[1])) << g2_i : '0) - level_t'(point_pop);
      entries_promised_q <= entries_promised_q + level_t'(accept && (|wanted || block_ends)) - level_t'(entry_pop);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) error_q <= 1'b0;
    else if (start_i) error_q <= 1'b0;
    else if (failed) error_q <= 1'b1;  // kept over the start of the last piece
  end

  assign busy_o = state_q != StIdle || stream_busy || open_q || run_busy;
  assign error_o = failed || error_q || run_error;

  wire unused = &{1'b0, cut_valid, cut_full, point_full, entry_full};

endmodule
