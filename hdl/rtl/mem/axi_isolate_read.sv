// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Between the card and the read side of a bus that is not reset with the card.
// A request goes through a register here, so one that the bus has seen stays
// offered when the card is reset. While the card is in reset, and after it until
// every answer of the time before has come on every bus, answers are taken and
// dropped and no new request passes: the card begins on buses that owe nothing.
// Used by: carillon_card, one per bus; the write side is axi_isolate_write.
module axi_isolate_read
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,       // of the bus
  input  logic card_rst_ni,  // of the card, in step with the clock
  input  logic all_idle_i,   // every stage of the card is idle: it may open
  output logic idle_o,       // the bus owes nothing
  output logic open_o,       // requests pass

  // From the card
  input  axi_ax_t s_ar_i,
  input  logic    s_ar_valid_i,
  output logic    s_ar_ready_o,
  output axi_r_t  s_r_o,
  output logic    s_r_valid_o,
  input  logic    s_r_ready_i,

  // To the bus
  output axi_ax_t m_ar_o,
  output logic    m_ar_valid_o,
  input  logic    m_ar_ready_i,
  input  axi_r_t  m_r_i,
  input  logic    m_r_valid_i,
  output logic    m_r_ready_o
);

  localparam int unsigned OwedBits = 12;  // more bursts than all readers of a bus together ask for

  axi_ax_t                ar_q;
  logic                   ar_valid_q;
  logic                   open_q;
  logic    [OwedBits-1:0] owed_q;  // bursts in the register or on the bus

  wire                    open = open_q && card_rst_ni;
  wire                    take = s_ar_valid_i && s_ar_ready_o;
  wire                    answered = m_r_valid_i && m_r_ready_o && m_r_i.last && owed_q != '0;

  assign s_ar_ready_o = open && (!ar_valid_q || m_ar_ready_i) && !(&owed_q);
  assign m_ar_o = ar_q;
  assign m_ar_valid_o = ar_valid_q;
  assign s_r_o = m_r_i;
  assign s_r_valid_o = open && m_r_valid_i;
  assign m_r_ready_o = !open || s_r_ready_i;
  assign idle_o = owed_q == '0 && !ar_valid_q;
  assign open_o = open;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      ar_valid_q <= 1'b0;
      open_q <= 1'b0;
      owed_q <= '0;
    end else begin
      if (take) ar_valid_q <= 1'b1;
      else if (m_ar_ready_i) ar_valid_q <= 1'b0;
      owed_q <= owed_q + OwedBits'(take) - OwedBits'(answered);

      if (!card_rst_ni) open_q <= 1'b0;
      else if (all_idle_i) open_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) ar_q <= s_ar_i;
  end

endmodule
