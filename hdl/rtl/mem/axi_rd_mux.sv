// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// N AXI read masters onto one bus: requests round-robin through a register (one
// a cycle), responses back by ID. The mux remembers which master used an ID
// last, so any number of muxes can be stacked without rewriting IDs; two
// masters must not share one. Used by: the engines and carillon_card.
module axi_rd_mux
  import carillon_pkg::*;
#(
  parameter int unsigned N = 2
) (
  input logic clk_i,
  input logic rst_ni,

  // From the masters
  input  axi_ax_t s_ar_i      [N],
  input  logic    s_ar_valid_i[N],
  output logic    s_ar_ready_o[N],
  output axi_r_t  s_r_o       [N],
  output logic    s_r_valid_o [N],
  input  logic    s_r_ready_i [N],

  // To the bus
  output axi_ax_t m_ar_o,
  output logic    m_ar_valid_o,
  input  logic    m_ar_ready_i,
  input  axi_r_t  m_r_i,
  input  logic    m_r_valid_i,
  output logic    m_r_ready_o
);

  localparam int unsigned IndexBits = N > 1 ? $clog2(N) : 1;
  typedef logic [IndexBits-1:0] index_t;

  // ---- Requests ----
  logic    [N-1:0] request;
  logic            any;
  index_t          turn;
  axi_ax_t         ar_q;
  logic            ar_valid_q;
  wire             space = !ar_valid_q || m_ar_ready_i;
  index_t          owner_q                             [1 << AxiIdBits];  // by ID

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
      request[i] = s_ar_valid_i[i];
      s_ar_ready_o[i] = space && any && turn == index_t'(i);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) ar_valid_q <= 1'b0;
    else if (space) ar_valid_q <= any;
  end

  always_ff @(posedge clk_i) begin
    if (space && any) begin
      ar_q <= s_ar_i[turn];
      owner_q[s_ar_i[turn].id] <= turn;
    end
  end

  assign m_ar_o = ar_q;
  assign m_ar_valid_o = ar_valid_q;

  // ---- Responses ----
  wire index_t owner = owner_q[m_r_i.id];

  always_comb begin
    for (int unsigned i = 0; i < N; i++) begin
      s_r_o[i] = m_r_i;
      s_r_valid_o[i] = m_r_valid_i && owner == index_t'(i);
    end
  end
  assign m_r_ready_o = s_r_ready_i[owner];

endmodule
