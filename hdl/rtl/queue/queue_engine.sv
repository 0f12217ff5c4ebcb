// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The queue engine: one queue_ring per queue around the shared fetch, dispatch
// and post, and the ABORT unit. Connects registers, execution units and the host
// bus; raises the interrupts. Used by: carillon_card. See hdl/doc/queue.md.
module queue_engine
  import carillon_pkg::*;
  import queue_pkg::*;
#(
  parameter axi_id_t ReadId  = '0,
  parameter axi_id_t WriteId = '0
) (
  input logic clk_i,
  input logic rst_ni,

  // Registers
  input  logic                 enable_i       [Queues],
  input  queue_config_t        config_i       [Queues],
  input  logic                 sq_tail_valid_i[Queues],
  input  logic          [31:0] sq_tail_i      [Queues],
  input  logic                 cq_head_valid_i[Queues],
  input  logic          [31:0] cq_head_i      [Queues],
  output logic                 active_o       [Queues],
  output queue_error_e         error_o        [Queues],
  output ring_index_t          sq_head_o      [Queues],

  // Execution units; index UnitAbort is unused, that unit is inside
  output logic         unit_start_o  [Units],
  output command_t     unit_command_o[Units],
  output logic         unit_abort_o  [Units],
  input  logic         unit_done_i   [Units],
  input  unit_result_t unit_result_i [Units],
  output logic         busy_o,                 // a unit runs a command

  // For the counters, pulses
  output logic posted_o,
  output logic posted_error_o,

  // Interrupt requests, pulses: one per queue; some queue stopped itself
  output logic [Queues-1:0] irq_o,
  output logic              stopped_o,

  // Something is under way; while clear, only a register access can start anything
  output logic awake_o,

  // Host bus
  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o,
  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);

  // ---- Between the rings and the shared parts ----
  logic [Queues-1:0] fetch_valid, fetch_taken, fetch_done;
  addr_t    fetch_addr    [Queues];
  logic     fetch_failed;
  command_t fetch_command;
  status_t  fetch_status;

  logic [Queues-1:0] run_valid, run_taken, run_abort, run_done;
  command_t     run_command[Queues];
  unit_result_t run_result [Queues];

  logic [Queues-1:0] ring_abort, ring_found, ring_settled;
  logic [15:0] ring_cid;

  logic [Queues-1:0] post_valid, post_taken, post_done, failed, awake;
  addr_t       post_addr      [Queues];
  completion_t post_completion[Queues];
  logic        post_failed;

  for (genvar q = 0; q < Queues; q++) begin : g_ring
    queue_ring #(
      .QueueNumber(16'(q))
    ) u_ring (
      .clk_i,
      .rst_ni,
      .enable_i         (enable_i[q]),
      .config_i         (config_i[q]),
      .sq_tail_valid_i  (sq_tail_valid_i[q]),
      .sq_tail_i        (sq_tail_i[q]),
      .cq_head_valid_i  (cq_head_valid_i[q]),
      .cq_head_i        (cq_head_i[q]),
      .active_o         (active_o[q]),
      .error_o          (error_o[q]),
      .sq_head_o        (sq_head_o[q]),
      .failed_o         (failed[q]),
      .awake_o          (awake[q]),
      .fetch_valid_o    (fetch_valid[q]),
      .fetch_addr_o     (fetch_addr[q]),
      .fetch_taken_i    (fetch_taken[q]),
      .fetch_done_i     (fetch_done[q]),
      .fetch_failed_i   (fetch_failed),
      .fetch_command_i  (fetch_command),
      .fetch_status_i   (fetch_status),
      .run_valid_o      (run_valid[q]),
      .run_command_o    (run_command[q]),
      .run_taken_i      (run_taken[q]),
      .run_abort_o      (run_abort[q]),
      .run_done_i       (run_done[q]),
      .run_result_i     (run_result[q]),
      .abort_i          (ring_abort[q]),
      .abort_cid_i      (ring_cid),
      .abort_found_o    (ring_found[q]),
      .settled_o        (ring_settled[q]),
      .post_valid_o     (post_valid[q]),
      .post_addr_o      (post_addr[q]),
      .post_completion_o(post_completion[q]),
      .post_taken_i     (post_taken[q]),
      .post_done_i      (post_done[q]),
      .post_failed_i    (post_failed)
    );
  end

  queue_fetch #(
    .IdValue(ReadId)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .valid_i  (fetch_valid),
    .addr_i   (fetch_addr),
    .taken_o  (fetch_taken),
    .done_o   (fetch_done),
    .failed_o (fetch_failed),
    .command_o(fetch_command),
    .status_o (fetch_status),
    .ar_o,
    .ar_valid_o,
    .ar_ready_i,
    .r_i,
    .r_valid_i,
    .r_ready_o
  );

  // ---- Units: those outside, and ABORT ----
  logic                     unit_done    [Units];
  unit_result_t             unit_result  [Units];
  logic                     abort_done;
  unit_result_t             abort_result;
  logic         [Units-1:0] unit_busy;

  always_comb begin
    unit_done = unit_done_i;
    unit_result = unit_result_i;
    unit_done[UnitAbort] = abort_done;
    unit_result[UnitAbort] = abort_result;
  end
  assign busy_o = |unit_busy;

  queue_dispatch u_dispatch (
    .clk_i,
    .rst_ni,
    .valid_i       (run_valid),
    .command_i     (run_command),
    .abort_i       (run_abort),
    .taken_o       (run_taken),
    .done_o        (run_done),
    .result_o      (run_result),
    .unit_start_o,
    .unit_command_o,
    .unit_abort_o,
    .unit_done_i   (unit_done),
    .unit_result_i (unit_result),
    .unit_busy_o   (unit_busy)
  );

  queue_abort u_abort (
    .clk_i,
    .rst_ni,
    .start_i       (unit_start_o[UnitAbort]),
    .command_i     (unit_command_o[UnitAbort]),
    .abort_i       (unit_abort_o[UnitAbort]),
    .done_o        (abort_done),
    .result_o      (abort_result),
    .ring_abort_o  (ring_abort),
    .ring_cid_o    (ring_cid),
    .ring_found_i  (ring_found),
    .ring_settled_i(ring_settled)
  );

  queue_post #(
    .IdValue(WriteId)
  ) u_post (
    .clk_i,
    .rst_ni,
    .valid_i     (post_valid),
    .addr_i      (post_addr),
    .completion_i(post_completion),
    .taken_o     (post_taken),
    .done_o      (post_done),
    .failed_o    (post_failed),
    .aw_o,
    .aw_valid_o,
    .aw_ready_i,
    .w_o,
    .w_valid_o,
    .w_ready_i,
    .b_i,
    .b_valid_i,
    .b_ready_o
  );

  // ---- Interrupts and counters ----
  always_comb begin
    posted_error_o = 1'b0;
    for (int q = 0; q < int'(Queues); q++) begin
      if (post_done[q] && post_completion[q].status != StSuccess) posted_error_o = !post_failed;
    end
  end
  assign posted_o = |post_done && !post_failed;
  assign irq_o = post_failed ? '0 : post_done;
  assign stopped_o = |failed;
  assign awake_o = |awake;

endmodule
