// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Reads blocks of beats from an AXI bus and delivers them in order: `blocks`
// blocks of `block_beats` beats, the starts `stride_beats` apart. One address
// request and one beat per cycle when the bus permits; a burst never crosses
// 4 KiB and is requested only when the FIFO has room for all of it, so the bus
// is never blocked by a slow consumer.
//
// A bus error does not stop the stream (the counts hold); it sets error_o until
// the next start. flush_i (pulse or level, while busy) drops what is under way:
// busy_o falls when the last response has been received.
// Used by: the DMA and execution engines, the queue engine.
module stream_reader
  import carillon_pkg::*;
#(
  parameter axi_id_t     IdValue  = '0,  // different from every other reader on the same bus
  parameter int unsigned FifoLog2 = 6,   // log2 of the beats in flight or buffered
  parameter int unsigned MaxBurst = 16   // beats, at most 64 and 2^FifoLog2
) (
  input logic clk_i,
  input logic rst_ni,

  // Request; start_i is ignored while busy_o is set
  input  logic         start_i,
  input  addr_t        addr_i,          // bytes, a multiple of 64
  input  logic  [31:0] block_beats_i,
  input  logic  [31:0] stride_beats_i,
  input  logic  [31:0] blocks_i,
  input  logic         flush_i,
  output logic         busy_o,
  output logic         error_o,

  // Data
  output logic  valid_o,
  input  logic  ready_i,
  output beat_t data_o,

  // AXI read side
  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);

  localparam int unsigned Depth = 1 << FifoLog2;
  typedef logic [FifoLog2:0] count_t;

  if (MaxBurst == 0 || MaxBurst > 64 || MaxBurst > (1 << FifoLog2)) begin : g_bad_burst
    $error("MaxBurst must be 1 to 64 and fit in the FIFO");
  end

  // ---- Address side ----
  logic active_q;  // bursts are still to be requested
  logic flushing_q;
  beat_addr_t block_q, at_q;
  logic [31:0] block_beats_q, stride_q, blocks_q, left_q;
  count_t           free_q;  // FIFO entries promised to nobody
  axi_ax_t          ar_q;
  logic             ar_valid_q;

  wire page_beats_t page_rest = page_left(at_q[PageBits-1:0]);
  page_beats_t      burst;
  always_comb begin
    burst = page_rest;
    if (burst > page_beats_t'(MaxBurst)) burst = page_beats_t'(MaxBurst);
    if (left_q < 32'(burst)) burst = left_q[PageBits:0];
  end

  wire             start = start_i && !busy_o;
  wire             issue = active_q && !flushing_q && !flush_i && (!ar_valid_q || ar_ready_i) && 32'(free_q) >= 32'(burst);
  wire             block_ends = left_q == 32'(burst);
  wire beat_addr_t next_block = block_q + beat_addr_t'(stride_q);

  // ---- Data side ----
  logic fifo_valid, fifo_full;
  wire pop = fifo_valid && (ready_i || flushing_q);

  assign busy_o = active_q || ar_valid_q || free_q != count_t'(Depth);
  assign valid_o = fifo_valid && !flushing_q;
  assign ar_o = ar_q;
  assign ar_valid_o = ar_valid_q;
  assign r_ready_o = 1'b1;

  fifo #(
    .T        (beat_t),
    .DepthLog2(FifoLog2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .push_i (r_valid_i),
    .data_i (r_i.data),
    .full_o (fifo_full),  // never: every requested beat has its place
    .valid_o(fifo_valid),
    .data_o,
    .pop_i  (pop)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      flushing_q <= 1'b0;
      ar_valid_q <= 1'b0;
      free_q <= count_t'(Depth);
      error_o <= 1'b0;
    end else begin
      if (ar_ready_i) ar_valid_q <= 1'b0;
      if (issue) ar_valid_q <= 1'b1;
      free_q <= free_q + count_t'(pop) - (issue ? count_t'(burst) : '0);

      if (start) active_q <= |block_beats_i && |blocks_i;
      else if (flush_i || (issue && block_ends && blocks_q == 32'd1)) active_q <= 1'b0;

      if (!busy_o) flushing_q <= 1'b0;
      else if (flush_i) flushing_q <= 1'b1;

      if (start) error_o <= 1'b0;
      else if (r_valid_i && r_i.resp[1]) error_o <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      block_q <= addr_i[AddrBits-1:OffsetBits];
      at_q <= addr_i[AddrBits-1:OffsetBits];
      block_beats_q <= block_beats_i;
      stride_q <= stride_beats_i;
      blocks_q <= blocks_i;
      left_q <= block_beats_i;
    end else if (issue) begin
      ar_q <= '{id: IdValue, addr: {at_q, OffsetBits'(0)}, len: 8'(burst - 1'b1)};
      if (block_ends) begin
        block_q <= next_block;
        at_q <= next_block;
        left_q <= block_beats_q;
        blocks_q <= blocks_q - 32'd1;
      end else begin
        at_q <= at_q + beat_addr_t'(burst);
        left_q <= left_q - 32'(burst);
      end
    end
  end

  wire unused = &{1'b0, fifo_full, addr_i[OffsetBits-1:0], r_i.id, r_i.resp[0], r_i.last};

endmodule
