// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: two lanes, each a stream_reader into a stream_writer, that share one
// memory through axi_rd_mux and axi_wr_mux, and the stages that outlive their
// reset. Driven by hdl/tests/tests/streams.rs.
module stream_copy
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,        // of the memory's side
  input  logic lane_reset_i,  // of the lanes and muxes alone
  output logic bus_idle_o,

  // Per lane
  input  logic  [1:0]       start_i,
  input  logic  [1:0]       flush_i,
  input  addr_t [1:0]       source_i,
  input  addr_t [1:0]       destination_i,
  input  logic  [1:0][31:0] block_beats_i,
  input  logic  [1:0][31:0] source_stride_i,
  input  logic  [1:0][31:0] destination_stride_i,
  input  logic  [1:0][31:0] blocks_i,
  output logic  [1:0]       reading_o,
  output logic  [1:0]       writing_o,
  output logic  [1:0]       read_error_o,
  output logic  [1:0]       write_error_o,

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
  localparam int unsigned Lanes = 2;
  axi_ax_t ar[Lanes], aw[Lanes];
  axi_r_t r[Lanes];
  axi_w_t w[Lanes];
  axi_b_t b[Lanes];
  logic ar_valid[Lanes], ar_ready[Lanes], r_valid[Lanes], r_ready[Lanes];
  logic aw_valid[Lanes], aw_ready[Lanes], w_valid[Lanes], w_ready[Lanes], b_valid[Lanes], b_ready[Lanes];

  wire lane_rst_n = rst_ni && !lane_reset_i;

  axi_ax_t bus_ar, bus_aw;
  axi_r_t bus_r;
  axi_w_t bus_w;
  axi_b_t bus_b;
  logic bus_ar_valid, bus_ar_ready, bus_r_valid, bus_r_ready;
  logic bus_aw_valid, bus_aw_ready, bus_w_valid, bus_w_ready, bus_b_valid, bus_b_ready;
  logic reads_idle, writes_idle;
  assign bus_idle_o = reads_idle && writes_idle;

  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    beat_t data;
    logic valid, ready;

    stream_reader #(
      .IdValue (axi_id_t'(i)),
      .FifoLog2(6),
      .MaxBurst(16)
    ) u_reader (
      .clk_i,
      .rst_ni        (lane_rst_n),
      .start_i       (start_i[i]),
      .addr_i        (source_i[i]),
      .block_beats_i (block_beats_i[i]),
      .stride_beats_i(source_stride_i[i]),
      .blocks_i      (blocks_i[i]),
      .flush_i       (flush_i[i]),
      .busy_o        (reading_o[i]),
      .error_o       (read_error_o[i]),
      .valid_o       (valid),
      .ready_i       (ready),
      .data_o        (data),
      .ar_o          (ar[i]),
      .ar_valid_o    (ar_valid[i]),
      .ar_ready_i    (ar_ready[i]),
      .r_i           (r[i]),
      .r_valid_i     (r_valid[i]),
      .r_ready_o     (r_ready[i])
    );

    stream_writer #(
      .IdValue (axi_id_t'(i)),
      .FifoLog2(5),
      .MaxBurst(16)
    ) u_writer (
      .clk_i,
      .rst_ni        (lane_rst_n),
      .start_i       (start_i[i]),
      .addr_i        (destination_i[i]),
      .block_beats_i (block_beats_i[i]),
      .stride_beats_i(destination_stride_i[i]),
      .blocks_i      (blocks_i[i]),
      .flush_i       (flush_i[i]),
      .busy_o        (writing_o[i]),
      .error_o       (write_error_o[i]),
      .valid_i       (valid),
      .ready_o       (ready),
      .data_i        (data),
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
    .N(Lanes)
  ) u_read_mux (
    .clk_i,
    .rst_ni      (lane_rst_n),
    .s_ar_i      (ar),
    .s_ar_valid_i(ar_valid),
    .s_ar_ready_o(ar_ready),
    .s_r_o       (r),
    .s_r_valid_o (r_valid),
    .s_r_ready_i (r_ready),
    .m_ar_o      (bus_ar),
    .m_ar_valid_o(bus_ar_valid),
    .m_ar_ready_i(bus_ar_ready),
    .m_r_i       (bus_r),
    .m_r_valid_i (bus_r_valid),
    .m_r_ready_o (bus_r_ready)
  );

  axi_wr_mux #(
    .N(Lanes)
  ) u_write_mux (
    .clk_i,
    .rst_ni      (lane_rst_n),
    .s_aw_i      (aw),
    .s_aw_valid_i(aw_valid),
    .s_aw_ready_o(aw_ready),
    .s_w_i       (w),
    .s_w_valid_i (w_valid),
    .s_w_ready_o (w_ready),
    .s_b_o       (b),
    .s_b_valid_o (b_valid),
    .s_b_ready_i (b_ready),
    .m_aw_o      (bus_aw),
    .m_aw_valid_o(bus_aw_valid),
    .m_aw_ready_i(bus_aw_ready),
    .m_w_o       (bus_w),
    .m_w_valid_o (bus_w_valid),
    .m_w_ready_i (bus_w_ready),
    .m_b_i       (bus_b),
    .m_b_valid_i (bus_b_valid),
    .m_b_ready_o (bus_b_ready)
  );

  axi_isolate_read u_read_edge (
    .clk_i,
    .rst_ni,
    .card_rst_ni (lane_rst_n),
    .all_idle_i  (bus_idle_o),
    .idle_o      (reads_idle),
    .open_o      (),
    .s_ar_i      (bus_ar),
    .s_ar_valid_i(bus_ar_valid),
    .s_ar_ready_o(bus_ar_ready),
    .s_r_o       (bus_r),
    .s_r_valid_o (bus_r_valid),
    .s_r_ready_i (bus_r_ready),
    .m_ar_o      (mem_ar_o),
    .m_ar_valid_o(mem_ar_valid_o),
    .m_ar_ready_i(mem_ar_ready_i),
    .m_r_i       (mem_r_i),
    .m_r_valid_i (mem_r_valid_i),
    .m_r_ready_o (mem_r_ready_o)
  );

  axi_isolate_write u_write_edge (
    .clk_i,
    .rst_ni,
    .card_rst_ni (lane_rst_n),
    .all_idle_i  (bus_idle_o),
    .idle_o      (writes_idle),
    .open_o      (),
    .s_aw_i      (bus_aw),
    .s_aw_valid_i(bus_aw_valid),
    .s_aw_ready_o(bus_aw_ready),
    .s_w_i       (bus_w),
    .s_w_valid_i (bus_w_valid),
    .s_w_ready_o (bus_w_ready),
    .s_b_o       (bus_b),
    .s_b_valid_o (bus_b_valid),
    .s_b_ready_i (bus_b_ready),
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
