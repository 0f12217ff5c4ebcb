// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The execution unit of ABORT: waits until the named queue has no fetch under
// way (bounded by the host bus), then tells it to end the named command.
// `detail` is 1 when the queue had it. Used by: queue_engine.
module queue_abort
  import carillon_pkg::*;
  import queue_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Execution unit
  input  logic         start_i,
  input  command_t     command_i,
  input  logic         abort_i,
  output logic         done_o,
  output unit_result_t result_o,

  // To the queues
  output logic [Queues-1:0] ring_abort_o,   // pulse
  output logic [      15:0] ring_cid_o,
  input  logic [Queues-1:0] ring_found_i,
  input  logic [Queues-1:0] ring_settled_i
);

  logic                  busy_q;
  logic           [31:0] cycles_q;

  wire            [15:0] target = command_i.op[0][15:0];
  wire                   exists = target < 16'(Queues);
  wire queue_id_t        queue = queue_id_t'(target);
  wire                   decide = busy_q && (!exists || ring_settled_i[queue]);
  wire                   found = exists && ring_found_i[queue];

  assign ring_cid_o = command_i.op[0][31:16];
  always_comb begin
    ring_abort_o = '0;
    if (exists) ring_abort_o[queue] = decide && !abort_i;
  end

  assign done_o = busy_q && (decide || abort_i);
  always_comb begin
    result_o = '0;
    result_o.status = abort_i ? StAborted : StSuccess;
    result_o.cycles = cycles_q;
    if (!abort_i) result_o.detail = 32'(found);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      busy_q <= 1'b0;
      cycles_q <= '0;
    end else if (start_i) begin
      busy_q <= 1'b1;
      cycles_q <= 32'd1;
    end else begin
      if (done_o) busy_q <= 1'b0;
      if (!(&cycles_q)) cycles_q <= cycles_q + 32'd1;
    end
  end

  wire unused = &{1'b0, command_i};

endmodule
