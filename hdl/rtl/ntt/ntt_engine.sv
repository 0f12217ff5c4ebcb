// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Execution unit of the NTT command: a number-theoretic transform over Fr in
// card memory, natural order in and out, two elements a cycle and pass. Connects
// control, source, cascade and sink; see hdl/doc/ntt.md. Started by queue_engine
// through carillon_card.
module ntt_engine
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter axi_id_t     IdBase       = 8'h30,  // one read and one write ID
  parameter int unsigned ReadFifoLog2 = 7,      // log2 of the beats in flight: covers the memory's latency
  parameter int unsigned PlacesLog2   = 9,      // log2 of the beats at the end: more than the pipelines hold
  parameter int unsigned MaxBurst     = 16      // beats
) (
  input logic clk_i,
  input logic rst_ni,

  // Execution unit (hdl/doc/blocks.md)
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // AXI4 master to card memory
  output axi_ax_t mem_ar_o,
  output logic    mem_ar_valid_o,
  input  logic    mem_ar_ready_i,
  input  axi_r_t  mem_r_i,
  input  logic    mem_r_valid_i,
  output logic    mem_r_ready_o,
  output axi_ax_t mem_aw_o,
  output logic    mem_aw_valid_o,
  input  logic    mem_aw_ready_i,
  output axi_w_t  mem_w_o,
  output logic    mem_w_valid_o,
  input  logic    mem_w_ready_i,
  input  axi_b_t  mem_b_i,
  input  logic    mem_b_valid_i,
  output logic    mem_b_ready_o
);
  if (NttMaxLog2 > 3 * NttStages || NttMaxLog2 > 31) begin : gen_bad_size
    $error("three passes reach 3 NttStages, and a root of twice the order has to exist");
  end

  pass_t pass;
  addr_t from, to;
  logic start, running, stop, reading, writing, read_error, write_error, bad;
  logic cascade_filling, factor_filling;
  logic read_valid, read_ready, fed_valid, transformed_valid, result_valid, left;
  beat_t read_beat;
  pair_t fed, transformed, result;

  ntt_control u_control (
    .clk_i,
    .rst_ni,
    .start_i,
    .cmd_i,
    .abort_i,
    .busy_o,
    .done_o,
    .result_o,
    .start_o      (start),
    .running_o    (running),
    .pass_o       (pass),
    .from_o       (from),
    .to_o         (to),
    .stop_o       (stop),
    .moving_i     (reading || writing),
    .filling_i    (cascade_filling || factor_filling),
    .computed_i   (transformed_valid),
    .read_error_i (read_error),
    .write_error_i(write_error),
    .bad_i        (bad)
  );

  ntt_source #(
    .IdValue (IdBase),
    .FifoLog2(ReadFifoLog2)
  ) u_source (
    .clk_i,
    .rst_ni,
    .start_i   (start),
    .pass_i    (pass),
    .addr_i    (from),
    .flush_i   (stop),
    .busy_o    (reading),
    .error_o   (read_error),
    .valid_o   (read_valid),
    .ready_i   (read_ready),
    .beat_o    (read_beat),
    .ar_o      (mem_ar_o),
    .ar_valid_o(mem_ar_valid_o),
    .ar_ready_i(mem_ar_ready_i),
    .r_i       (mem_r_i),
    .r_valid_i (mem_r_valid_i),
    .r_ready_o (mem_r_ready_o)
  );

  ntt_feed #(
    .PlacesLog2(PlacesLog2)
  ) u_feed (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .stop_i (stop),
    .open_i (running && !cascade_filling && !factor_filling),
    .pass_i (pass),
    .bad_o  (bad),
    .valid_i(read_valid),
    .ready_o(read_ready),
    .beat_i (read_beat),
    .valid_o(fed_valid),
    .pair_o (fed),
    .left_i (left)
  );

  ntt_cascade u_cascade (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .stop_i (stop),
    .pass_i (pass),
    .busy_o (cascade_filling),
    .valid_i(fed_valid),
    .pair_i (fed),
    .valid_o(transformed_valid),
    .pair_o (transformed)
  );

  ntt_factor u_factor (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .stop_i (stop),
    .pass_i (pass),
    .busy_o (factor_filling),
    .valid_i(transformed_valid),
    .pair_i (transformed),
    .valid_o(result_valid),
    .pair_o (result)
  );

  ntt_sink #(
    .IdValue   (IdBase),
    .PlacesLog2(PlacesLog2),
    .MaxBurst  (MaxBurst)
  ) u_sink (
    .clk_i,
    .rst_ni,
    .start_i   (start),
    .pass_i    (pass),
    .addr_i    (to),
    .flush_i   (stop),
    .busy_o    (writing),
    .error_o   (write_error),
    .valid_i   (result_valid && !stop),
    .pair_i    (result),
    .left_o    (left),
    .aw_o      (mem_aw_o),
    .aw_valid_o(mem_aw_valid_o),
    .aw_ready_i(mem_aw_ready_i),
    .w_o       (mem_w_o),
    .w_valid_o (mem_w_valid_o),
    .w_ready_i (mem_w_ready_i),
    .b_i       (mem_b_i),
    .b_valid_i (mem_b_valid_i),
    .b_ready_o (mem_b_ready_o)
  );
endmodule
