// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Execution unit of the NTT command: a number-theoretic transform over Fr in
// card memory, natural order in and out, one radix-2 butterfly per cycle.
// Connects control, streams and datapath; see hdl/doc/ntt.md. Started by
// queue_engine through carillon_card.
module ntt_engine
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter axi_id_t     IdBase       = 8'h30,  // two read and two write IDs from here
  parameter int unsigned ReadFifoLog2 = 7,      // beats in flight: covers the memory's latency
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
  // Two bursts: one on the bus while the next is gathered.
  localparam int unsigned WriteFifoLog2 = $clog2(2 * MaxBurst);

  logic stream_start, flush, start, stop, coset, datapath_busy, issued, bad;
  log2_t                 log2n;
  pass_t                 pass;
  logic            [3:0] stream_use;
  stream_request_t       stream     [4];
  logic [1:0] read_busy, read_error, write_busy, write_error;

  logic read_valid[2], read_ready[2], write_valid[2], write_ready[2];
  beat_t read_beat[2], write_beat[2];

  axi_ax_t ar[2], aw[2];
  axi_r_t r[2];
  axi_w_t w[2];
  axi_b_t b[2];
  logic ar_valid[2], ar_ready[2], r_valid[2], r_ready[2];
  logic aw_valid[2], aw_ready[2], w_valid[2], w_ready[2], b_valid[2], b_ready[2];

  ntt_control u_control (
    .clk_i,
    .rst_ni,
    .start_i,
    .cmd_i,
    .abort_i,
    .busy_o,
    .done_o,
    .result_o,
    .stream_start_o(stream_start),
    .stream_use_o  (stream_use),
    .stream_o      (stream),
    .flush_o       (flush),
    .stream_busy_i (|{read_busy, write_busy}),
    .read_error_i  (|(read_error & stream_use[1:0])),
    .write_error_i (|(write_error & stream_use[3:2])),
    .start_o       (start),
    .log2n_o       (log2n),
    .coset_o       (coset),
    .pass_o        (pass),
    .stop_o        (stop),
    .busy_i        (datapath_busy),
    .issued_i      (issued),
    .bad_i         (bad)
  );

  ntt_datapath u_datapath (
    .clk_i,
    .rst_ni,
    .start_i      (start),
    .log2n_i      (log2n),
    .coset_i      (coset),
    .pass_start_i (stream_start),
    .pass_i       (pass),
    .stop_i       (stop),
    .busy_o       (datapath_busy),
    .issued_o     (issued),
    .bad_o        (bad),
    .read_valid_i (read_valid),
    .read_ready_o (read_ready),
    .read_beat_i  (read_beat),
    .write_valid_o(write_valid),
    .write_ready_i(write_ready),
    .write_beat_o (write_beat)
  );

  for (genvar i = 0; i < 2; i++) begin : gen_stream
    stream_reader #(
      .IdValue (IdBase + axi_id_t'(i)),
      .FifoLog2(ReadFifoLog2),
      .MaxBurst(MaxBurst)
    ) u_reader (
      .clk_i,
      .rst_ni,
      .start_i       (stream_start && stream_use[i]),
      .addr_i        (stream[i].addr),
      .block_beats_i (stream[i].block_beats),
      .stride_beats_i(stream[i].stride_beats),
      .blocks_i      (stream[i].blocks),
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

    stream_writer #(
      .IdValue (IdBase + axi_id_t'(i)),
      .FifoLog2(WriteFifoLog2),
      .MaxBurst(MaxBurst)
    ) u_writer (
      .clk_i,
      .rst_ni,
      .start_i       (stream_start && stream_use[2+i]),
      .addr_i        (stream[2+i].addr),
      .block_beats_i (stream[2+i].block_beats),
      .stride_beats_i(stream[2+i].stride_beats),
      .blocks_i      (stream[2+i].blocks),
      .flush_i       (flush),
      .busy_o        (write_busy[i]),
      .error_o       (write_error[i]),
      .valid_i       (write_valid[i]),
      .ready_o       (write_ready[i]),
      .data_i        (write_beat[i]),
      .aw_o          (aw[i]),
      .aw_valid_o    (aw_valid[i]),
      .aw_ready_i    (aw_ready[i]),
      .w_o           (w[i]),
      .w_valid_o     (w_valid[i]),
      .w_ready_i     (w_ready[i]),
      .b_i           (b[i]),
      .b_valid_i     (b_valid[i]),
      .b_ready_o     (b_ready[i])
    );
  end

  axi_rd_mux #(
    .N(2)
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

  axi_wr_mux #(
    .N(2)
  ) u_wr_mux (
    .clk_i,
    .rst_ni,
    .s_aw_i      (aw),
    .s_aw_valid_i(aw_valid),
    .s_aw_ready_o(aw_ready),
    .s_w_i       (w),
    .s_w_valid_i (w_valid),
    .s_w_ready_o (w_ready),
    .s_b_o       (b),
    .s_b_valid_o (b_valid),
    .s_b_ready_i (b_ready),
    .m_aw_o      (mem_aw_o),
    .m_aw_valid_o(mem_aw_valid_o),
    .m_aw_ready_i(mem_aw_ready_i),
    .m_w_o       (mem_w_o),
    .m_w_valid_o (mem_w_valid_o),
    .m_w_ready_i (mem_w_ready_i),
    .m_b_i       (mem_b_i),
    .m_b_valid_i (mem_b_valid_i),
    .m_b_ready_o (mem_b_ready_o)
  );
endmodule
