// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Execution unit of the QUOTIENT command: dst_i = (a_i b_i - c_i) z over Fr, or
// a_i b_i alone, all in card memory; dst may be one of the sources. Connects control, streams and
// datapath; see hdl/doc/ntt.md. Started by queue_engine through carillon_card.
//
// Two elements need three beats from a memory that gives one a cycle (a product
// two), so the bus bounds the rate at 2/3 element per cycle (1); more multipliers would gain nothing.
module quotient_engine
  import carillon_pkg::*;
#(
  parameter axi_id_t     IdBase       = 8'h38,  // three read IDs and one write ID from here
  parameter int unsigned ReadFifoLog2 = 6,      // beats in flight per vector
  parameter int unsigned MaxBurst     = 16      // beats
) (
  input logic clk_i,
  input logic rst_ni,

  // Execution unit (hdl/doc/blocks.md)
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // AXI4 master to card memory
  output axi_ax_t mem_ar_o,
  output logic    mem_ar_valid_o,
  input  logic    mem_ar_ready_i,
  input  axi_r_t  mem_r_i,
  input  logic    mem_r_valid_i,
  output logic    mem_r_ready_o,
  output axi_ax_t mem_aw_o,
  output logic    mem_aw_valid_o,
  input  logic    mem_aw_ready_i,
  output axi_w_t  mem_w_o,
  output logic    mem_w_valid_o,
  input  logic    mem_w_ready_i,
  input  axi_b_t  mem_b_i,
  input  logic    mem_b_valid_i,
  output logic    mem_b_ready_o
);
  localparam int unsigned Sources = 3;
  // Two bursts: one on the bus while the next is gathered.
  localparam int unsigned WriteFifoLog2 = $clog2(2 * MaxBurst);

  logic fetch_start, fetch_ready, stream_start, flush, stop, datapath_busy, issued, bad;
  logic product;
  logic [31:0] beats, count;
  fr_t z;
  logic [Sources-1:0] read_busy, read_error;
  logic write_busy, write_error;

  logic read_valid[Sources], read_ready[Sources], datapath_ready[Sources], datapath_valid[Sources];
  beat_t read_beat[Sources], write_beat;
  logic write_valid, write_ready;

  axi_ax_t ar[Sources];
  axi_r_t  r [Sources];
  logic ar_valid[Sources], ar_ready[Sources], r_valid[Sources], r_ready[Sources];

  quotient_control u_control (
    .clk_i,
    .rst_ni,
    .start_i,
    .cmd_i,
    .abort_i,
    .busy_o,
    .done_o,
    .result_o,
    .fetch_start_o (fetch_start),
    .stream_start_o(stream_start),
    .beats_o       (beats),
    .flush_o       (flush),
    .stream_busy_i (|read_busy || write_busy),
    .read_error_i  (fetch_ready ? read_error[0] : |(read_error & {!product, 2'b11})),
    .write_error_i (!fetch_ready && write_error),
    .fetch_ready_o (fetch_ready),
    .fetch_valid_i (read_valid[0]),
    .fetch_beat_i  (read_beat[0]),
    .product_o     (product),
    .count_o       (count),
    .z_o           (z),
    .stop_o        (stop),
    .busy_i        (datapath_busy),
    .issued_i      (issued),
    .bad_i         (bad)
  );

  // While z is fetched, reader 0 belongs to the control.
  always_comb begin
    for (int unsigned i = 0; i < Sources; i++) begin
      datapath_valid[i] = read_valid[i] && !fetch_ready;
      read_ready[i]     = (i == 0 && fetch_ready) || datapath_ready[i];
    end
  end

  quotient_datapath u_datapath (
    .clk_i,
    .rst_ni,
    .start_i      (stream_start),
    .product_i    (product),
    .count_i      (count),
    .z_i          (z),
    .stop_i       (stop),
    .busy_o       (datapath_busy),
    .issued_o     (issued),
    .bad_o        (bad),
    .read_valid_i (datapath_valid),
    .read_ready_o (datapath_ready),
    .read_beat_i  (read_beat),
    .write_valid_o(write_valid),
    .write_ready_i(write_ready),
    .write_beat_o (write_beat)
  );

  for (genvar i = 0; i < Sources; i++) begin : gen_reader
    logic fetch;
    assign fetch = (i == 0) && fetch_start;

    stream_reader #(
      .IdValue (IdBase + axi_id_t'(i)),
      .FifoLog2(ReadFifoLog2),
      .MaxBurst(MaxBurst)
    ) u_reader (
      .clk_i,
      .rst_ni,
      .start_i       ((stream_start && !(i == 2 && product)) || fetch),
      .addr_i        (fetch ? cmd_i.op[5] : cmd_i.op[i]),
      .block_beats_i (fetch ? 32'd1 : beats),
      .stride_beats_i(32'd0),  // one block
      .blocks_i      (32'd1),
      .flush_i       (flush),
      .busy_o        (read_busy[i]),
      .error_o       (read_error[i]),
      .valid_o       (read_valid[i]),
      .ready_i       (read_ready[i]),
      .data_o        (read_beat[i]),
      .ar_o          (ar[i]),
      .ar_valid_o    (ar_valid[i]),
      .ar_ready_i    (ar_ready[i]),
      .r_i           (r[i]),
      .r_valid_i     (r_valid[i]),
      .r_ready_o     (r_ready[i])
    );
  end

  axi_rd_mux #(
    .N(Sources)
  ) u_rd_mux (
    .clk_i,
    .rst_ni,
    .s_ar_i      (ar),
    .s_ar_valid_i(ar_valid),
    .s_ar_ready_o(ar_ready),
    .s_r_o       (r),
    .s_r_valid_o (r_valid),
    .s_r_ready_i (r_ready),
    .m_ar_o      (mem_ar_o),
    .m_ar_valid_o(mem_ar_valid_o),
    .m_ar_ready_i(mem_ar_ready_i),
    .m_r_i       (mem_r_i),
    .m_r_valid_i (mem_r_valid_i),
    .m_r_ready_o (mem_r_ready_o)
  );

  stream_writer #(
    .IdValue (IdBase),
    .FifoLog2(WriteFifoLog2),
    .MaxBurst(MaxBurst)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .start_i       (stream_start),
    .addr_i        (cmd_i.op[3]),
    .block_beats_i (beats),
    .stride_beats_i(32'd0),  // one block
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (write_busy),
    .error_o       (write_error),
    .valid_i       (write_valid),
    .ready_o       (write_ready),
    .data_i        (write_beat),
    .aw_o          (mem_aw_o),
    .aw_valid_o    (mem_aw_valid_o),
    .aw_ready_i    (mem_aw_ready_i),
    .w_o           (mem_w_o),
    .w_valid_o     (mem_w_valid_o),
    .w_ready_i     (mem_w_ready_i),
    .b_i           (mem_b_i),
    .b_valid_i     (mem_b_valid_i),
    .b_ready_o     (mem_b_ready_o)
  );
endmodule
