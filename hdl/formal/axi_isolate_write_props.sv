// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// axi_isolate_write between a card that is reset whenever it likes and a bus that
// takes requests and data in any order, as late as it likes: what the bus has seen
// stays offered, data never comes before its request, a burst that the card cannot
// finish is filled with beats that write nothing, no response of the time before a
// reset reaches the card after it, nothing new passes until all are there, and the
// stage never waits for the card while it is closed.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module axi_isolate_write_props
  import carillon_pkg::*;
(
  input logic    clk_i,
  input logic    rst_ni,
  input logic    card_rst_ni,
  input logic    others_idle_i,  // the other stages of the card
  input axi_ax_t s_aw_i,
  input logic    s_aw_valid_i,
  input axi_w_t  s_w_i,
  input logic    s_w_valid_i,
  input logic    s_b_ready_i,
  input logic    m_aw_ready_i,
  input logic    m_w_ready_i,
  input axi_b_t  m_b_i,
  input logic    m_b_valid_i
);

  localparam int unsigned OrderLog2 = 2;
  typedef logic [15:0] number_t;

  logic idle, open, s_aw_ready, s_w_ready, s_b_valid, m_aw_valid, m_w_valid, m_b_ready;
  axi_b_t  s_b;
  axi_ax_t m_aw;
  axi_w_t  m_w;
  wire     all_idle = idle && others_idle_i;

  axi_isolate_write #(
    .OrderLog2(OrderLog2)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .card_rst_ni,
    .all_idle_i  (all_idle),
    .idle_o      (idle),
    .open_o      (open),
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

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  // ---- What the bus has and has not answered ----
  wire asked = m_aw_valid && m_aw_ready_i;
  wire sent = m_w_valid && m_w_ready_i;
  wire whole = sent && m_w.last;
  wire answered = m_b_valid_i && m_b_ready;
  number_t requests_q, bursts_q, old_q, total;  // requests taken, bursts whose data was, neither answered
  number_t ordered;
  logic aw_held_q, w_held_q, filled_q, may_open_q, late_q;  // late_q: a reset came while something was owed
  axi_ax_t aw_q;
  axi_w_t  w_q;
  assign total = requests_q + number_t'(m_aw_valid);
  assign ordered = number_t'((OrderLog2 + 1)'(u_dut.u_order.tail_q - u_dut.u_order.head_q));

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      requests_q <= '0;
      bursts_q <= '0;
      old_q <= '0;
      aw_held_q <= 1'b0;
      w_held_q <= 1'b0;
      filled_q <= 1'b0;
      may_open_q <= 1'b0;
      late_q <= 1'b0;
    end else begin
      requests_q <= requests_q + number_t'(asked) - number_t'(answered);
      bursts_q <= bursts_q + number_t'(whole) - number_t'(answered);
      if (!card_rst_ni) old_q <= total - number_t'(answered);
      else old_q <= old_q - number_t'(answered && old_q != '0);
      aw_held_q <= m_aw_valid && !m_aw_ready_i;
      w_held_q <= m_w_valid && !m_w_ready_i;
      filled_q <= u_dut.w_take && !open;
      may_open_q <= card_rst_ni && all_idle;
      late_q <= late_q || old_q != '0;
    end
  end
  always_ff @(posedge clk_i) begin
    aw_q <= m_aw;
    w_q  <= m_w;
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    // The card in reset offers nothing, and marks the end of its bursts as it announced them.
    e_card : assume (card_rst_ni || (!s_aw_valid_i && !s_w_valid_i));
    e_last : assume (!(s_w_valid_i && s_w_ready) || s_w_i.last == u_dut.w_ends);
    // The bus answers a burst that it has whole.
    e_bus : assume (!m_b_valid_i || (requests_q != '0 && bursts_q != '0));
  end

  always_comb begin
    if (rst_ni) begin
      a_request_stays : assert (!aw_held_q || (m_aw_valid && m_aw == aw_q));
      a_data_stays : assert (!w_held_q || (m_w_valid && m_w == w_q));
      a_data_after_its_request : assert (!m_w_valid || bursts_q < total);
      a_filled_beats_write_nothing : assert (!filled_q || (m_w_valid && m_w.strb == '0));
      a_nothing_old_reaches_the_card : assert (!s_b_valid || old_q == '0);
      a_nothing_new_passes : assert (!s_aw_ready || old_q == '0);
      a_data_of_the_card_only_while_open : assert (!s_w_ready || open);
      a_idle : assert (!idle || (total == '0 && bursts_q == '0 && !m_w_valid));
      a_response_is_the_bus_s : assert (!s_b_valid || (m_b_valid_i && s_b == m_b_i && s_b_ready_i == m_b_ready));
      a_opens : assert (!may_open_q || !card_rst_ni || open);
      // Closed and owed: the bus can take something, or answer, or a beat is filled in.
      a_never_stands_still : assert (open || idle || m_aw_valid || m_w_valid || u_dut.w_take || (requests_q != '0 && bursts_q != '0));
      i_counts : assert (number_t'(u_dut.owed_q) == total && requests_q <= number_t'(4095) && bursts_q <= number_t'(4095));
      i_order : assert (ordered <= number_t'(1 << OrderLog2) && ordered + bursts_q + number_t'(m_w_valid && m_w.last) == total);
      i_middle : assert (!m_w_valid || m_w.last || ordered != '0);
      i_beats : assert (u_dut.sent_q == '0 || ordered != '0);
      i_old : assert (old_q <= total && (!u_dut.open_q || old_q == '0));
      c_filled : cover (filled_q && m_w.last && bursts_q == number_t'(1));
      c_again : cover (open && s_b_valid && late_q);
    end
  end

endmodule
