// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: the generated register block behind card_control, as in the card,
// with the queues' arrays packed. Driven by hdl/tests/tests/card_regs.rs.
module card_registers
  import carillon_pkg::*;
  import queue_pkg::*;
  import card_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  output logic        s_axil_awready,
  input  logic        s_axil_awvalid,
  input  logic [15:0] s_axil_awaddr,
  output logic        s_axil_wready,
  input  logic        s_axil_wvalid,
  input  logic [31:0] s_axil_wdata,
  input  logic [ 3:0] s_axil_wstrb,
  input  logic        s_axil_bready,
  output logic        s_axil_bvalid,
  output logic [ 1:0] s_axil_bresp,
  output logic        s_axil_arready,
  input  logic        s_axil_arvalid,
  input  logic [15:0] s_axil_araddr,
  input  logic        s_axil_rready,
  output logic        s_axil_rvalid,
  output logic [31:0] s_axil_rdata,
  output logic [ 1:0] s_axil_rresp,

  // One element a queue
  output logic          [Queues-1:0]       enable_o,
  output queue_config_t [Queues-1:0]       config_o,
  output logic          [Queues-1:0]       sq_tail_valid_o,
  output logic          [Queues-1:0][31:0] sq_tail_o,
  output logic          [Queues-1:0]       cq_head_valid_o,
  output logic          [Queues-1:0][31:0] cq_head_o,
  input  logic          [Queues-1:0]       active_i,
  input  logic          [Queues-1:0][ 7:0] error_i,
  input  ring_index_t   [Queues-1:0]       sq_head_i,

  input  logic    busy_i,
  input  logic    host_violated_i,
  input  logic    mem_violated_i,
  input  logic    buses_closed_i,
  output logic    fatal_o,
  input  counts_t count_i
);
  card_regs_pkg::card_regs__in_t  regs_in;
  card_regs_pkg::card_regs__out_t regs_out;

  logic enable[Queues], sq_tail_valid[Queues], cq_head_valid[Queues], active[Queues];
  logic [31:0] sq_tail[Queues], cq_head[Queues];
  queue_config_t queue_config[Queues];
  queue_error_e  queue_error [Queues];
  ring_index_t   sq_head     [Queues];

  for (genvar q = 0; q < Queues; q++) begin : g_queue
    assign enable_o[q] = enable[q];
    assign config_o[q] = queue_config[q];
    assign sq_tail_valid_o[q] = sq_tail_valid[q];
    assign sq_tail_o[q] = sq_tail[q];
    assign cq_head_valid_o[q] = cq_head_valid[q];
    assign cq_head_o[q] = cq_head[q];
    assign active[q] = active_i[q];
    assign queue_error[q] = queue_error_e'(error_i[q]);
    assign sq_head[q] = sq_head_i[q];
  end

  card_regs u_regs (
    .clk          (clk_i),
    .arst_n       (rst_ni),
    .s_axil_awready,
    .s_axil_awvalid,
    .s_axil_awaddr,
    .s_axil_awprot('0),
    .s_axil_wready,
    .s_axil_wvalid,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_bready,
    .s_axil_bvalid,
    .s_axil_bresp,
    .s_axil_arready,
    .s_axil_arvalid,
    .s_axil_araddr,
    .s_axil_arprot('0),
    .s_axil_rready,
    .s_axil_rvalid,
    .s_axil_rdata,
    .s_axil_rresp,
    .hwif_in      (regs_in),
    .hwif_out     (regs_out)
  );

  card_control #(
    .DrainLog2(6)
  ) u_control (
    .clk_i,
    .rst_ni,
    .regs_i         (regs_out),
    .regs_o         (regs_in),
    .enable_o       (enable),
    .config_o       (queue_config),
    .sq_tail_valid_o(sq_tail_valid),
    .sq_tail_o      (sq_tail),
    .cq_head_valid_o(cq_head_valid),
    .cq_head_o      (cq_head),
    .active_i       (active),
    .error_i        (queue_error),
    .sq_head_i      (sq_head),
    .busy_i,
    .host_violated_i,
    .mem_violated_i,
    .buses_open_i   (!buses_closed_i),
    .fatal_o,
    .count_i
  );
endmodule
