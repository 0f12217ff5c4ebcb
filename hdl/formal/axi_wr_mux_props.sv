// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// axi_wr_mux: requests and answers as axi_mux_requests says; data follows burst by burst in
// the order in which the requests were taken from the masters, one burst of which is watched,
// and is offered whether or not the bus has taken its request.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module axi_wr_mux_props
  import carillon_pkg::*;
#(
  localparam int unsigned N = 2
) (
  input logic    clk_i,
  input logic    rst_ni,
  input axi_ax_t s_aw_i      [N],
  input logic    s_aw_valid_i[N],
  input logic    s_b_ready_i [N],
  input axi_w_t  s_w_i       [N],
  input logic    s_w_valid_i [N],
  input logic    m_w_ready_i,
  input logic    m_aw_ready_i,
  input axi_b_t  m_b_i,
  input logic    m_b_valid_i,

  // The prover's choice, taken in reset: an ID, and the master whose it is
  input axi_id_t watch_id_i,
  input logic    watch_master_i,
  // Likewise: this request is the watched one
  input logic    watch_burst_i
);
  logic s_aw_ready[N], s_b_valid[N], m_aw_valid, m_b_ready;
  axi_b_t  s_b  [N];
  axi_ax_t m_aw;
  axi_w_t  m_w;
  logic s_w_ready[N], m_w_valid;

  axi_wr_mux #(
    .N(N)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .s_aw_i,
    .s_aw_valid_i,
    .s_aw_ready_o(s_aw_ready),
    .s_w_i,
    .s_w_valid_i,
    .s_w_ready_o (s_w_ready),
    .s_b_o       (s_b),
    .s_b_valid_o (s_b_valid),
    .s_b_ready_i,
    .m_aw_o      (m_aw),
    .m_aw_valid_o(m_aw_valid),
    .m_aw_ready_i,
    .m_w_o       (m_w),
    .m_w_valid_o (m_w_valid),
    .m_w_ready_i,
    .m_b_i,
    .m_b_valid_i,
    .m_b_ready_o (m_b_ready)
  );

  logic    [N-1:0] taken;
  axi_id_t         watch_id;

  // ---- Data: bursts by number, in the order of their requests ----
  typedef logic [4:0] number_t;
  number_t asked_bursts_q, passed_bursts_q, burst_q;
  logic watching_q, from_q;
  wire burst_ends = m_w_valid && m_w_ready_i && m_w.last;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {asked_bursts_q, passed_bursts_q} <= '0;
      watching_q <= 1'b0;
    end else begin
      if (taken != '0) asked_bursts_q <= asked_bursts_q + 1'b1;
      if (burst_ends) passed_bursts_q <= passed_bursts_q + 1'b1;
      if (taken != '0 && watch_burst_i && !watching_q) watching_q <= 1'b1;
      else if (burst_ends && passed_bursts_q == burst_q) watching_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (taken != '0 && !watching_q) begin
      burst_q <= asked_bursts_q;
      from_q <= taken[1];
    end
  end
  wire number_t owed = asked_bursts_q - passed_bursts_q;
  for (genvar i = 0; i < N; i++) begin : gen_data
    always_comb begin
      if (rst_ni) begin
        a_taken_in_its_turn : assert (!(watching_q && passed_bursts_q == burst_q) || (s_w_ready[i] == (m_w_ready_i && 1'(i) == from_q)));
        a_none_without_a_request : assert (owed != '0 || !s_w_ready[i]);
      end
    end
  end
  always_comb begin
    if (rst_ni) begin
      if (watching_q && passed_bursts_q == burst_q) begin
        a_the_data : assert (m_w_valid == s_w_valid_i[from_q] && (!m_w_valid || m_w == s_w_i[from_q]));
      end
      a_no_data_of_nobody : assert (owed != '0 || !m_w_valid);
      a_never_overflows : assert (owed <= 16);
      i_order :
      assert (number_t'(u_dut.u_order.tail_q - u_dut.u_order.head_q) == owed && owed <= 16
          && u_dut.u_order.tail_q[3:0] == asked_bursts_q[3:0] && u_dut.u_order.head_q[3:0] == passed_bursts_q[3:0]);
      if (watching_q) begin
        i_watched : assert (number_t'(burst_q - passed_bursts_q) < owed && u_dut.u_order.mem_q[burst_q[3:0]] == from_q);
      end
      c_data_first : cover (m_w_valid && m_w_ready_i && m_aw_valid && !m_aw_ready_i && watching_q && owed == 3);
    end
  end

  axi_mux_requests #(
    .N     (N),
    .answer(axi_b_t)
  ) u_requests (
    .clk_i,
    .rst_ni,
    .full_i      (owed == 16),
    .s_ax_i      (s_aw_i),
    .s_ax_valid_i(s_aw_valid_i),
    .s_ax_ready_i(s_aw_ready),
    .m_ax_i      (m_aw),
    .m_ax_valid_i(m_aw_valid),
    .m_ax_ready_i(m_aw_ready_i),
    .m_i         (m_b_i),
    .m_id_i      (m_b_i.id),
    .m_valid_i   (m_b_valid_i),
    .m_ready_i   (m_b_ready),
    .s_i         (s_b),
    .s_valid_i   (s_b_valid),
    .s_ready_i   (s_b_ready_i),
    .later_i     (u_dut.u_arbiter.later_q),
    .owner_i     (u_dut.owner_q[watch_id]),
    .watch_id_o  (watch_id),
    .taken_o     (taken),
    .watch_id_i,
    .watch_master_i
  );

endmodule
