// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// stream_reader against a bus that answers in order, as late as it likes: the FIFO
// never overflows, requests obey AXI, every requested beat comes out, a flush ends
// in bounded time and a stream without one never stands still. Block and count are
// kept small by an assumption, because the beats of a stream are their product.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module stream_reader_props
  import carillon_pkg::*;
#(
  parameter int unsigned FifoLog2 = 3,
  parameter int unsigned MaxBurst = 4
) (
  input logic          clk_i,
  input logic          rst_ni,
  input logic          start_i,
  input addr_t         addr_i,
  input logic   [31:0] block_beats_i,
  input logic   [31:0] stride_beats_i,
  input logic   [31:0] blocks_i,
  input logic          flush_i,
  input logic          ready_i,
  input logic          ar_ready_i,
  input axi_r_t        r_i,
  input logic          r_valid_i
);

  localparam int unsigned Depth = 1 << FifoLog2;
  localparam int unsigned PageBeats = 4096 / BeatBytes;
  localparam int unsigned MostBeats = 15;
  localparam int unsigned MostBlocks = 3;
  // Cycles in which the bus does its part, from a flush to the end: one for the
  // request, and each beat comes and goes.
  localparam int unsigned FlushBound = 2 * Depth + 2;
  typedef logic [7:0] number_t;
  typedef logic [FifoLog2:0] count_t;

  logic busy, error, valid, ar_valid, r_ready;
  beat_t   data;
  axi_ax_t ar;

  stream_reader #(
    .FifoLog2(FifoLog2),
    .MaxBurst(MaxBurst)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i,
    .block_beats_i,
    .stride_beats_i,
    .blocks_i,
    .flush_i,
    .busy_o    (busy),
    .error_o   (error),
    .valid_o   (valid),
    .ready_i,
    .data_o    (data),
    .ar_o      (ar),
    .ar_valid_o(ar_valid),
    .ar_ready_i,
    .r_i,
    .r_valid_i,
    .r_ready_o (r_ready)
  );

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  // ---- Where the beats of the stream are ----
  wire     start = start_i && !busy;
  wire     asked = ar_valid && ar_ready_i;
  wire     came = r_valid_i && r_ready;
  number_t total_q;  // of the request
  number_t owed_q;  // requested, not yet answered
  number_t out_q;  // delivered
  logic    flushed_q;  // since the start
  logic ar_held_q, error_q;
  axi_ax_t ar_q;
  number_t asking, waiting, to_ask;

  always_comb begin
    asking = ar_valid ? number_t'(ar.len) + 1'b1 : '0;
    waiting = number_t'(count_t'(u_dut.u_fifo.tail_q - u_dut.u_fifo.head_q));
    to_ask = u_dut.active_q ? number_t'(u_dut.left_q) + number_t'(u_dut.block_beats_q) * number_t'(u_dut.blocks_q - 1) : '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      total_q <= '0;
      owed_q <= '0;
      out_q <= '0;
      flushed_q <= 1'b0;
      ar_held_q <= 1'b0;
      error_q <= 1'b0;
    end else begin
      owed_q <= owed_q + (asked ? asking : '0) - number_t'(came);
      out_q <= out_q + number_t'(valid && ready_i);
      flushed_q <= flushed_q || flush_i;
      error_q <= error_q || (came && r_i.resp[1]);
      ar_held_q <= ar_valid && !ar_ready_i;
      if (start) begin
        total_q <= number_t'(block_beats_i) * number_t'(blocks_i);
        out_q <= '0;
        flushed_q <= flush_i;
        error_q <= 1'b0;
      end
    end
  end
  always_ff @(posedge clk_i) ar_q <= ar;

  // ---- A flush ends: cycles in which the bus is not the one that is waited for ----
  number_t drain_q, work;
  assign work = number_t'(ar_valid) + 2 * (asking + owed_q) + waiting;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) drain_q <= '0;
    else if (!busy || !u_dut.flushing_q) drain_q <= '0;
    else if ((!ar_valid || ar_ready_i) && (owed_q == '0 || r_valid_i)) drain_q <= drain_q + 1'b1;
  end

  // ---- The bus and the user ----
  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_bus : assume (!r_valid_i || owed_q != '0);
    e_small : assume (block_beats_i <= MostBeats && blocks_i <= MostBlocks);
  end

  // ---- Properties ----
  always_comb begin
    if (rst_ni) begin
      a_never_overflows : assert (!(came && u_dut.fifo_full));
      a_credit : assert (number_t'(u_dut.free_q) + asking + owed_q + waiting == number_t'(Depth));
      a_request_stays : assert (!ar_held_q || (ar_valid && ar == ar_q));
      a_burst : assert (!ar_valid || 32'(ar.len) < MaxBurst);
      a_within_page : assert (!ar_valid || 32'(ar.addr[11:OffsetBits]) + 32'(ar.len) < PageBeats);
      a_idle_is_empty : assert (busy || (asking == '0 && owed_q == '0 && waiting == '0 && !valid));
      a_all_delivered : assert (flushed_q || out_q + waiting + owed_q + asking + to_ask == total_q);
      a_complete : assert (busy || flushed_q || out_q == total_q);
      a_nothing_after_flush : assert (!u_dut.flushing_q || !valid);
      a_error : assert (error == error_q);
      a_never_stands_still :
      assert (!busy || u_dut.flushing_q || ar_valid || owed_q != '0 || waiting != '0 || (u_dut.active_q && (flush_i || u_dut.issue)));
      a_flush_ends : assert (32'(drain_q) < FlushBound);
      i_bounds : assert (32'(owed_q) <= Depth && 32'(u_dut.free_q) <= Depth && 32'(waiting) <= Depth);
      i_work : assert (!u_dut.flushing_q || number_t'(drain_q) + work < number_t'(FlushBound));
      i_flushing : assert (!u_dut.flushing_q || (flushed_q && !u_dut.active_q));
      i_active :
      assert (!u_dut.active_q || (u_dut.left_q != '0 && u_dut.left_q <= u_dut.block_beats_q
          && u_dut.block_beats_q <= MostBeats && u_dut.blocks_q != '0 && u_dut.blocks_q <= MostBlocks));
      c_full : cover (32'(waiting) == Depth && u_dut.active_q);
      c_complete : cover (!busy && !flushed_q && total_q == number_t'(2 * Depth));
      c_flushed : cover (u_dut.flushing_q && 32'(owed_q) == Depth);
    end
  end

endmodule
