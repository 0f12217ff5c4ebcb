// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The card: register block, queue engine, execution units, and the muxes that
// lead to its two buses. Faces: AXI4-Lite to BAR0, an AXI4 master to host memory
// (PCIe bridge), an AXI4 master to card memory and read-only lanes beside it,
// interrupt requests. Bursts are INCR of 64-byte beats and never cross 4 KiB.
// The card's reset may come at any time; what faces the AXI4 buses is reset with
// them, finishes what is under way, and lets nothing old into the card.
// Used by: the simulated card (sim/src/rtl) and the synthesis top of a board.
module carillon_card
  import carillon_pkg::*;
  import queue_pkg::*;
(
  input  logic clk_i,
  input  logic card_rst_ni,  // of the card, at any phase of the clock: a function-level reset
  input  logic bus_rst_ni,   // of the AXI4 buses: power-on, PCIe's fundamental reset; the card is in reset with them
  output logic bus_idle_o,   // no AXI4 transfer is under way: a reset of the card may be reported as done

  // BAR0
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [15:0] s_axil_awaddr,
  input  logic [ 2:0] s_axil_awprot,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  input  logic [31:0] s_axil_wdata,
  input  logic [ 3:0] s_axil_wstrb,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  output logic [ 1:0] s_axil_bresp,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  input  logic [15:0] s_axil_araddr,
  input  logic [ 2:0] s_axil_arprot,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  output logic [31:0] s_axil_rdata,
  output logic [ 1:0] s_axil_rresp,

  // Host memory
  output axi_id_t                 m_axi_host_arid,
  output addr_t                   m_axi_host_araddr,
  output logic    [          7:0] m_axi_host_arlen,
  output logic    [          2:0] m_axi_host_arsize,
  output logic    [          1:0] m_axi_host_arburst,
  output logic                    m_axi_host_arvalid,
  input  logic                    m_axi_host_arready,
  input  axi_id_t                 m_axi_host_rid,
  input  beat_t                   m_axi_host_rdata,
  input  logic    [          1:0] m_axi_host_rresp,
  input  logic                    m_axi_host_rlast,
  input  logic                    m_axi_host_rvalid,
  output logic                    m_axi_host_rready,
  output axi_id_t                 m_axi_host_awid,
  output addr_t                   m_axi_host_awaddr,
  output logic    [          7:0] m_axi_host_awlen,
  output logic    [          2:0] m_axi_host_awsize,
  output logic    [          1:0] m_axi_host_awburst,
  output logic                    m_axi_host_awvalid,
  input  logic                    m_axi_host_awready,
  output beat_t                   m_axi_host_wdata,
  output logic    [BeatBytes-1:0] m_axi_host_wstrb,
  output logic                    m_axi_host_wlast,
  output logic                    m_axi_host_wvalid,
  input  logic                    m_axi_host_wready,
  input  axi_id_t                 m_axi_host_bid,
  input  logic    [          1:0] m_axi_host_bresp,
  input  logic                    m_axi_host_bvalid,
  output logic                    m_axi_host_bready,

  // Card memory
  output axi_id_t                 m_axi_mem_arid,
  output addr_t                   m_axi_mem_araddr,
  output logic    [          7:0] m_axi_mem_arlen,
  output logic    [          2:0] m_axi_mem_arsize,
  output logic    [          1:0] m_axi_mem_arburst,
  output logic                    m_axi_mem_arvalid,
  input  logic                    m_axi_mem_arready,
  input  axi_id_t                 m_axi_mem_rid,
  input  beat_t                   m_axi_mem_rdata,
  input  logic    [          1:0] m_axi_mem_rresp,
  input  logic                    m_axi_mem_rlast,
  input  logic                    m_axi_mem_rvalid,
  output logic                    m_axi_mem_rready,
  output axi_id_t                 m_axi_mem_awid,
  output addr_t                   m_axi_mem_awaddr,
  output logic    [          7:0] m_axi_mem_awlen,
  output logic    [          2:0] m_axi_mem_awsize,
  output logic    [          1:0] m_axi_mem_awburst,
  output logic                    m_axi_mem_awvalid,
  input  logic                    m_axi_mem_awready,
  output beat_t                   m_axi_mem_wdata,
  output logic    [BeatBytes-1:0] m_axi_mem_wstrb,
  output logic                    m_axi_mem_wlast,
  output logic                    m_axi_mem_wvalid,
  input  logic                    m_axi_mem_wready,
  input  axi_id_t                 m_axi_mem_bid,
  input  logic    [          1:0] m_axi_mem_bresp,
  input  logic                    m_axi_mem_bvalid,
  output logic                    m_axi_mem_bready,

  // Card memory, read only: lanes of the MSM, lane 0 lowest
  output axi_id_t [MsmLanes-1:0]      m_axi_lane_arid,
  output addr_t   [MsmLanes-1:0]      m_axi_lane_araddr,
  output logic    [MsmLanes-1:0][7:0] m_axi_lane_arlen,
  output logic    [MsmLanes-1:0][2:0] m_axi_lane_arsize,
  output logic    [MsmLanes-1:0][1:0] m_axi_lane_arburst,
  output logic    [MsmLanes-1:0]      m_axi_lane_arvalid,
  input  logic    [MsmLanes-1:0]      m_axi_lane_arready,
  input  axi_id_t [MsmLanes-1:0]      m_axi_lane_rid,
  input  beat_t   [MsmLanes-1:0]      m_axi_lane_rdata,
  input  logic    [MsmLanes-1:0][1:0] m_axi_lane_rresp,
  input  logic    [MsmLanes-1:0]      m_axi_lane_rlast,
  input  logic    [MsmLanes-1:0]      m_axi_lane_rvalid,
  output logic    [MsmLanes-1:0]      m_axi_lane_rready,

  // Interrupt requests, pulses: one per queue, then asynchronous events
  output logic [Queues:0] irq_o,

  // While clear and no register access is under way, the clock may stop
  output logic awake_o
);

  // IDs on the host bus; reads and writes have their own space.
  localparam axi_id_t FetchId = 8'd0;
  localparam axi_id_t PostId = 8'd0;
  localparam axi_id_t DmaHostId = 8'd1;  // and the next one for scatter lists
  localparam axi_id_t IdentifyId = 8'd2;

  // ---- Reset of the card, in step with the clock: the stages at its edge see it as data ----
  logic rst_ni, rst_q;

  always_ff @(posedge clk_i or negedge bus_rst_ni) begin
    if (!bus_rst_ni) {rst_ni, rst_q} <= 2'b00;
    else {rst_ni, rst_q} <= {rst_q, card_rst_ni};
  end

  // ---- Registers ----
  card_regs_pkg::card_regs__in_t  regs_in;
  card_regs_pkg::card_regs__out_t regs_out;

  // Nothing in the block changes by itself, so its clock runs for accesses only.
  logic                           regs_clk;

  unit_clock u_regs_clock (
    .clk_i,
    .rst_ni,
    .want_i(s_axil_awvalid || s_axil_wvalid || s_axil_arvalid || s_axil_bvalid || s_axil_rvalid),
    .clk_o (regs_clk)
  );

  card_regs u_regs (
    .clk    (regs_clk),
    .arst_n (rst_ni),
    .s_axil_awready,
    .s_axil_awvalid,
    .s_axil_awaddr,
    .s_axil_awprot,
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
    .s_axil_arprot,
    .s_axil_rready,
    .s_axil_rvalid,
    .s_axil_rdata,
    .s_axil_rresp,
    .hwif_in (regs_in),
    .hwif_out(regs_out)
  );

  logic enable[Queues], sq_tail_valid[Queues], cq_head_valid[Queues], active[Queues];
  logic [31:0] sq_tail[Queues], cq_head[Queues];
  queue_config_t queue_config[Queues];
  queue_error_e  queue_error [Queues];
  ring_index_t   sq_head     [Queues];
  logic busy, fatal, host_violated, mem_violated, buses_open;
  logic              [MsmLanes-1:0] lane_violated;
  card_pkg::counts_t                counts;

  card_control u_control (
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
    .busy_i         (busy),
    .host_violated_i(host_violated),
    .mem_violated_i (mem_violated || (|lane_violated)),
    .buses_open_i   (buses_open),
    .fatal_o        (fatal),
    .count_i        (counts)
  );

  // ---- Buses inside ----
  // Host reads: queues, DMA. Host writes: queues, DMA, identity page.
  localparam int unsigned HostReaders = 2;
  localparam int unsigned HostWriters = 3;
  axi_ax_t host_ar[HostReaders], host_aw[HostWriters];
  axi_r_t host_r[HostReaders];
  axi_w_t host_w[HostWriters];
  axi_b_t host_b[HostWriters];
  logic host_ar_valid[HostReaders], host_ar_ready[HostReaders], host_r_valid[HostReaders], host_r_ready[HostReaders];
  logic host_aw_valid[HostWriters], host_aw_ready[HostWriters], host_w_valid[HostWriters], host_w_ready[HostWriters];
  logic host_b_valid[HostWriters], host_b_ready[HostWriters];

  // Card memory. Reads: DMA, NTT, QUOTIENT; the MSM reads through its lanes. Writes: DMA, MSM, NTT, QUOTIENT.
  localparam int unsigned MemReaders = 3;
  localparam int unsigned MemMasters = 4;
  axi_ax_t mem_ar[MemReaders], mem_aw[MemMasters];
  axi_r_t                 mem_r   [MemReaders];
  axi_w_t                 mem_w   [MemMasters];
  axi_b_t                 mem_b   [MemMasters];
  axi_ax_t [MsmLanes-1:0] lane_ar;
  axi_r_t  [MsmLanes-1:0] lane_r;
  logic [MsmLanes-1:0] lane_ar_valid, lane_ar_ready, lane_r_valid, lane_r_ready;
  logic mem_ar_valid[MemReaders], mem_ar_ready[MemReaders], mem_r_valid[MemReaders], mem_r_ready[MemReaders];
  logic mem_aw_valid[MemMasters], mem_aw_ready[MemMasters], mem_w_valid[MemMasters], mem_w_ready[MemMasters];
  logic mem_b_valid[MemMasters], mem_b_ready[MemMasters];

  // ---- Queue engine ----
  logic unit_start[Units], unit_abort[Units], unit_busy[Units], unit_done[Units];
  command_t     unit_command[Units];
  unit_result_t unit_result [Units];
  logic posted, posted_error, stopped, fatal_q;
  logic [Queues-1:0] irq;
  logic              queues_awake;

  queue_engine #(
    .ReadId (FetchId),
    .WriteId(PostId)
  ) u_queues (
    .clk_i,
    .rst_ni,
    .enable_i       (enable),
    .config_i       (queue_config),
    .sq_tail_valid_i(sq_tail_valid),
    .sq_tail_i      (sq_tail),
    .cq_head_valid_i(cq_head_valid),
    .cq_head_i      (cq_head),
    .active_o       (active),
    .error_o        (queue_error),
    .sq_head_o      (sq_head),
    .unit_start_o   (unit_start),
    .unit_command_o (unit_command),
    .unit_abort_o   (unit_abort),
    .unit_done_i    (unit_done),
    .unit_result_i  (unit_result),
    .busy_o         (busy),
    .posted_o       (posted),
    .posted_error_o (posted_error),
    .irq_o          (irq),
    .stopped_o      (stopped),
    .awake_o        (queues_awake),
    .ar_o           (host_ar[0]),
    .ar_valid_o     (host_ar_valid[0]),
    .ar_ready_i     (host_ar_ready[0]),
    .r_i            (host_r[0]),
    .r_valid_i      (host_r_valid[0]),
    .r_ready_o      (host_r_ready[0]),
    .aw_o           (host_aw[0]),
    .aw_valid_o     (host_aw_valid[0]),
    .aw_ready_i     (host_aw_ready[0]),
    .w_o            (host_w[0]),
    .w_valid_o      (host_w_valid[0]),
    .w_ready_i      (host_w_ready[0]),
    .b_i            (host_b[0]),
    .b_valid_i      (host_b_valid[0]),
    .b_ready_o      (host_b_ready[0])
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      irq_o <= '0;
      fatal_q <= 1'b0;
    end else begin
      irq_o <= {stopped || (fatal && !fatal_q), irq};
      fatal_q <= fatal;
    end
  end
  assign awake_o = queues_awake || |irq_o || (fatal && !fatal_q);

  // ---- Clocks of the units ----
  logic identify_clk, dma_clk, msm_clk, ntt_clk, quotient_clk;

  unit_clock u_identify_clock (
    .clk_i,
    .rst_ni,
    .want_i(unit_start[UnitIdentify] || unit_busy[UnitIdentify]),
    .clk_o (identify_clk)
  );

  unit_clock u_dma_clock (
    .clk_i,
    .rst_ni,
    .want_i(unit_start[UnitDma] || unit_busy[UnitDma]),
    .clk_o (dma_clk)
  );

  unit_clock u_msm_clock (
    .clk_i,
    .rst_ni,
    .want_i(unit_start[UnitMsm] || unit_busy[UnitMsm]),
    .clk_o (msm_clk)
  );

  unit_clock u_ntt_clock (
    .clk_i,
    .rst_ni,
    .want_i(unit_start[UnitNtt] || unit_busy[UnitNtt]),
    .clk_o (ntt_clk)
  );

  unit_clock u_quotient_clock (
    .clk_i,
    .rst_ni,
    .want_i(unit_start[UnitQuotient] || unit_busy[UnitQuotient]),
    .clk_o (quotient_clk)
  );

  // ---- Execution units. ABORT runs inside the queue engine. ----
  assign unit_busy[UnitAbort] = 1'b0;
  assign unit_done[UnitAbort] = 1'b0;
  assign unit_result[UnitAbort] = '0;

  identify_unit #(
    .HostWriteId(IdentifyId)
  ) u_identify (
    .clk_i          (identify_clk),
    .rst_ni,
    .start_i        (unit_start[UnitIdentify]),
    .cmd_i          (unit_command[UnitIdentify]),
    .abort_i        (unit_abort[UnitIdentify]),
    .busy_o         (unit_busy[UnitIdentify]),
    .done_o         (unit_done[UnitIdentify]),
    .result_o       (unit_result[UnitIdentify]),
    .host_aw_o      (host_aw[2]),
    .host_aw_valid_o(host_aw_valid[2]),
    .host_aw_ready_i(host_aw_ready[2]),
    .host_w_o       (host_w[2]),
    .host_w_valid_o (host_w_valid[2]),
    .host_w_ready_i (host_w_ready[2]),
    .host_b_i       (host_b[2]),
    .host_b_valid_i (host_b_valid[2]),
    .host_b_ready_o (host_b_ready[2])
  );

  dma_engine #(
    .HostReadId (DmaHostId),
    .HostWriteId(DmaHostId)
  ) u_dma (
    .clk_i          (dma_clk),
    .rst_ni,
    .start_i        (unit_start[UnitDma]),
    .cmd_i          (unit_command[UnitDma]),
    .abort_i        (unit_abort[UnitDma]),
    .busy_o         (unit_busy[UnitDma]),
    .done_o         (unit_done[UnitDma]),
    .result_o       (unit_result[UnitDma]),
    .host_ar_o      (host_ar[1]),
    .host_ar_valid_o(host_ar_valid[1]),
    .host_ar_ready_i(host_ar_ready[1]),
    .host_r_i       (host_r[1]),
    .host_r_valid_i (host_r_valid[1]),
    .host_r_ready_o (host_r_ready[1]),
    .host_aw_o      (host_aw[1]),
    .host_aw_valid_o(host_aw_valid[1]),
    .host_aw_ready_i(host_aw_ready[1]),
    .host_w_o       (host_w[1]),
    .host_w_valid_o (host_w_valid[1]),
    .host_w_ready_i (host_w_ready[1]),
    .host_b_i       (host_b[1]),
    .host_b_valid_i (host_b_valid[1]),
    .host_b_ready_o (host_b_ready[1]),
    .mem_ar_o       (mem_ar[0]),
    .mem_ar_valid_o (mem_ar_valid[0]),
    .mem_ar_ready_i (mem_ar_ready[0]),
    .mem_r_i        (mem_r[0]),
    .mem_r_valid_i  (mem_r_valid[0]),
    .mem_r_ready_o  (mem_r_ready[0]),
    .mem_aw_o       (mem_aw[0]),
    .mem_aw_valid_o (mem_aw_valid[0]),
    .mem_aw_ready_i (mem_aw_ready[0]),
    .mem_w_o        (mem_w[0]),
    .mem_w_valid_o  (mem_w_valid[0]),
    .mem_w_ready_i  (mem_w_ready[0]),
    .mem_b_i        (mem_b[0]),
    .mem_b_valid_i  (mem_b_valid[0]),
    .mem_b_ready_o  (mem_b_ready[0])
  );

  msm_engine #(
    .IdBase(MsmIdBase)
  ) u_msm (
    .clk_i          (msm_clk),
    .rst_ni,
    .start_i        (unit_start[UnitMsm]),
    .cmd_i          (unit_command[UnitMsm]),
    .abort_i        (unit_abort[UnitMsm]),
    .busy_o         (unit_busy[UnitMsm]),
    .done_o         (unit_done[UnitMsm]),
    .result_o       (unit_result[UnitMsm]),
    .lane_ar_o      (lane_ar),
    .lane_ar_valid_o(lane_ar_valid),
    .lane_ar_ready_i(lane_ar_ready),
    .lane_r_i       (lane_r),
    .lane_r_valid_i (lane_r_valid),
    .lane_r_ready_o (lane_r_ready),
    .mem_aw_o       (mem_aw[1]),
    .mem_aw_valid_o (mem_aw_valid[1]),
    .mem_aw_ready_i (mem_aw_ready[1]),
    .mem_w_o        (mem_w[1]),
    .mem_w_valid_o  (mem_w_valid[1]),
    .mem_w_ready_i  (mem_w_ready[1]),
    .mem_b_i        (mem_b[1]),
    .mem_b_valid_i  (mem_b_valid[1]),
    .mem_b_ready_o  (mem_b_ready[1])
  );

  ntt_engine #(
    .IdBase(NttIdBase)
  ) u_ntt (
    .clk_i          (ntt_clk),
    .rst_ni,
    .start_i        (unit_start[UnitNtt]),
    .cmd_i          (unit_command[UnitNtt]),
    .abort_i        (unit_abort[UnitNtt]),
    .busy_o         (unit_busy[UnitNtt]),
    .done_o         (unit_done[UnitNtt]),
    .result_o       (unit_result[UnitNtt]),
    .mem_ar_o       (mem_ar[1]),
    .mem_ar_valid_o (mem_ar_valid[1]),
    .mem_ar_ready_i (mem_ar_ready[1]),
    .mem_r_i        (mem_r[1]),
    .mem_r_valid_i  (mem_r_valid[1]),
    .mem_r_ready_o  (mem_r_ready[1]),
    .mem_aw_o       (mem_aw[2]),
    .mem_aw_valid_o (mem_aw_valid[2]),
    .mem_aw_ready_i (mem_aw_ready[2]),
    .mem_w_o        (mem_w[2]),
    .mem_w_valid_o  (mem_w_valid[2]),
    .mem_w_ready_i  (mem_w_ready[2]),
    .mem_b_i        (mem_b[2]),
    .mem_b_valid_i  (mem_b_valid[2]),
    .mem_b_ready_o  (mem_b_ready[2])
  );

  quotient_engine #(
    .IdBase(QuotientIdBase)
  ) u_quotient (
    .clk_i          (quotient_clk),
    .rst_ni,
    .start_i        (unit_start[UnitQuotient]),
    .cmd_i          (unit_command[UnitQuotient]),
    .abort_i        (unit_abort[UnitQuotient]),
    .busy_o         (unit_busy[UnitQuotient]),
    .done_o         (unit_done[UnitQuotient]),
    .result_o       (unit_result[UnitQuotient]),
    .mem_ar_o       (mem_ar[2]),
    .mem_ar_valid_o (mem_ar_valid[2]),
    .mem_ar_ready_i (mem_ar_ready[2]),
    .mem_r_i        (mem_r[2]),
    .mem_r_valid_i  (mem_r_valid[2]),
    .mem_r_ready_o  (mem_r_ready[2]),
    .mem_aw_o       (mem_aw[3]),
    .mem_aw_valid_o (mem_aw_valid[3]),
    .mem_aw_ready_i (mem_aw_ready[3]),
    .mem_w_o        (mem_w[3]),
    .mem_w_valid_o  (mem_w_valid[3]),
    .mem_w_ready_i  (mem_w_ready[3]),
    .mem_b_i        (mem_b[3]),
    .mem_b_valid_i  (mem_b_valid[3]),
    .mem_b_ready_o  (mem_b_ready[3])
  );

  // ---- Onto the two buses ----
  localparam logic [2:0] AxiSize = 3'($clog2(BeatBytes));
  localparam logic [1:0] AxiIncr = 2'b01;
  // Behind each mux stands a stage in the bus's reset; all that faces the buses comes from these.
  localparam int unsigned Edges = 4 + MsmLanes;
  logic [Edges-1:0] idle, open;
  axi_ax_t host_bus_ar, host_bus_aw, mem_bus_ar, mem_bus_aw, host_edge_ar, host_edge_aw, mem_edge_ar, mem_edge_aw;
  axi_r_t host_bus_r, mem_bus_r;
  axi_w_t host_bus_w, mem_bus_w, host_edge_w, mem_edge_w;
  axi_b_t host_bus_b, mem_bus_b;
  logic host_bus_ar_valid, host_bus_ar_ready, host_bus_r_valid, host_bus_r_ready;
  logic host_bus_aw_valid, host_bus_aw_ready, host_bus_w_valid, host_bus_w_ready, host_bus_b_valid, host_bus_b_ready;
  logic mem_bus_ar_valid, mem_bus_ar_ready, mem_bus_r_valid, mem_bus_r_ready;
  logic mem_bus_aw_valid, mem_bus_aw_ready, mem_bus_w_valid, mem_bus_w_ready, mem_bus_b_valid, mem_bus_b_ready;

  axi_rd_mux #(
    .N(HostReaders)
  ) u_host_read_mux (
    .clk_i,
    .rst_ni,
    .s_ar_i      (host_ar),
    .s_ar_valid_i(host_ar_valid),
    .s_ar_ready_o(host_ar_ready),
    .s_r_o       (host_r),
    .s_r_valid_o (host_r_valid),
    .s_r_ready_i (host_r_ready),
    .m_ar_o      (host_bus_ar),
    .m_ar_valid_o(host_bus_ar_valid),
    .m_ar_ready_i(host_bus_ar_ready),
    .m_r_i       (host_bus_r),
    .m_r_valid_i (host_bus_r_valid),
    .m_r_ready_o (host_bus_r_ready)
  );

  axi_isolate_read u_host_read_edge (
    .clk_i,
    .rst_ni      (bus_rst_ni),
    .card_rst_ni (rst_ni),
    .all_idle_i  (bus_idle_o),
    .idle_o      (idle[2*0]),
    .open_o      (open[2*0]),
    .s_ar_i      (host_bus_ar),
    .s_ar_valid_i(host_bus_ar_valid),
    .s_ar_ready_o(host_bus_ar_ready),
    .s_r_o       (host_bus_r),
    .s_r_valid_o (host_bus_r_valid),
    .s_r_ready_i (host_bus_r_ready),
    .m_ar_o      (host_edge_ar),
    .m_ar_valid_o(m_axi_host_arvalid),
    .m_ar_ready_i(m_axi_host_arready),
    .m_r_i       ('{id: m_axi_host_rid, data: m_axi_host_rdata, resp: m_axi_host_rresp, last: m_axi_host_rlast}),
    .m_r_valid_i (m_axi_host_rvalid),
    .m_r_ready_o (m_axi_host_rready)
  );

  axi_wr_mux #(
    .N(HostWriters)
  ) u_host_write_mux (
    .clk_i,
    .rst_ni,
    .s_aw_i      (host_aw),
    .s_aw_valid_i(host_aw_valid),
    .s_aw_ready_o(host_aw_ready),
    .s_w_i       (host_w),
    .s_w_valid_i (host_w_valid),
    .s_w_ready_o (host_w_ready),
    .s_b_o       (host_b),
    .s_b_valid_o (host_b_valid),
    .s_b_ready_i (host_b_ready),
    .m_aw_o      (host_bus_aw),
    .m_aw_valid_o(host_bus_aw_valid),
    .m_aw_ready_i(host_bus_aw_ready),
    .m_w_o       (host_bus_w),
    .m_w_valid_o (host_bus_w_valid),
    .m_w_ready_i (host_bus_w_ready),
    .m_b_i       (host_bus_b),
    .m_b_valid_i (host_bus_b_valid),
    .m_b_ready_o (host_bus_b_ready)
  );

  axi_isolate_write u_host_write_edge (
    .clk_i,
    .rst_ni      (bus_rst_ni),
    .card_rst_ni (rst_ni),
    .all_idle_i  (bus_idle_o),
    .idle_o      (idle[2*0+1]),
    .open_o      (open[2*0+1]),
    .s_aw_i      (host_bus_aw),
    .s_aw_valid_i(host_bus_aw_valid),
    .s_aw_ready_o(host_bus_aw_ready),
    .s_w_i       (host_bus_w),
    .s_w_valid_i (host_bus_w_valid),
    .s_w_ready_o (host_bus_w_ready),
    .s_b_o       (host_bus_b),
    .s_b_valid_o (host_bus_b_valid),
    .s_b_ready_i (host_bus_b_ready),
    .m_aw_o      (host_edge_aw),
    .m_aw_valid_o(m_axi_host_awvalid),
    .m_aw_ready_i(m_axi_host_awready),
    .m_w_o       (host_edge_w),
    .m_w_valid_o (m_axi_host_wvalid),
    .m_w_ready_i (m_axi_host_wready),
    .m_b_i       ('{id: m_axi_host_bid, resp: m_axi_host_bresp}),
    .m_b_valid_i (m_axi_host_bvalid),
    .m_b_ready_o (m_axi_host_bready)
  );

  assign {m_axi_host_arid, m_axi_host_araddr, m_axi_host_arlen} = host_edge_ar;
  assign m_axi_host_arsize = AxiSize;
  assign m_axi_host_arburst = AxiIncr;
  assign {m_axi_host_awid, m_axi_host_awaddr, m_axi_host_awlen} = host_edge_aw;
  assign m_axi_host_awsize = AxiSize;
  assign m_axi_host_awburst = AxiIncr;
  assign {m_axi_host_wdata, m_axi_host_wstrb, m_axi_host_wlast} = host_edge_w;

  axi_guard u_host_guard (
    .clk_i,
    .rst_ni     (bus_rst_ni),
    .card_rst_ni(rst_ni),
    .ar_i       (m_axi_host_arvalid && m_axi_host_arready),
    .r_last_i   (m_axi_host_rvalid && m_axi_host_rready && m_axi_host_rlast),
    .r_i        (m_axi_host_rvalid && m_axi_host_rready),
    .aw_i       (m_axi_host_awvalid && m_axi_host_awready),
    .b_i        (m_axi_host_bvalid && m_axi_host_bready),
    .violated_o (host_violated)
  );

  axi_rd_mux #(
    .N(MemReaders)
  ) u_mem_read_mux (
    .clk_i,
    .rst_ni,
    .s_ar_i      (mem_ar),
    .s_ar_valid_i(mem_ar_valid),
    .s_ar_ready_o(mem_ar_ready),
    .s_r_o       (mem_r),
    .s_r_valid_o (mem_r_valid),
    .s_r_ready_i (mem_r_ready),
    .m_ar_o      (mem_bus_ar),
    .m_ar_valid_o(mem_bus_ar_valid),
    .m_ar_ready_i(mem_bus_ar_ready),
    .m_r_i       (mem_bus_r),
    .m_r_valid_i (mem_bus_r_valid),
    .m_r_ready_o (mem_bus_r_ready)
  );

  axi_isolate_read u_mem_read_edge (
    .clk_i,
    .rst_ni      (bus_rst_ni),
    .card_rst_ni (rst_ni),
    .all_idle_i  (bus_idle_o),
    .idle_o      (idle[2*1]),
    .open_o      (open[2*1]),
    .s_ar_i      (mem_bus_ar),
    .s_ar_valid_i(mem_bus_ar_valid),
    .s_ar_ready_o(mem_bus_ar_ready),
    .s_r_o       (mem_bus_r),
    .s_r_valid_o (mem_bus_r_valid),
    .s_r_ready_i (mem_bus_r_ready),
    .m_ar_o      (mem_edge_ar),
    .m_ar_valid_o(m_axi_mem_arvalid),
    .m_ar_ready_i(m_axi_mem_arready),
    .m_r_i       ('{id: m_axi_mem_rid, data: m_axi_mem_rdata, resp: m_axi_mem_rresp, last: m_axi_mem_rlast}),
    .m_r_valid_i (m_axi_mem_rvalid),
    .m_r_ready_o (m_axi_mem_rready)
  );

  axi_wr_mux #(
    .N(MemMasters)
  ) u_mem_write_mux (
    .clk_i,
    .rst_ni,
    .s_aw_i      (mem_aw),
    .s_aw_valid_i(mem_aw_valid),
    .s_aw_ready_o(mem_aw_ready),
    .s_w_i       (mem_w),
    .s_w_valid_i (mem_w_valid),
    .s_w_ready_o (mem_w_ready),
    .s_b_o       (mem_b),
    .s_b_valid_o (mem_b_valid),
    .s_b_ready_i (mem_b_ready),
    .m_aw_o      (mem_bus_aw),
    .m_aw_valid_o(mem_bus_aw_valid),
    .m_aw_ready_i(mem_bus_aw_ready),
    .m_w_o       (mem_bus_w),
    .m_w_valid_o (mem_bus_w_valid),
    .m_w_ready_i (mem_bus_w_ready),
    .m_b_i       (mem_bus_b),
    .m_b_valid_i (mem_bus_b_valid),
    .m_b_ready_o (mem_bus_b_ready)
  );

  axi_isolate_write u_mem_write_edge (
    .clk_i,
    .rst_ni      (bus_rst_ni),
    .card_rst_ni (rst_ni),
    .all_idle_i  (bus_idle_o),
    .idle_o      (idle[2*1+1]),
    .open_o      (open[2*1+1]),
    .s_aw_i      (mem_bus_aw),
    .s_aw_valid_i(mem_bus_aw_valid),
    .s_aw_ready_o(mem_bus_aw_ready),
    .s_w_i       (mem_bus_w),
    .s_w_valid_i (mem_bus_w_valid),
    .s_w_ready_o (mem_bus_w_ready),
    .s_b_o       (mem_bus_b),
    .s_b_valid_o (mem_bus_b_valid),
    .s_b_ready_i (mem_bus_b_ready),
    .m_aw_o      (mem_edge_aw),
    .m_aw_valid_o(m_axi_mem_awvalid),
    .m_aw_ready_i(m_axi_mem_awready),
    .m_w_o       (mem_edge_w),
    .m_w_valid_o (m_axi_mem_wvalid),
    .m_w_ready_i (m_axi_mem_wready),
    .m_b_i       ('{id: m_axi_mem_bid, resp: m_axi_mem_bresp}),
    .m_b_valid_i (m_axi_mem_bvalid),
    .m_b_ready_o (m_axi_mem_bready)
  );

  assign {m_axi_mem_arid, m_axi_mem_araddr, m_axi_mem_arlen} = {mem_edge_ar.id, banked(mem_edge_ar.addr), mem_edge_ar.len};
  assign m_axi_mem_arsize = AxiSize;
  assign m_axi_mem_arburst = AxiIncr;
  assign {m_axi_mem_awid, m_axi_mem_awaddr, m_axi_mem_awlen} = {mem_edge_aw.id, banked(mem_edge_aw.addr), mem_edge_aw.len};
  assign m_axi_mem_awsize = AxiSize;
  assign m_axi_mem_awburst = AxiIncr;
  assign {m_axi_mem_wdata, m_axi_mem_wstrb, m_axi_mem_wlast} = mem_edge_w;

  axi_guard u_mem_guard (
    .clk_i,
    .rst_ni     (bus_rst_ni),
    .card_rst_ni(rst_ni),
    .ar_i       (m_axi_mem_arvalid && m_axi_mem_arready),
    .r_last_i   (m_axi_mem_rvalid && m_axi_mem_rready && m_axi_mem_rlast),
    .r_i        (m_axi_mem_rvalid && m_axi_mem_rready),
    .aw_i       (m_axi_mem_awvalid && m_axi_mem_awready),
    .b_i        (m_axi_mem_bvalid && m_axi_mem_bready),
    .violated_o (mem_violated)
  );

  for (genvar l = 0; l < MsmLanes; l++) begin : gen_lane
    axi_ax_t edge_ar;

    axi_isolate_read u_edge (
      .clk_i,
      .rst_ni      (bus_rst_ni),
      .card_rst_ni (rst_ni),
      .all_idle_i  (bus_idle_o),
      .idle_o      (idle[4+l]),
      .open_o      (open[4+l]),
      .s_ar_i      (lane_ar[l]),
      .s_ar_valid_i(lane_ar_valid[l]),
      .s_ar_ready_o(lane_ar_ready[l]),
      .s_r_o       (lane_r[l]),
      .s_r_valid_o (lane_r_valid[l]),
      .s_r_ready_i (lane_r_ready[l]),
      .m_ar_o      (edge_ar),
      .m_ar_valid_o(m_axi_lane_arvalid[l]),
      .m_ar_ready_i(m_axi_lane_arready[l]),
      .m_r_i       ('{id: m_axi_lane_rid[l], data: m_axi_lane_rdata[l], resp: m_axi_lane_rresp[l], last: m_axi_lane_rlast[l]}),
      .m_r_valid_i (m_axi_lane_rvalid[l]),
      .m_r_ready_o (m_axi_lane_rready[l])
    );

    assign {m_axi_lane_arid[l], m_axi_lane_araddr[l], m_axi_lane_arlen[l]} = {edge_ar.id, banked(edge_ar.addr), edge_ar.len};
    assign m_axi_lane_arsize[l] = AxiSize;
    assign m_axi_lane_arburst[l] = AxiIncr;

    axi_guard u_guard (
      .clk_i,
      .rst_ni     (bus_rst_ni),
      .card_rst_ni(rst_ni),
      .ar_i       (m_axi_lane_arvalid[l] && m_axi_lane_arready[l]),
      .r_last_i   (m_axi_lane_rvalid[l] && m_axi_lane_rready[l] && m_axi_lane_rlast[l]),
      .r_i        (m_axi_lane_rvalid[l] && m_axi_lane_rready[l]),
      .aw_i       (1'b0),
      .b_i        (1'b0),
      .violated_o (lane_violated[l])
    );
  end

  assign bus_idle_o = &idle;
  assign buses_open = &open;

  // ---- Counters ----
  card_counters u_counters (
    .clk_i,
    .rst_ni,
    .busy_i        (busy),
    .posted_i      (posted),
    .posted_error_i(posted_error),
    .unit_done_i   (unit_done),
    .unit_result_i (unit_result),
    .host_r_i      (host_bus_r_valid && host_bus_r_ready),
    .host_w_i      (host_bus_w_valid && host_bus_w_ready),
    .host_w_half_i (!(&host_bus_w.strb)),
    .mem_r_beats_i (($clog2(MsmLanes + 2))'($countones({mem_bus_r_valid && mem_bus_r_ready, lane_r_valid & lane_r_ready}))),
    .mem_w_i       (mem_bus_w_valid && mem_bus_w_ready),
    .count_o       (counts)
  );

endmodule
