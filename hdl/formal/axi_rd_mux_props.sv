// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// axi_rd_mux: requests and answers as axi_mux_requests says.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module axi_rd_mux_props
  import carillon_pkg::*;
#(
  localparam int unsigned N = 2
) (
  input logic    clk_i,
  input logic    rst_ni,
  input axi_ax_t s_ar_i      [N],
  input logic    s_ar_valid_i[N],
  input logic    s_r_ready_i [N],
  input logic    m_ar_ready_i,
  input axi_r_t  m_r_i,
  input logic    m_r_valid_i,

  // The prover's choice, taken in reset: an ID, and the master whose it is
  input axi_id_t watch_id_i,
  input logic    watch_master_i
);
  logic s_ar_ready[N], s_r_valid[N], m_ar_valid, m_r_ready;
  axi_r_t  s_r  [N];
  axi_ax_t m_ar;

  axi_rd_mux #(
    .N(N)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .s_ar_i,
    .s_ar_valid_i,
    .s_ar_ready_o(s_ar_ready),
    .s_r_o       (s_r),
    .s_r_valid_o (s_r_valid),
    .s_r_ready_i,
    .m_ar_o      (m_ar),
    .m_ar_valid_o(m_ar_valid),
    .m_ar_ready_i,
    .m_r_i,
    .m_r_valid_i,
    .m_r_ready_o (m_r_ready)
  );

  logic    [N-1:0] taken;
  axi_id_t         watch_id;
  axi_mux_requests #(
    .N     (N),
    .answer(axi_r_t)
  ) u_requests (
    .clk_i,
    .rst_ni,
    .full_i      (1'b0),
    .s_ax_i      (s_ar_i),
    .s_ax_valid_i(s_ar_valid_i),
    .s_ax_ready_i(s_ar_ready),
    .m_ax_i      (m_ar),
    .m_ax_valid_i(m_ar_valid),
    .m_ax_ready_i(m_ar_ready_i),
    .m_i         (m_r_i),
    .m_id_i      (m_r_i.id),
    .m_valid_i   (m_r_valid_i),
    .m_ready_i   (m_r_ready),
    .s_i         (s_r),
    .s_valid_i   (s_r_valid),
    .s_ready_i   (s_r_ready_i),
    .later_i     (u_dut.u_arbiter.later_q),
    .owner_i     (u_dut.owner_q[watch_id]),
    .watch_id_o  (watch_id),
    .taken_o     (taken),
    .watch_id_i,
    .watch_master_i
  );
  wire unused = &{1'b0, taken};

endmodule
