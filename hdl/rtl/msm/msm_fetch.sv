// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Brings points and scalars from card memory, once per group of windows: two
// streams over one bus (3 beats = 2 points, 1 beat = 2 scalars), cut into
// elements. Points leave checked (coordinates < p) and with -y beside y, so that
// the sign of a digit is a mere selection later. Used by: msm_engine.
module msm_fetch
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter axi_id_t IdBase = MsmIdBase  // two read IDs from here
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic   start_i,         // pulse: stream `count_i` pairs from the beginning
  input  addr_t  points_addr_i,
  input  addr_t  scalars_addr_i,
  input  count_t count_i,
  input  logic   flush_i,         // level: drop everything; busy_o falls in bounded time
  output logic   busy_o,
  output logic   error_o,         // a read failed; sticky until the next start

  output logic   point_valid_o,
  input  logic   point_ready_i,
  output point_t point_o,

  output logic         scalar_valid_o,
  input  logic         scalar_ready_i,
  output logic [255:0] scalar_o,        // as in memory: Montgomery form, not yet checked

  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);

  localparam int unsigned Points = 0;
  localparam int unsigned Scalars = 1;
  localparam int unsigned Half = BeatBits / 2;
  localparam int unsigned FpSlot = 384;  // a coordinate in memory

  // ---- Streams ----
  axi_ax_t ar[2];
  axi_r_t  r [2];
  logic ar_valid[2], ar_ready[2], r_valid[2], r_ready[2];
  logic [1:0] stream_busy, stream_error;
  logic beat_valid[2], beat_ready[2];
  beat_t        beat                                                                 [2];

  wire   [31:0] pairs = 32'(count_i[CountBits-1:1]) + 32'(count_i[0]);  // rounded up

  stream_reader #(
    .IdValue (IdBase),
    .FifoLog2(7),
    .MaxBurst(32)
  ) u_points (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i        (points_addr_i),
    .block_beats_i (count_i + pairs),  // 96 n bytes, rounded up to beats
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i,
    .busy_o        (stream_busy[Points]),
    .error_o       (stream_error[Points]),
    .valid_o       (beat_valid[Points]),
    .ready_i       (beat_ready[Points]),
    .data_o        (beat[Points]),
    .ar_o          (ar[Points]),
    .ar_valid_o    (ar_valid[Points]),
    .ar_ready_i    (ar_ready[Points]),
    .r_i           (r[Points]),
    .r_valid_i     (r_valid[Points]),
    .r_ready_o     (r_ready[Points])
  );

  stream_reader #(
    .IdValue (IdBase + 8'd1),
    .FifoLog2(6),
    .MaxBurst(16)
  ) u_scalars (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i        (scalars_addr_i),
    .block_beats_i (pairs),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i,
    .busy_o        (stream_busy[Scalars]),
    .error_o       (stream_error[Scalars]),
    .valid_o       (beat_valid[Scalars]),
    .ready_i       (beat_ready[Scalars]),
    .data_o        (beat[Scalars]),
    .ar_o          (ar[Scalars]),
    .ar_valid_o    (ar_valid[Scalars]),
    .ar_ready_i    (ar_ready[Scalars]),
    .r_i           (r[Scalars]),
    .r_valid_i     (r_valid[Scalars]),
    .r_ready_o     (r_ready[Scalars])
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

  // ---- Points: beats 0, 1, 2 hold points 0 and 1; half a beat is carried over ----
  typedef enum logic [1:0] {
    BeatFirst,   // keep it
    BeatMiddle,  // end of point 0, start of point 1
    BeatLast     // rest of point 1
  } phase_e;
  phase_e                   phase_q;
  beat_t                    held_q;
  logic   [1:0][FpSlot-1:0] raw;  // y, x
  logic                     point_valid_q;
  point_t                   point_q;

  wire                      out_free = !point_valid_q || point_ready_i;
  assign beat_ready[Points] = phase_q == BeatFirst || out_free;
  wire take = beat_valid[Points] && beat_ready[Points];
  wire emit = take && phase_q != BeatFirst;

  always_comb begin
    if (phase_q == BeatMiddle) raw = {beat[Points][Half-1:0], held_q};
    else raw = {beat[Points], held_q[Half-1:0]};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      phase_q <= BeatFirst;
      point_valid_q <= 1'b0;
    end else begin
      if (start_i) phase_q <= BeatFirst;
      else if (take) begin
        unique case (phase_q)
          BeatFirst:  phase_q <= BeatMiddle;
          BeatMiddle: phase_q <= BeatLast;
          default:    phase_q <= BeatFirst;
        endcase
      end
      if (start_i || flush_i) point_valid_q <= 1'b0;
      else if (out_free) point_valid_q <= emit;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      if (phase_q == BeatMiddle) held_q[Half-1:0] <= beat[Points][BeatBits-1:Half];
      else held_q <= beat[Points];
    end
    if (emit) begin
      point_q.x <= raw[0][FpBits-1:0];
      point_q.y <= raw[1][FpBits-1:0];
      // Minus zero is zero: p would not be a field element.
      point_q.neg_y <= (raw[1] == '0) ? '0 : FpModulus - raw[1][FpBits-1:0];
      point_q.infinity <= raw == '0;
      point_q.bad <= raw[0] >= FpSlot'(FpModulus) || raw[1] >= FpSlot'(FpModulus);
    end
  end

  assign point_valid_o = point_valid_q;
  assign point_o = point_q;

  // ---- Scalars: a beat leaves in halves; the odd half at the end is dropped ----
  logic   upper_q;
  count_t scalars_left_q;

  assign scalar_valid_o = beat_valid[Scalars];
  assign scalar_o = upper_q ? beat[Scalars][BeatBits-1:Half] : beat[Scalars][Half-1:0];
  wire scalar_done = scalar_valid_o && scalar_ready_i;
  assign beat_ready[Scalars] = scalar_ready_i && (upper_q || scalars_left_q == count_t'(1));

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      upper_q <= 1'b0;
      scalars_left_q <= '0;
    end else if (start_i) begin
      upper_q <= 1'b0;
      scalars_left_q <= count_i;
    end else if (scalar_done) begin
      upper_q <= !upper_q;
      scalars_left_q <= scalars_left_q - 1'b1;
    end
  end

  assign busy_o = |stream_busy;
  assign error_o = |stream_error;

endmodule
