// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Between the card and the write side of a bus that is not reset with the card.
// Requests and data go through registers here, so what the bus has seen stays
// offered when the card is reset. A burst whose request has passed and whose
// data has not is then completed with beats that write nothing (all strobes
// clear), its response is taken and dropped, and no new request passes until
// every response of the time before has come.
//
// Data passes no earlier than its request, and whether or not the bus takes that.
// Used by: carillon_card, one per bus; the read side is axi_isolate_read.
module axi_isolate_write
  import carillon_pkg::*;
#(
  parameter int unsigned OrderLog2 = 5  // log2 of the bursts whose data has not passed
) (
  input  logic clk_i,
  input  logic rst_ni,       // of the bus
  input  logic card_rst_ni,  // of the card, in step with the clock
  input  logic all_idle_i,   // every stage of the card is idle: it may open
  output logic idle_o,       // the bus owes nothing
  output logic open_o,       // requests pass

  // From the card
  input  axi_ax_t s_aw_i,
  input  logic    s_aw_valid_i,
  output logic    s_aw_ready_o,
  input  axi_w_t  s_w_i,
  input  logic    s_w_valid_i,
  output logic    s_w_ready_o,
  output axi_b_t  s_b_o,
  output logic    s_b_valid_o,
  input  logic    s_b_ready_i,

  // To the bus
  output axi_ax_t m_aw_o,
  output logic    m_aw_valid_o,
  input  logic    m_aw_ready_i,
  output axi_w_t  m_w_o,
  output logic    m_w_valid_o,
  input  logic    m_w_ready_i,
  input  axi_b_t  m_b_i,
  input  logic    m_b_valid_i,
  output logic    m_b_ready_o
);

  localparam int unsigned OwedBits = 12;  // more bursts than all writers of a bus together ask for

  axi_ax_t aw_q;
  axi_w_t  w_q;
  logic aw_valid_q, w_valid_q, open_q;
  logic [OwedBits-1:0] owed_q;  // bursts in the register or on the bus
  logic order_full, order_valid;
  logic [7:0] len;  // of the burst whose data passes now
  logic [7:0] sent_q;  // its beats that have passed

  wire        open = open_q && card_rst_ni;
  wire        w_space = !w_valid_q || m_w_ready_i;
  wire        aw_take = s_aw_valid_i && s_aw_ready_o;
  wire        w_take = w_space && order_valid && (s_w_valid_i || !open);
  wire        w_ends = sent_q == len;
  wire        answered = m_b_valid_i && m_b_ready_o && owed_q != '0;

  assign s_aw_ready_o = open && (!aw_valid_q || m_aw_ready_i) && !order_full && !(&owed_q);
  assign s_w_ready_o = open && w_space && order_valid;
  assign m_aw_o = aw_q;
  assign m_aw_valid_o = aw_valid_q;
  assign m_w_o = w_q;
  assign m_w_valid_o = w_valid_q;
  assign s_b_o = m_b_i;
  assign s_b_valid_o = open && m_b_valid_i;
  assign m_b_ready_o = !open || s_b_ready_i;
  assign idle_o = owed_q == '0 && !aw_valid_q && !w_valid_q && !order_valid;
  assign open_o = open;

  fifo #(
    .T        (logic [7:0]),
    .DepthLog2(OrderLog2)
  ) u_order (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .push_i (aw_take),
    .data_i (s_aw_i.len),
    .full_o (order_full),
    .valid_o(order_valid),
    .data_o (len),
    .pop_i  (w_take && w_ends)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
      w_valid_q <= 1'b0;
      sent_q <= '0;
      open_q <= 1'b0;
      owed_q <= '0;
    end else begin
      if (aw_take) aw_valid_q <= 1'b1;
      else if (m_aw_ready_i) aw_valid_q <= 1'b0;
      if (w_take) w_valid_q <= 1'b1;
      else if (m_w_ready_i) w_valid_q <= 1'b0;
      if (w_take) sent_q <= w_ends ? '0 : sent_q + 8'd1;
      owed_q <= owed_q + OwedBits'(aw_take) - OwedBits'(answered);

      if (!card_rst_ni) open_q <= 1'b0;
      else if (all_idle_i) open_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (aw_take) aw_q <= s_aw_i;
    if (w_take) w_q <= open ? s_w_i : '{data: '0, strb: '0, last: w_ends};
  end

endmodule
