// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Gives execution units to commands: one command a unit at a time, queues
// round-robin, so different queues overlap as long as they use different units.
// Used by: queue_engine.
module queue_dispatch
  import carillon_pkg::*;
  import queue_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // From the queues
  input  logic         [Queues-1:0] valid_i,
  input  command_t                  command_i[Queues],
  input  logic         [Queues-1:0] abort_i,            // level
  output logic         [Queues-1:0] taken_o,
  output logic         [Queues-1:0] done_o,             // pulse
  output unit_result_t              result_o [Queues],

  // To the units (blocks.md, "Execution unit")
  output logic                     unit_start_o  [Units],
  output command_t                 unit_command_o[Units],
  output logic                     unit_abort_o  [Units],
  input  logic                     unit_done_i   [Units],
  input  unit_result_t             unit_result_i [Units],
  output logic         [Units-1:0] unit_busy_o
);

  logic [Units-1:0] busy_q, start_q;
  queue_id_t              owner_q  [ Units];
  command_t               command_q[ Units];

  // ---- Who may start: the unit is free ----
  unit_e                  unit     [Queues];
  logic      [Queues-1:0] request;
  logic                   any;
  queue_id_t              turn;

  always_comb begin
    for (int q = 0; q < int'(Queues); q++) begin
      unit[q] = unit_of(command_i[q].opcode);
      request[q] = valid_i[q] && !busy_q[unit[q]];
    end
  end

  rr_arbiter #(
    .N(Queues)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .request_i(request),
    .take_i   (1'b1),
    .valid_o  (any),
    .index_o  (turn)
  );

  always_comb begin
    taken_o = '0;
    taken_o[turn] = any;
  end

  // ---- Who runs ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      busy_q <= '0;
      start_q <= '0;
      for (int u = 0; u < int'(Units); u++) owner_q[u] <= '0;
    end else begin
      start_q <= '0;
      for (int u = 0; u < int'(Units); u++) begin
        if (unit_done_i[u]) busy_q[u] <= 1'b0;
      end
      if (any) begin
        busy_q[unit[turn]] <= 1'b1;
        start_q[unit[turn]] <= 1'b1;
        owner_q[unit[turn]] <= turn;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (any) command_q[unit[turn]] <= command_i[turn];
  end

  assign unit_busy_o = busy_q;
  assign unit_command_o = command_q;
  always_comb begin
    done_o = '0;
    for (int q = 0; q < int'(Queues); q++) result_o[q] = '0;
    for (int u = 0; u < int'(Units); u++) begin
      unit_start_o[u] = start_q[u];
      // Not in the cycle of the start: a unit takes the start first.
      unit_abort_o[u] = busy_q[u] && !start_q[u] && abort_i[owner_q[u]];
      if (unit_done_i[u]) begin
        done_o[owner_q[u]] = 1'b1;
        result_o[owner_q[u]] = unit_result_i[u];
      end
    end
  end

endmodule
