// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The part of the muxes' properties that reads and writes share: what a master asks for goes to
// the bus as it is, once and in turn, and stays until it is taken; nothing else does; and answers
// go to the master that used their ID, one ID chosen freely.
// Used by: axi_rd_mux_props, axi_wr_mux_props.
module axi_mux_requests
  import carillon_pkg::*;
#(
  parameter int unsigned N      = 2,
  parameter type         answer = axi_r_t
) (
  input logic clk_i,
  input logic rst_ni,
  input logic full_i,  // the mux may take nothing more for another reason

  // Requests
  input axi_ax_t s_ax_i      [N],
  input logic    s_ax_valid_i[N],
  input logic    s_ax_ready_i[N],
  input axi_ax_t m_ax_i,
  input logic    m_ax_valid_i,
  input logic    m_ax_ready_i,

  // Answers
  input answer   m_i,
  input axi_id_t m_id_i,
  input logic    m_valid_i,
  input logic    m_ready_i,
  input answer   s_i      [N],
  input logic    s_valid_i[N],
  input logic    s_ready_i[N],

  // The mux's own: the arbiter's memory, the owner of the watched ID
  input  logic    [N-1:0] later_i,
  input  logic            owner_i,
  output axi_id_t         watch_id_o,

  output logic [N-1:0] taken_o,

  // The prover's choice, taken in reset: an ID, and the master whose it is
  input axi_id_t watch_id_i,
  input logic    watch_master_i
);
  logic    started_q = 1'b0;
  axi_id_t watch_id_q;
  logic    watch_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) {watch_id_q, watch_q} <= {watch_id_i, watch_master_i};
  end
  assign watch_id_o = watch_id_q;

  // ---- The bus shows what was taken last, until it takes it ----
  logic [N-1:0] taken, waiting, held_q;
  logic          expected_q;
  axi_ax_t       expected_ax_q;
  axi_ax_t       s_ax_q                                    [N];
  logic    [1:0] passed_q                                  [N];  // requests of the other that passed a waiting one
  logic          asked_q;  // the watched ID has been used
  wire           watched = asked_q && m_id_i == watch_id_q;
  for (genvar i = 0; i < N; i++) begin : gen_master
    assign waiting[i] = s_ax_valid_i[i];
    assign taken[i] = s_ax_valid_i[i] && s_ax_ready_i[i];
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        held_q[i] <= 1'b0;
        passed_q[i] <= '0;
      end else begin
        held_q[i] <= waiting[i] && !taken[i];
        if (!waiting[i] || taken[i]) passed_q[i] <= '0;
        else if (taken != '0) passed_q[i] <= passed_q[i] + 1'b1;
      end
    end
    always_ff @(posedge clk_i) s_ax_q[i] <= s_ax_i[i];

    always_comb begin
      if (rst_ni) begin
        // AXI4 A3.2.1: a request stays until it is taken. Two masters share no ID.
        if (held_q[i]) e_held : assume (waiting[i] && s_ax_i[i] == s_ax_q[i]);
        e_own_ids : assume (!waiting[i] || s_ax_i[i].id != watch_id_q || 1'(i) == watch_q);
        a_in_turn : assert (passed_q[i] <= 2'd1);
        a_answers_to_whom_they_belong : assert (!watched || s_valid_i[i] == (m_valid_i && 1'(i) == watch_q));
        a_answers_as_they_are : assert (!s_valid_i[i] || (m_valid_i && s_i[i] == m_i));
        // Who was passed once is the next.
        if (passed_q[i] == 2'd1) i_next : assert ((i == 0) ? later_i == '0 : later_i[i]);
      end
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      expected_q <= 1'b0;
      asked_q <= 1'b0;
    end else begin
      if (taken != '0) expected_q <= 1'b1;
      else if (m_ax_ready_i) expected_q <= 1'b0;
      for (int i = 0; i < int'(N); i++) if (taken[i] && s_ax_i[i].id == watch_id_q) asked_q <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < int'(N); i++) if (taken[i]) expected_ax_q <= s_ax_i[i];
  end
  assign taken_o = taken;

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    if (rst_ni) begin
      a_one_at_a_time : assert (!(&taken) && (taken == '0 || !expected_q || m_ax_ready_i));
      a_the_request : assert (m_ax_valid_i == expected_q && (!expected_q || m_ax_i == expected_ax_q));
      a_the_answer_waits : assert (!watched || m_ready_i == s_ready_i[watch_q]);
      a_never_stands_still : assert (waiting == '0 || taken != '0 || (expected_q && !m_ax_ready_i) || full_i);
      i_later : assert (!later_i[0]);
      i_owner : assert (!asked_q || owner_i == watch_q);
      c_both : cover (watched && m_valid_i && held_q == '1);
    end
  end

endmodule
