// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The execution unit of WRITE, READ and FILL: moves beats between host memory (one
// range, or the ranges of a scatter list) and one range of card memory. Data
// flows through the streams without being stored here. FILL writes beats of one
// word, as fast as card memory takes them.
// Used by: carillon_card. Commands arrive checked (blocks.md, "Execution unit").
module dma_engine
  import carillon_pkg::*;
#(
  parameter axi_id_t HostReadId  = 8'd1,  // data; the list uses the next ID
  parameter axi_id_t HostWriteId = 8'd1
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
  output logic    host_b_ready_o,

  // Card memory
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

  localparam int unsigned BufferLog2 = 6;  // log2 of the beats in flight per stream
  // A bus to the host takes hundreds of cycles to answer; at a beat a cycle as many beats are under way.
  localparam int unsigned HostReadLog2 = 9;
  localparam int unsigned Burst = 16;

  // One entry of a scatter list.
  typedef struct packed {
    logic [63:0] bytes;
    addr_t       addr;
  } entry_t;
  localparam int unsigned EntriesPerBeat = BeatBits / $bits(entry_t);
  localparam int unsigned EntryBits = $clog2(EntriesPerBeat);

  typedef enum logic [2:0] {
    Idle,
    List,     // request the beat of the list that holds the next entries
    Entry,    // take one entry
    Segment,  // start the host stream
    Move,     // until the segment has been moved
    Drain,    // until card memory has answered
    Fail,     // until every stream has let go
    Done
  } state_e;
  state_e                      state_q;

  logic                        to_card_q;  // WRITE, FILL
  logic                        fill_q;
  logic   [              63:0] pattern_q;
  entry_t [EntriesPerBeat-1:0] entries_q;
  logic   [     EntryBits-1:0] index_q;
  addr_t                       list_q;
  addr_t                       addr_q;
  logic [31:0] beats_q, remaining_q;  // of the segment; of the command, that no segment has covered (FILL: still to be written)
  unit_result_t result_q;

  wire          begin_command = state_q == Idle && start_i;
  wire          to_card = begin_command ? cmd_i.opcode != OpRead : to_card_q;
  wire          flush = state_q == Fail;

  // ---- Streams ----
  logic list_busy, list_error, list_valid, list_requested_q;
  beat_t list_data;
  logic host_rd_busy, host_rd_error, host_rd_valid, host_rd_ready;
  beat_t host_rd_data;
  logic host_wr_busy, host_wr_error, host_wr_ready;
  logic mem_rd_busy, mem_rd_error, mem_rd_valid, mem_rd_ready;
  beat_t mem_rd_data;
  logic mem_wr_busy, mem_wr_error, mem_wr_ready;
  wire     fill_valid = fill_q && state_q == Move && remaining_q != '0;
  wire     any_busy = list_busy || host_rd_busy || host_wr_busy || mem_rd_busy || mem_wr_busy;

  axi_ax_t rd_ar                                                                              [2];
  logic rd_ar_valid[2], rd_ar_ready[2], rd_r_valid[2], rd_r_ready[2];
  axi_r_t rd_r[2];

  stream_reader #(
    .IdValue (HostReadId),
    .FifoLog2(HostReadLog2),
    .MaxBurst(Burst)
  ) u_host_reader (
    .clk_i,
    .rst_ni,
    .start_i       (state_q == Segment && to_card_q),
    .addr_i        (addr_q),
    .block_beats_i (beats_q),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (host_rd_busy),
    .error_o       (host_rd_error),
    .valid_o       (host_rd_valid),
    .ready_i       (host_rd_ready),
    .data_o        (host_rd_data),
    .ar_o          (rd_ar[0]),
    .ar_valid_o    (rd_ar_valid[0]),
    .ar_ready_i    (rd_ar_ready[0]),
    .r_i           (rd_r[0]),
    .r_valid_i     (rd_r_valid[0]),
    .r_ready_o     (rd_r_ready[0])
  );

  stream_reader #(
    .IdValue (HostReadId + 8'd1),
    .FifoLog2(1),
    .MaxBurst(1)
  ) u_list_reader (
    .clk_i,
    .rst_ni,
    .start_i       (state_q == List && !list_requested_q),
    .addr_i        (list_q),
    .block_beats_i (32'd1),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (list_busy),
    .error_o       (list_error),
    .valid_o       (list_valid),
    .ready_i       (1'b1),
    .data_o        (list_data),
    .ar_o          (rd_ar[1]),
    .ar_valid_o    (rd_ar_valid[1]),
    .ar_ready_i    (rd_ar_ready[1]),
    .r_i           (rd_r[1]),
    .r_valid_i     (rd_r_valid[1]),
    .r_ready_o     (rd_r_ready[1])
  );

  axi_rd_mux #(
    .N(2)
  ) u_host_read_mux (
    .clk_i,
    .rst_ni,
    .s_ar_i      (rd_ar),
    .s_ar_valid_i(rd_ar_valid),
    .s_ar_ready_o(rd_ar_ready),
    .s_r_o       (rd_r),
    .s_r_valid_o (rd_r_valid),
    .s_r_ready_i (rd_r_ready),
    .m_ar_o      (host_ar_o),
    .m_ar_valid_o(host_ar_valid_o),
    .m_ar_ready_i(host_ar_ready_i),
    .m_r_i       (host_r_i),
    .m_r_valid_i (host_r_valid_i),
    .m_r_ready_o (host_r_ready_o)
  );

  stream_writer #(
    .IdValue (HostWriteId),
    .FifoLog2(BufferLog2 - 1),
    .MaxBurst(Burst)
  ) u_host_writer (
    .clk_i,
    .rst_ni,
    .start_i       (state_q == Segment && !to_card_q),
    .addr_i        (addr_q),
    .block_beats_i (beats_q),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (host_wr_busy),
    .error_o       (host_wr_error),
    .valid_i       (mem_rd_valid),
    .ready_o       (host_wr_ready),
    .data_i        (mem_rd_data),
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

  stream_reader #(
    .IdValue (DmaIdBase),
    .FifoLog2(BufferLog2),
    .MaxBurst(Burst)
  ) u_mem_reader (
    .clk_i,
    .rst_ni,
    .start_i       (begin_command && !to_card),
    .addr_i        (cmd_i.op[1]),
    .block_beats_i (cmd_i.op[2][OffsetBits+:32]),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (mem_rd_busy),
    .error_o       (mem_rd_error),
    .valid_o       (mem_rd_valid),
    .ready_i       (mem_rd_ready),
    .data_o        (mem_rd_data),
    .ar_o          (mem_ar_o),
    .ar_valid_o    (mem_ar_valid_o),
    .ar_ready_i    (mem_ar_ready_i),
    .r_i           (mem_r_i),
    .r_valid_i     (mem_r_valid_i),
    .r_ready_o     (mem_r_ready_o)
  );

  stream_writer #(
    .IdValue (DmaIdBase),
    .FifoLog2(BufferLog2 - 1),
    .MaxBurst(Burst)
  ) u_mem_writer (
    .clk_i,
    .rst_ni,
    .start_i       (begin_command && to_card),
    .addr_i        (cmd_i.op[1]),
    .block_beats_i (cmd_i.op[2][OffsetBits+:32]),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i       (flush),
    .busy_o        (mem_wr_busy),
    .error_o       (mem_wr_error),
    .valid_i       (fill_q ? fill_valid : host_rd_valid),
    .ready_o       (mem_wr_ready),
    .data_i        (fill_q ? {BeatBits / 64{pattern_q}} : host_rd_data),
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

  assign host_rd_ready = mem_wr_ready && !fill_q;
  assign mem_rd_ready = host_wr_ready;
  wire     filled = fill_valid && mem_wr_ready;
  wire     moved = (host_rd_valid && host_rd_ready) || (mem_rd_valid && mem_rd_ready) || filled;

  // ---- Faults: where the data comes from before where it goes ----
  // Errors of a stream that this command does not use are left over from an earlier one.
  logic    segment_started_q;
  status_t fault;
  always_comb begin
    fault = StSuccess;
    if (abort_i) fault = StAborted;
    else if (list_requested_q && list_error) fault = StHostRead;
    else if (to_card_q && state_q != Segment && host_rd_error && segment_started_q) fault = StHostRead;
    else if (!to_card_q && mem_rd_error) fault = StCardRead;
    else if (!to_card_q && state_q != Segment && host_wr_error && segment_started_q) fault = StHostWrite;
    else if (to_card_q && mem_wr_error) fault = StCardWrite;
  end

  // ---- Control ----
  wire entry_t entry = entries_q[index_q];
  wire         entry_bad = entry.bytes == '0 || entry.bytes[OffsetBits-1:0] != '0 || (entry.bytes >> OffsetBits) > 64'(remaining_q);
  wire         entry_misaligned = entry.addr[OffsetBits-1:0] != '0;
  wire         segment_done = !host_rd_busy && !host_wr_busy;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Idle;
      result_q <= '0;
      to_card_q <= 1'b0;
      fill_q <= 1'b0;
      list_requested_q <= 1'b0;
      segment_started_q <= 1'b0;
      index_q <= '0;
      remaining_q <= '0;
    end else begin
      if (state_q != Idle && !(&result_q.cycles)) result_q.cycles <= result_q.cycles + 32'd1;
      if (moved) result_q.ops <= result_q.ops + 32'd1;

      if (state_q inside {List, Entry, Segment, Move, Drain} && fault != StSuccess) begin
        result_q.status <= fault;
        state_q <= Fail;
      end else begin
        unique case (state_q)
          Idle: begin
            if (start_i) begin
              result_q <= '0;
              result_q.cycles <= 32'd1;
              to_card_q <= to_card;
              fill_q <= cmd_i.opcode == OpFill;
              list_requested_q <= 1'b0;
              segment_started_q <= 1'b0;
              index_q <= '0;
              remaining_q <= cmd_i.op[2][OffsetBits+:32];
              if (cmd_i.opcode == OpFill) state_q <= Move;
              else state_q <= (cmd_i.flags & FlagSgl) != '0 ? List : Segment;
            end
          end
          List: begin
            list_requested_q <= 1'b1;
            if (list_valid) state_q <= Entry;
          end
          Entry: begin
            list_requested_q <= 1'b0;
            if (entry_bad) begin
              result_q.status <= StInvalidLength;
              state_q <= Fail;
            end else if (entry_misaligned) begin
              result_q.status <= StMisaligned;
              state_q <= Fail;
            end else begin
              index_q <= index_q + 1'b1;
              state_q <= Segment;
            end
          end
          Segment: begin
            segment_started_q <= 1'b1;
            remaining_q <= remaining_q - beats_q;
            state_q <= Move;
          end
          Move: begin
            if (fill_q) begin
              if (remaining_q == '0) state_q <= Drain;
              else if (filled) remaining_q <= remaining_q - 32'd1;
            end else if (segment_done) begin
              if (remaining_q == '0) state_q <= Drain;
              else state_q <= index_q == '0 ? List : Entry;
            end
          end
          Drain:   if (!any_busy) state_q <= Done;
          Fail:    if (!any_busy) state_q <= Done;
          default: state_q <= Idle;
        endcase
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (begin_command) begin
      pattern_q <= cmd_i.op[0];
      list_q <= cmd_i.op[0];
      addr_q <= cmd_i.op[0];
      beats_q <= cmd_i.op[2][OffsetBits+:32];
    end else if (state_q == List && list_valid) begin
      entries_q <= list_data;
      list_q <= list_q + addr_t'(BeatBytes);
    end else if (state_q == Entry) begin
      addr_q <= entry.addr;
      beats_q <= entry.bytes[OffsetBits+:32];
    end
  end

  assign busy_o = state_q != Idle;
  assign done_o = state_q == Done;
  assign result_o = result_q;

  wire unused = &{1'b0, cmd_i};

endmodule
