// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The rules at every AXI4 port of the design: of each module that makes requests
// itself, of the muxes towards the bus, and of the stages that face the buses.
// In every simulation: sva/axi.f stands behind the design's file list.

bind stream_reader axi_read_rules u_rules (
  .clk_i,
  .rst_ni,
  .ar_i      (ar_o),
  .ar_valid_i(ar_valid_o),
  .ar_ready_i,
  .r_i,
  .r_valid_i,
  .r_ready_i (r_ready_o)
);

bind run_reader axi_read_rules u_rules (
  .clk_i,
  .rst_ni,
  .ar_i      (ar_o),
  .ar_valid_i(ar_valid_o),
  .ar_ready_i,
  .r_i,
  .r_valid_i,
  .r_ready_i (r_ready_o)
);

bind queue_fetch axi_read_rules u_rules (
  .clk_i,
  .rst_ni,
  .ar_i      (ar_o),
  .ar_valid_i(ar_valid_o),
  .ar_ready_i,
  .r_i,
  .r_valid_i,
  .r_ready_i (r_ready_o)
);

bind axi_rd_mux axi_read_rules u_rules (
  .clk_i,
  .rst_ni,
  .ar_i      (m_ar_o),
  .ar_valid_i(m_ar_valid_o),
  .ar_ready_i(m_ar_ready_i),
  .r_i       (m_r_i),
  .r_valid_i (m_r_valid_i),
  .r_ready_i (m_r_ready_o)
);

bind axi_isolate_read axi_read_rules u_rules (
  .clk_i,
  .rst_ni,
  .ar_i      (m_ar_o),
  .ar_valid_i(m_ar_valid_o),
  .ar_ready_i(m_ar_ready_i),
  .r_i       (m_r_i),
  .r_valid_i (m_r_valid_i),
  .r_ready_i (m_r_ready_o)
);

bind run_writer axi_write_rules u_rules (
  .clk_i,
  .rst_ni,
  .aw_i      (aw_o),
  .aw_valid_i(aw_valid_o),
  .aw_ready_i,
  .w_i       (w_o),
  .w_valid_i (w_valid_o),
  .w_ready_i,
  .b_i,
  .b_valid_i,
  .b_ready_i (b_ready_o)
);

bind queue_post axi_write_rules u_rules (
  .clk_i,
  .rst_ni,
  .aw_i      (aw_o),
  .aw_valid_i(aw_valid_o),
  .aw_ready_i,
  .w_i       (w_o),
  .w_valid_i (w_valid_o),
  .w_ready_i,
  .b_i,
  .b_valid_i,
  .b_ready_i (b_ready_o)
);

bind axi_wr_mux axi_write_rules u_rules (
  .clk_i,
  .rst_ni,
  .aw_i      (m_aw_o),
  .aw_valid_i(m_aw_valid_o),
  .aw_ready_i(m_aw_ready_i),
  .w_i       (m_w_o),
  .w_valid_i (m_w_valid_o),
  .w_ready_i (m_w_ready_i),
  .b_i       (m_b_i),
  .b_valid_i (m_b_valid_i),
  .b_ready_i (m_b_ready_o)
);

bind axi_isolate_write axi_write_rules u_rules (
  .clk_i,
  .rst_ni,
  .aw_i      (m_aw_o),
  .aw_valid_i(m_aw_valid_o),
  .aw_ready_i(m_aw_ready_i),
  .w_i       (m_w_o),
  .w_valid_i (m_w_valid_o),
  .w_ready_i (m_w_ready_i),
  .b_i       (m_b_i),
  .b_valid_i (m_b_valid_i),
  .b_ready_i (m_b_ready_o)
);
