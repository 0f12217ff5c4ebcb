// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: the queue engine with its arrays packed. Pulses that answer the bus
// or a doorbell within its cycle are shown one cycle later.
// Driven by hdl/tests/tests/queue_engine.rs.
module queue_host
  import carillon_pkg::*;
  import queue_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // One element a queue
  input  logic          [Queues-1:0]       enable_i,
  input  queue_config_t [Queues-1:0]       config_i,
  input  logic          [Queues-1:0]       sq_tail_valid_i,
  input  logic          [Queues-1:0][31:0] sq_tail_i,
  input  logic          [Queues-1:0]       cq_head_valid_i,
  input  logic          [Queues-1:0][31:0] cq_head_i,
  output logic          [Queues-1:0]       active_o,
  output logic          [Queues-1:0][ 7:0] error_o,
  output logic          [Queues-1:0][15:0] sq_head_o,

  // One element a unit
  output logic         [Units-1:0] unit_start_o,
  output command_t     [Units-1:0] unit_command_o,
  output logic         [Units-1:0] unit_abort_o,
  input  logic         [Units-1:0] unit_done_i,
  input  unit_result_t [Units-1:0] unit_result_i,

  output logic              busy_o,
  output logic              awake_o,
  output logic              posted_o,
  output logic              posted_error_o,
  output logic [Queues-1:0] irq_o,
  output logic              stopped_o,

  output axi_ax_t host_ar_o,
  output logic    host_ar_valid_o,
  input  logic    host_ar_ready_i,
  input  axi_r_t  host_r_i,
  input  logic    host_r_valid_i,
  output logic    host_r_ready_o,
  output axi_ax_t host_aw_o,
  output logic    host_aw_valid_o,
  input  logic    host_aw_ready_i,
  output axi_w_t  host_w_o,
  output logic    host_w_valid_o,
  input  logic    host_w_ready_i,
  input  axi_b_t  host_b_i,
  input  logic    host_b_valid_i,
  output logic    host_b_ready_o
);
  logic enable[Queues], sq_tail_valid[Queues], cq_head_valid[Queues], active[Queues];
  logic [31:0] sq_tail[Queues], cq_head[Queues];
  queue_config_t queue_config[Queues];
  queue_error_e  queue_error [Queues];
  ring_index_t   sq_head     [Queues];

  for (genvar q = 0; q < Queues; q++) begin : g_queue
    assign enable[q] = enable_i[q];
    assign queue_config[q] = config_i[q];
    assign sq_tail_valid[q] = sq_tail_valid_i[q];
    assign sq_tail[q] = sq_tail_i[q];
    assign cq_head_valid[q] = cq_head_valid_i[q];
    assign cq_head[q] = cq_head_i[q];
    assign active_o[q] = active[q];
    assign error_o[q] = queue_error[q];
    assign sq_head_o[q] = 16'(sq_head[q]);
  end

  logic unit_start[Units], unit_abort[Units], unit_done[Units];
  command_t     unit_command[Units];
  unit_result_t unit_result [Units];

  for (genvar u = 0; u < Units; u++) begin : g_unit
    assign unit_start_o[u] = unit_start[u];
    assign unit_command_o[u] = unit_command[u];
    assign unit_abort_o[u] = unit_abort[u];
    assign unit_done[u] = unit_done_i[u];
    assign unit_result[u] = unit_result_i[u];
  end

  logic posted, posted_error, stopped;
  logic [Queues-1:0] irq;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {posted_o, posted_error_o, stopped_o, irq_o} <= '0;
    else {posted_o, posted_error_o, stopped_o, irq_o} <= {posted, posted_error, stopped, irq};
  end

  queue_engine u_engine (
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
    .busy_o,
    .posted_o       (posted),
    .posted_error_o (posted_error),
    .irq_o          (irq),
    .stopped_o      (stopped),
    .awake_o,
    .ar_o           (host_ar_o),
    .ar_valid_o     (host_ar_valid_o),
    .ar_ready_i     (host_ar_ready_i),
    .r_i            (host_r_i),
    .r_valid_i      (host_r_valid_i),
    .r_ready_o      (host_r_ready_o),
    .aw_o           (host_aw_o),
    .aw_valid_o     (host_aw_valid_o),
    .aw_ready_i     (host_aw_ready_i),
    .w_o            (host_w_o),
    .w_valid_o      (host_w_valid_o),
    .w_ready_i      (host_w_ready_i),
    .b_i            (host_b_i),
    .b_valid_i      (host_b_valid_i),
    .b_ready_o      (host_b_ready_o)
  );
endmodule
