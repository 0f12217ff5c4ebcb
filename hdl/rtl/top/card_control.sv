// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Between the generated register block and the rest of the card: identity,
// controller enable and ready, and the queues' registers as arrays.
// Used by: carillon_card.
module card_control
  import carillon_pkg::*;
  import queue_pkg::*;
  import card_pkg::*;
#(
  parameter int unsigned DrainLog2 = 24  // log2 of the cycles that a bus may take to answer what it owes after a reset
) (
  input logic clk_i,
  input logic rst_ni,

  // Register block
  input  card_regs_pkg::card_regs__out_t regs_i,
  output card_regs_pkg::card_regs__in_t  regs_o,

  // Queue engine
  output logic                 enable_o       [Queues],
  output queue_config_t        config_o       [Queues],
  output logic                 sq_tail_valid_o[Queues],
  output logic          [31:0] sq_tail_o      [Queues],
  output logic                 cq_head_valid_o[Queues],
  output logic          [31:0] cq_head_o      [Queues],
  input  logic                 active_i       [Queues],
  input  queue_error_e         error_i        [Queues],
  input  ring_index_t          sq_head_i      [Queues],
  input  logic                 busy_i,

  // The rest
  input  logic    host_violated_i,
  input  logic    mem_violated_i,
  input  logic    buses_open_i,     // every bus has answered what was under way at the card's reset
  output logic    fatal_o,          // sticky
  input  counts_t count_i
);

  // ---- Controller: ready until every queue has stopped ----
  logic enable_q, ready_q, any_active;
  wire enable = regs_i.CTRL.enable.value;
  wire disabling = enable_q && !enable;

  always_comb begin
    any_active = 1'b0;
    for (int q = 0; q < int'(Queues); q++) any_active |= active_i[q];
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      enable_q <= 1'b0;
      ready_q <= 1'b0;
    end else begin
      enable_q <= enable;
      ready_q <= enable || (ready_q && any_active);
    end
  end

  // ---- Fatal: a bus broke its rules, or never answers what it owes from before the reset ----
  logic [DrainLog2:0] drain_q;  // cycles since the reset in which some bus was closed; the top bit stays
  wire                stuck = drain_q[DrainLog2];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) drain_q <= '0;
    else if (!buses_open_i && !stuck) drain_q <= drain_q + 1'b1;
  end
  assign fatal_o = host_violated_i || mem_violated_i || stuck;

  // ---- Queues. A doorbell's value is in its register one cycle after the write. ----
  for (genvar q = 0; q < Queues; q++) begin : g_queue
    logic sq_tail_valid_q, cq_head_valid_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        sq_tail_valid_q <= 1'b0;
        cq_head_valid_q <= 1'b0;
      end else begin
        sq_tail_valid_q <= regs_i.DOORBELL[q].SQ_TAIL.index.swmod;
        cq_head_valid_q <= regs_i.DOORBELL[q].CQ_HEAD.index.swmod;
      end
    end
    assign enable_o[q] = enable && enable_q && regs_i.QUEUE[q].QUEUE_CTRL.enable.value;
    assign config_o[q] = '{
        sq_base: {regs_i.QUEUE[q].SQ_BASE_HI.base.value, regs_i.QUEUE[q].SQ_BASE_LO.base.value, 6'b0},
        cq_base: {regs_i.QUEUE[q].CQ_BASE_HI.base.value, regs_i.QUEUE[q].CQ_BASE_LO.base.value, 6'b0},
        log2_depth: regs_i.QUEUE[q].LOG2_DEPTH.log2_depth.value
    };
    assign sq_tail_valid_o[q] = sq_tail_valid_q;
    assign sq_tail_o[q] = regs_i.DOORBELL[q].SQ_TAIL.index.value;
    assign cq_head_valid_o[q] = cq_head_valid_q;
    assign cq_head_o[q] = regs_i.DOORBELL[q].CQ_HEAD.index.value;

    assign regs_o.QUEUE[q].QUEUE_CTRL.enable.hwclr = disabling;
    assign regs_o.QUEUE[q].QUEUE_STATUS.active.next = active_i[q];
    assign regs_o.QUEUE[q].QUEUE_STATUS.error.next = error_i[q];
    assign regs_o.QUEUE[q].SQ_HEAD.index.next = 16'(sq_head_i[q]);
  end

  // ---- Identity and status ----
  assign {regs_o.RDL_HASH_HI.value.next, regs_o.RDL_HASH_LO.value.next} = card_rdl_pkg::RdlHash;
  assign regs_o.CONFIG.value.next = ConfigId;
  assign regs_o.CAP_QUEUES.io_queues.next = 8'(IoQueues);
  assign regs_o.CAP_QUEUES.max_log2_depth.next = 8'(MaxLog2Depth);
  assign {regs_o.CAP_MEM_HI.value.next, regs_o.CAP_MEM_LO.value.next} = CardMemBytes;
  assign regs_o.CAP_MSM.max_window_bits.next = 8'(MsmMaxWindowBits);
  assign regs_o.CAP_MSM.windows.next = 8'(MsmWindows);
  assign regs_o.CAP_MSM.adders.next = 8'(MsmAdders);
  assign regs_o.CAP_NTT.max_log2n.next = 8'(NttMaxLog2);
  assign regs_o.CAP_NTT.butterflies.next = 8'(NttStages);
  assign regs_o.STATUS.ready.next = ready_q;
  assign regs_o.STATUS.busy.next = busy_i;
  assign regs_o.STATUS.fatal.next = fatal_o;
  assign regs_o.STATUS.fatal_code.next = host_violated_i ? 8'd1 : mem_violated_i ? 8'd2 : stuck ? 8'd3 : 8'd0;

  // ---- Counters ----
  assign {regs_o.COUNT_CYCLES.HI.value.next, regs_o.COUNT_CYCLES.LO.value.next} = count_i[Cycles];
  assign {regs_o.COUNT_BUSY.HI.value.next, regs_o.COUNT_BUSY.LO.value.next} = count_i[Busy];
  assign {regs_o.COUNT_COMMANDS.HI.value.next, regs_o.COUNT_COMMANDS.LO.value.next} = count_i[Commands];
  assign {regs_o.COUNT_ERRORS.HI.value.next, regs_o.COUNT_ERRORS.LO.value.next} = count_i[Errors];
  assign {regs_o.COUNT_MSM_ADDITIONS.HI.value.next, regs_o.COUNT_MSM_ADDITIONS.LO.value.next} = count_i[MsmAdditions];
  assign {regs_o.COUNT_BUBBLE_HAZARD.HI.value.next, regs_o.COUNT_BUBBLE_HAZARD.LO.value.next} = count_i[BubbleHazard];
  assign {regs_o.COUNT_BUBBLE_MEMORY.HI.value.next, regs_o.COUNT_BUBBLE_MEMORY.LO.value.next} = count_i[BubbleMemory];
  assign {regs_o.COUNT_BUBBLE_OTHER.HI.value.next, regs_o.COUNT_BUBBLE_OTHER.LO.value.next} = count_i[BubbleOther];
  assign {regs_o.COUNT_BUTTERFLIES.HI.value.next, regs_o.COUNT_BUTTERFLIES.LO.value.next} = count_i[Butterflies];
  assign {regs_o.COUNT_HOST_READ.HI.value.next, regs_o.COUNT_HOST_READ.LO.value.next} = count_i[HostRead];
  assign {regs_o.COUNT_HOST_WRITTEN.HI.value.next, regs_o.COUNT_HOST_WRITTEN.LO.value.next} = count_i[HostWritten];
  assign {regs_o.COUNT_CARD_READ.HI.value.next, regs_o.COUNT_CARD_READ.LO.value.next} = count_i[CardRead];
  assign {regs_o.COUNT_CARD_WRITTEN.HI.value.next, regs_o.COUNT_CARD_WRITTEN.LO.value.next} = count_i[CardWritten];

endmodule
