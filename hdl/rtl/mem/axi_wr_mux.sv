// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// N AXI write masters onto one bus: requests round-robin through a register
// (one a cycle), data in the order of the requests, offered together with the
// request whether or not the bus takes that (AXI4 A3.3.1), responses back by ID
// (remembered per ID; two masters must not share one). A master must have the
// whole burst ready when it requests it, as stream_writer does, or it holds up
// the others.
// Used by: the engines and carillon_card.
module axi_wr_mux
  import carillon_pkg::*;
#(
  parameter int unsigned N = 2
) (
  input logic clk_i,
  input logic rst_ni,

  // From the masters
  input  axi_ax_t s_aw_i      [N],
  input  logic    s_aw_valid_i[N],
  output logic    s_aw_ready_o[N],
  input  axi_w_t  s_w_i       [N],
  input  logic    s_w_valid_i [N],
  output logic    s_w_ready_o [N],
  output axi_b_t  s_b_o       [N],
  output logic    s_b_valid_o [N],
  input  logic    s_b_ready_i [N],

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

  localparam int unsigned IndexBits = N > 1 ? $clog2(N) : 1;
  localparam int unsigned OrderLog2 = 4;  // bursts whose data is still to come
  typedef logic [IndexBits-1:0] index_t;

  // ---- Requests ----
  logic    [N-1:0] request;
  logic            any;
  index_t          turn;
  axi_ax_t         aw_q;
  logic            aw_valid_q;
  logic order_full, order_valid;
  index_t from;
  wire    space = (!aw_valid_q || m_aw_ready_i) && !order_full;
  index_t owner_q                                              [1 << AxiIdBits];  // by ID

  rr_arbiter #(
    .N(N)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .request_i(request),
    .take_i   (space),
    .valid_o  (any),
    .index_o  (turn)
  );

  always_comb begin
    for (int unsigned i = 0; i < N; i++) begin
      request[i] = s_aw_valid_i[i];
      s_aw_ready_o[i] = space && any && turn == index_t'(i);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) aw_valid_q <= 1'b0;
    else if (space && any) aw_valid_q <= 1'b1;
    else if (m_aw_ready_i) aw_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (space && any) begin
      aw_q <= s_aw_i[turn];
      owner_q[s_aw_i[turn].id] <= turn;
    end
  end

  assign m_aw_o = aw_q;
  assign m_aw_valid_o = aw_valid_q;

  // ---- Data, in the order of the requests ----
  fifo #(
    .T        (index_t),
    .DepthLog2(OrderLog2)
  ) u_order (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .push_i (space && any),
    .data_i (turn),
    .full_o (order_full),
    .valid_o(order_valid),
    .data_o (from),
    .pop_i  (m_w_valid_o && m_w_ready_i && m_w_o.last)
  );

  assign m_w_o = s_w_i[from];
  assign m_w_valid_o = order_valid && s_w_valid_i[from];
  always_comb begin
    for (int unsigned i = 0; i < N; i++) begin
      s_w_ready_o[i] = order_valid && m_w_ready_i && from == index_t'(i);
    end
  end

  // ---- Responses ----
  wire index_t owner = owner_q[m_b_i.id];

  always_comb begin
    for (int unsigned i = 0; i < N; i++) begin
      s_b_o[i] = m_b_i;
      s_b_valid_o[i] = m_b_valid_i && owner == index_t'(i);
    end
  end
  assign m_b_ready_o = s_b_ready_i[owner];

endmodule
