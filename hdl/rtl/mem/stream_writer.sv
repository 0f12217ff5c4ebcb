// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Takes beats and writes them to an AXI bus as blocks: `blocks` blocks of
// `block_beats` beats, the starts `stride_beats` apart. What reaches the bus, and
// how, is run_writer's.
//
// A bus error does not stop the stream; it sets error_o until the next start.
// flush_i (pulse or level, while busy): complete bursts are still written, a
// partly taken one is dropped; busy_o falls after the last response.
// Used by: the DMA and execution engines.
module stream_writer
  import carillon_pkg::*;
#(
  parameter axi_id_t     IdValue  = '0,  // different from every other writer on the same bus
  parameter int unsigned FifoLog2 = 5,   // log2 of the beats buffered
  parameter int unsigned MaxBurst = 16   // beats, at most 64 and 2^FifoLog2; half of that for full rate
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
  input  logic  valid_i,
  output logic  ready_o,
  input  beat_t data_i,

  // AXI write side
  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);

  logic [31:0] left_q, block_beats_q, stride_q;  // blocks still to begin
  beat_addr_t block_q;
  logic run_ready, writing;
  wire start = start_i && !busy_o;
  wire begins = left_q != '0 && run_ready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) left_q <= '0;
    else if (flush_i) left_q <= '0;
    else if (start) left_q <= |block_beats_i ? blocks_i : '0;
    else if (begins) left_q <= left_q - 32'd1;
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      block_q <= addr_i[AddrBits-1:OffsetBits];
      block_beats_q <= block_beats_i;
      stride_q <= stride_beats_i;
    end else if (begins) block_q <= block_q + beat_addr_t'(stride_q);
  end

  run_writer #(
    .IdValue (IdValue),
    .FifoLog2(FifoLog2),
    .MaxBurst(MaxBurst)
  ) u_runs (
    .clk_i,
    .rst_ni,
    .clear_error_i(start),
    .run_valid_i  (left_q != '0),
    .run_ready_o  (run_ready),
    .run_addr_i   ({block_q, OffsetBits'(0)}),
    .run_beats_i  (block_beats_q),
    .flush_i,
    .busy_o       (writing),
    .error_o,
    .valid_i,
    .ready_o,
    .data_i,
    .aw_o,
    .aw_valid_o,
    .aw_ready_i,
    .w_o,
    .w_valid_o,
    .w_ready_i,
    .b_i,
    .b_valid_i,
    .b_ready_o
  );

  assign busy_o = left_q != '0 || writing;

  wire unused = &{1'b0, addr_i[OffsetBits-1:0]};

endmodule
