// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The execution unit of IDENTIFY: writes the identity page (contract.md) to
// host memory. Everything in it is a constant of the build.
// Used by: carillon_card.
module identify_unit
  import carillon_pkg::*;
#(
  parameter axi_id_t HostWriteId = '0
) (
  input logic clk_i,
  input logic rst_ni,

  // Execution unit
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // Host memory
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

  localparam int unsigned PageBeats = 4096 / BeatBytes;
  localparam logic [31:0] ContractVersion = 32'd1;

  // The first beat, least significant first.
  typedef struct packed {
    logic [191:0] zero;
    logic [7:0]   features;             // bit 0 MSM_G2, 1 FILL, 2 LINK
    logic [7:0]   butterflies;
    logic [7:0]   ntt_max_log2n;
    logic [7:0]   msm_adders;
    logic [7:0]   msm_windows;
    logic [7:0]   msm_max_window_bits;
    logic [7:0]   max_log2_depth;
    logic [7:0]   io_queues;
    logic [63:0]  memory_bytes;
    logic [63:0]  rdl_hash;
    logic [31:0]  config_id;
    logic [31:0]  version;
    logic [63:0]  name;
  } identity_t;
  localparam identity_t Identity = '{
    zero: '0,
    features: 8'b111,
    butterflies: 8'(NttStages),
    ntt_max_log2n: 8'(NttMaxLog2),
    msm_adders: 8'(MsmAdders),
    msm_windows: 8'(MsmWindows),
    msm_max_window_bits: 8'(MsmMaxWindowBits),
    max_log2_depth: 8'(MaxLog2Depth),
    io_queues: 8'(IoQueues),
    memory_bytes: CardMemBytes,
    rdl_hash: card_rdl_pkg::RdlHash,
    config_id: ConfigId,
    version: ContractVersion,
    name: {"N", "O", "L", "L", "I", "R", "A", "C"}
  };

  // The second beat: the window size that an MSM of n elements uses, by floor(log2(n)); the third: in G2.
  typedef logic [BeatBytes-1:0][7:0] bytes_t;
  localparam int unsigned FullBit = 7;
  function automatic bytes_t choices(bit g2);
    for (int unsigned f = 0; f < 2; f++) begin
      for (int unsigned l = 0; l < msm_pkg::CountBits; l++) begin
        choices[f*msm_pkg::CountBits+l] = 8'(msm_cost_pkg::Choices[{g2, f[0]}][l].bits);
        choices[f*msm_pkg::CountBits+l][FullBit] = msm_cost_pkg::Choices[{g2, f[0]}][l].full;
      end
    end
  endfunction
  localparam bytes_t [2:0] Beats = {choices(1'b1), choices(1'b0), bytes_t'(Identity)};

  typedef enum logic [1:0] {
    Idle,
    Write,
    Done
  } state_e;
  state_e        state_q;
  logic   [ 1:0] beat_q;  // up to the first one of zeros
  logic          aborted_q;
  logic   [31:0] cycles_q;
  logic writer_busy, writer_error, writer_ready;
  wire start = state_q == Idle && start_i;

  stream_writer #(
    .IdValue (HostWriteId),
    .FifoLog2(4),
    .MaxBurst(8)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .start_i       (start),
    .addr_i        (cmd_i.op[0]),
    .block_beats_i (32'(PageBeats)),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (abort_i || aborted_q),
    .busy_o        (writer_busy),
    .error_o       (writer_error),
    .valid_i       (state_q == Write),
    .ready_o       (writer_ready),
    .data_i        ((beat_q == 2'd3) ? '0 : beat_t'(Beats[beat_q])),
    .aw_o          (host_aw_o),
    .aw_valid_o    (host_aw_valid_o),
    .aw_ready_i    (host_aw_ready_i),
    .w_o           (host_w_o),
    .w_valid_o     (host_w_valid_o),
    .w_ready_i     (host_w_ready_i),
    .b_i           (host_b_i),
    .b_valid_i     (host_b_valid_i),
    .b_ready_o     (host_b_ready_o)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Idle;
      beat_q <= '0;
      aborted_q <= 1'b0;
      cycles_q <= '0;
    end else begin
      if (!(&cycles_q)) cycles_q <= cycles_q + 32'd1;
      if (start) begin
        state_q <= Write;
        beat_q <= '0;
        aborted_q <= 1'b0;
        cycles_q <= 32'd1;
      end else begin
        if (writer_ready && beat_q != 2'd3) beat_q <= beat_q + 2'd1;
        if (state_q == Write && abort_i) aborted_q <= 1'b1;
        if (state_q == Write && !writer_busy) state_q <= Done;
        if (state_q == Done) state_q <= Idle;
      end
    end
  end

  assign busy_o = state_q != Idle;
  assign done_o = state_q == Done;
  always_comb begin
    result_o = '0;
    if (aborted_q) result_o.status = StAborted;
    else if (writer_error) result_o.status = StHostWrite;
    result_o.cycles = cycles_q;
  end

  wire unused = &{1'b0, cmd_i};

endmodule
