// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// axi_isolate_read between a card that is reset whenever it likes and a bus that
// answers as late as it likes: what the bus has seen stays offered, nothing that
// was asked for before a reset reaches the card after it, nothing new passes
// until all of that is answered, and then the stage opens.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module axi_isolate_read_props
  import carillon_pkg::*;
(
  input logic    clk_i,
  input logic    rst_ni,
  input logic    card_rst_ni,
  input logic    others_idle_i,  // the other stages of the card
  input axi_ax_t s_ar_i,
  input logic    s_ar_valid_i,
  input logic    s_r_ready_i,
  input logic    m_ar_ready_i,
  input axi_r_t  m_r_i,
  input logic    m_r_valid_i
);

  typedef logic [15:0] number_t;

  logic idle, open, s_ar_ready, s_r_valid, m_ar_valid, m_r_ready;
  axi_r_t  s_r;
  axi_ax_t m_ar;
  wire     all_idle = idle && others_idle_i;

  axi_isolate_read u_dut (
    .clk_i,
    .rst_ni,
    .card_rst_ni,
    .all_idle_i  (all_idle),
    .idle_o      (idle),
    .open_o      (open),
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

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  // ---- What the bus owes, and how much of it from before the card's last reset ----
  wire asked = m_ar_valid && m_ar_ready_i;
  wire answered = m_r_valid_i && m_r_ready && m_r_i.last;
  number_t owed_q, old_q;
  number_t total;
  logic ar_held_q, may_open_q, late_q;  // late_q: a reset came while something was owed
  axi_ax_t ar_q;
  assign total = owed_q + number_t'(m_ar_valid);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      owed_q <= '0;
      old_q <= '0;
      ar_held_q <= 1'b0;
      may_open_q <= 1'b0;
      late_q <= 1'b0;
    end else begin
      owed_q <= owed_q + number_t'(asked) - number_t'(answered);
      if (!card_rst_ni) old_q <= total - number_t'(answered);
      else old_q <= old_q - number_t'(answered && old_q != '0);
      ar_held_q <= m_ar_valid && !m_ar_ready_i;
      may_open_q <= card_rst_ni && all_idle;
      late_q <= late_q || old_q != '0;
    end
  end
  always_ff @(posedge clk_i) ar_q <= m_ar;

  // ---- The card in reset asks for nothing; the bus answers what it was asked for ----
  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_card : assume (card_rst_ni || !s_ar_valid_i);
    e_bus : assume (!m_r_valid_i || owed_q != '0);
  end

  always_comb begin
    if (rst_ni) begin
      a_request_stays : assert (!ar_held_q || (m_ar_valid && m_ar == ar_q));
      a_nothing_old_reaches_the_card : assert (!s_r_valid || old_q == '0);
      a_nothing_new_passes : assert (!s_ar_ready || old_q == '0);
      a_answer_is_the_bus_s : assert (!s_r_valid || (m_r_valid_i && s_r == m_r_i && (s_r_ready_i == m_r_ready)));
      a_idle : assert (idle == (total == '0));
      a_never_blocks_while_closed : assert (open || m_r_ready);
      a_opens : assert (!may_open_q || !card_rst_ni || open);
      i_counts : assert (number_t'(u_dut.owed_q) == total);
      i_old : assert (old_q <= total && (!u_dut.open_q || old_q == '0));
      c_late_answer : cover (card_rst_ni && !open && m_r_valid_i && old_q == number_t'(2));
      c_again : cover (open && s_r_valid && late_q);
    end
  end

endmodule
