// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// axi_rd_mux: what a master asks for goes to the bus as it is, once and in turn, and stays until
// it is taken; nothing else does. What comes back for an ID, chosen freely, goes to the master that
// used it and to no other. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
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

  logic    started_q = 1'b0;
  axi_id_t watch_id_q;
  logic    watch_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) {watch_id_q, watch_q} <= {watch_id_i, watch_master_i};
  end

  // ---- Requests: the bus shows what was taken last, until it takes it ----
  logic [N-1:0] taken, held_q;
  logic          expected_q;
  axi_ax_t       expected_ar_q;
  axi_ax_t       s_ar_q                                   [N];
  logic    [1:0] passed_q                                 [N];  // requests of the other that passed a waiting one
  logic          asked_q;  // the watched ID has been used
  for (genvar i = 0; i < N; i++) begin : gen_master
    assign taken[i] = s_ar_valid_i[i] && s_ar_ready[i];
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        held_q[i] <= 1'b0;
        passed_q[i] <= '0;
      end else begin
        held_q[i] <= s_ar_valid_i[i] && !s_ar_ready[i];
        if (!s_ar_valid_i[i] || s_ar_ready[i]) passed_q[i] <= '0;
        else if (taken != '0) passed_q[i] <= passed_q[i] + 1'b1;
      end
    end
    always_ff @(posedge clk_i) s_ar_q[i] <= s_ar_i[i];

    always_comb begin
      if (rst_ni) begin
        // AXI4 A3.2.1: a request stays until it is taken. Two masters share no ID.
        if (held_q[i]) e_held : assume (s_ar_valid_i[i] && s_ar_i[i] == s_ar_q[i]);
        e_own_ids : assume (!s_ar_valid_i[i] || s_ar_i[i].id != watch_id_q || 1'(i) == watch_q);
        a_in_turn : assert (passed_q[i] <= 2'd1);
        a_answers_to_whom_they_belong : assert (!asked_q || m_r_i.id != watch_id_q || (s_r_valid[i] == (m_r_valid_i && 1'(i) == watch_q)));
        a_answers_as_they_are : assert (!s_r_valid[i] || (m_r_valid_i && s_r[i] == m_r_i));
      end
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      expected_q <= 1'b0;
      asked_q <= 1'b0;
    end else begin
      if (taken != '0) expected_q <= 1'b1;
      else if (m_ar_ready_i) expected_q <= 1'b0;
      for (int i = 0; i < int'(N); i++) if (taken[i] && s_ar_i[i].id == watch_id_q) asked_q <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < int'(N); i++) if (taken[i]) expected_ar_q <= s_ar_i[i];
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    if (rst_ni) begin
      a_one_at_a_time : assert (!(&taken) && (taken == '0 || !expected_q || m_ar_ready_i));
      a_the_request : assert (m_ar_valid == expected_q && (!expected_q || m_ar == expected_ar_q));
      a_the_answer_waits : assert (!asked_q || m_r_i.id != watch_id_q || m_r_ready == s_r_ready_i[watch_q]);
      a_never_stands_still : assert (!(s_ar_valid_i[0] || s_ar_valid_i[1]) || taken != '0 || (expected_q && !m_ar_ready_i));
      i_later : assert (!u_dut.u_arbiter.later_q[0]);
      i_owner : assert (!asked_q || u_dut.owner_q[watch_id_q] == watch_q);
      c_both : cover (asked_q && m_r_valid_i && m_r_i.id == watch_id_q && held_q == '1);
    end
  end
  for (genvar i = 0; i < N; i++) begin : gen_turn
    // Who was passed once is the next.
    always_comb begin
      if (rst_ni && passed_q[i] == 2'd1) i_next : assert ((i == 0) ? u_dut.u_arbiter.later_q == '0 : u_dut.u_arbiter.later_q[i]);
    end
  end

endmodule
