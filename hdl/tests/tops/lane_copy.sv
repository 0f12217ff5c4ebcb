// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: four stream_readers, each on a read lane of its own, and one
// stream_writer that stores the exclusive or of their beats. Driven by
// hdl/tests/tests/read_lanes.rs.
module lane_copy
  import carillon_pkg::*;
#(
  localparam int unsigned Lanes = 4
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic              start_i,
  input  addr_t [Lanes-1:0] source_i,
  input  addr_t             destination_i,
  input  logic  [     31:0] beats_i,
  output logic              busy_o,
  output logic  [Lanes-1:0] read_error_o,

  output axi_ax_t [Lanes-1:0] lane_ar_o,
  output logic    [Lanes-1:0] lane_ar_valid_o,
  input  logic    [Lanes-1:0] lane_ar_ready_i,
  input  axi_r_t  [Lanes-1:0] lane_r_i,
  input  logic    [Lanes-1:0] lane_r_valid_i,
  output logic    [Lanes-1:0] lane_r_ready_o,

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
  beat_t [Lanes-1:0] data;
  logic [Lanes-1:0] valid, reading;
  logic writing, ready;
  beat_t sum;

  assign busy_o = writing || reading != '0;

  always_comb begin
    sum = '0;
    for (int unsigned i = 0; i < Lanes; i++) sum ^= data[i];
  end

  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    stream_reader #(
      .IdValue (axi_id_t'(i)),
      .FifoLog2(6),
      .MaxBurst(16)
    ) u_reader (
      .clk_i,
      .rst_ni,
      .start_i,
      .addr_i        (source_i[i]),
      .block_beats_i (beats_i),
      .stride_beats_i(beats_i),
      .blocks_i      (32'd1),
      .flush_i       (1'b0),
      .busy_o        (reading[i]),
      .error_o       (read_error_o[i]),
      .valid_o       (valid[i]),
      .ready_i       (ready && valid == '1),
      .data_o        (data[i]),
      .ar_o          (lane_ar_o[i]),
      .ar_valid_o    (lane_ar_valid_o[i]),
      .ar_ready_i    (lane_ar_ready_i[i]),
      .r_i           (lane_r_i[i]),
      .r_valid_i     (lane_r_valid_i[i]),
      .r_ready_o     (lane_r_ready_o[i])
    );
  end

  stream_writer #(
    .IdValue (8'd0),
    .FifoLog2(5),
    .MaxBurst(16)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i        (destination_i),
    .block_beats_i (beats_i),
    .stride_beats_i(beats_i),
    .blocks_i      (32'd1),
    .flush_i       (1'b0),
    .busy_o        (writing),
    .error_o       (),
    .valid_i       (valid == '1),
    .ready_o       (ready),
    .data_i        (sum),
    .aw_o          (mem_aw_o),
    .aw_valid_o    (mem_aw_valid_o),
    .aw_ready_i    (mem_aw_ready_i),
    .w_o           (mem_w_o),
    .w_valid_o     (mem_w_valid_o),
    .w_ready_i     (mem_w_ready_i),
    .b_i           (mem_b_i),
    .b_valid_i     (mem_b_valid_i),
    .b_ready_o     (mem_b_ready_o)
  );

endmodule
