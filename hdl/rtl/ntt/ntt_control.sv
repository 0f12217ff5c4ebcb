// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Runs an NTT command as log2n passes over card memory: which buffers, which
// addresses, which layout; waits for the last write response between passes;
// ends the command on success, abort, bad data or bus error. Called by
// ntt_engine; moves no data itself. Passes and layouts: hdl/doc/ntt.md.
module ntt_control
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Execution unit (hdl/doc/blocks.md)
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // Streams: reads and writes of one pass start together
  output logic                  stream_start_o,
  output logic            [3:0] stream_use_o,       // readers 0 and 1, writers 0 and 1
  output stream_request_t       stream_o      [4],
  output logic                  flush_o,
  input  logic                  stream_busy_i,      // any of the four
  input  logic                  read_error_i,
  input  logic                  write_error_i,

  // Datapath
  output logic  start_o,   // first pass of a command
  output log2_t log2n_o,
  output logic  coset_o,
  output pass_t pass_o,
  output logic  stop_o,
  input  logic  busy_i,
  input  logic  issued_i,
  input  logic  bad_i
);
  typedef enum logic [2:0] {
    StateIdle,
    StateStart,   // start the streams of a pass
    StateRun,
    StateDrain,   // something went wrong: let everything under way come to its end
    StateDone
  } state_e;
  state_e state_q;

  // ---- Command and pass ----
  log2_t log2n_q, left_q;  // size; passes left, this one included
  log2_t log2s_q;  // butterfly distance in the strided order
  logic first_q, inverse_q, coset_q, single_q;
  addr_t from_q, destination_q, scratch_q, to;
  logic pass_done;
  logic [31:0] cycles_q, ops_q;
  status_t status_q;

  // Destination and scratch by turns, so that the last pass ends in the destination.
  assign to = left_q[0] ? destination_q : scratch_q;

  log2_t cmd_log2n;
  logic  cmd_inverse;
  assign cmd_log2n   = cmd_i.log2n[Log2Bits-1:0];
  assign cmd_inverse = |(cmd_i.flags & FlagInverse) && (cmd_log2n != '0);

  always_ff @(posedge clk_i) begin
    if (state_q == StateIdle && start_i) begin
      log2n_q       <= cmd_log2n;
      left_q        <= (cmd_log2n == '0) ? log2_t'(1) : cmd_log2n;
      log2s_q       <= (cmd_inverse || cmd_log2n == '0) ? '0 : cmd_log2n - 1'b1;
      first_q       <= 1'b1;
      inverse_q     <= cmd_inverse;
      coset_q       <= |(cmd_i.flags & FlagCoset);
      single_q      <= (cmd_log2n == '0);
      from_q        <= cmd_i.op[0];
      destination_q <= cmd_i.op[1];
      scratch_q     <= cmd_i.op[2];
    end else if (pass_done) begin
      left_q  <= left_q - 1'b1;
      log2s_q <= inverse_q ? log2s_q + 1'b1 : log2s_q - 1'b1;
      first_q <= 1'b0;
      from_q  <= to;
    end
  end

  // ---- States ----
  status_t trouble;
  logic    troubled;

  always_comb begin
    // Data that came with a bus error may look bad: the error comes first.
    if (read_error_i) trouble = StCardRead;
    else if (write_error_i) trouble = StCardWrite;
    else if (bad_i) trouble = StBadScalar;
    else trouble = StAborted;
  end
  assign troubled  = read_error_i || write_error_i || bad_i || abort_i;
  assign pass_done = (state_q == StateRun) && !troubled && !stream_busy_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q  <= StateIdle;
      status_q <= StSuccess;
      cycles_q <= '0;
      ops_q    <= '0;
    end else begin
      if (state_q != StateIdle && cycles_q != '1) cycles_q <= cycles_q + 32'd1;
      if (issued_i && !single_q && ops_q != '1) ops_q <= ops_q + 32'd1;
      unique case (state_q)
        StateIdle: begin
          if (start_i) begin
            state_q  <= StateStart;
            status_q <= StSuccess;
            cycles_q <= 32'd1;
            ops_q    <= '0;
          end
        end
        StateStart: state_q <= StateRun;
        StateRun: begin
          if (troubled) begin
            state_q  <= StateDrain;
            status_q <= trouble;
          end else if (pass_done) begin
            state_q <= (left_q == log2_t'(1)) ? StateDone : StateStart;
          end
        end
        StateDrain: if (!stream_busy_i && !busy_i) state_q <= StateDone;
        StateDone:  state_q <= StateIdle;
        default:    state_q <= StateIdle;
      endcase
    end
  end

  assign busy_o         = (state_q != StateIdle);
  assign done_o         = (state_q == StateDone);
  assign stream_start_o = (state_q == StateStart);
  assign start_o        = stream_start_o && first_q;
  assign flush_o        = (state_q == StateDrain);
  assign stop_o         = flush_o;
  assign log2n_o        = log2n_q;
  assign coset_o        = coset_q;

  always_comb begin
    result_o        = '0;
    result_o.status = status_q;
    result_o.cycles = cycles_q;
    result_o.ops    = ops_q;
  end

  // ---- Layouts and addresses ----
  // The halves i and i + n/2 are read by the inverse and written by the forward;
  // q + 2 s p and q + 2 s p + s are written by the inverse and read by the forward.
  localparam log2_t ElementLog2 = log2_t'($clog2(BeatBytes) - 1);
  layout_e halves_layout, strided_layout;
  stream_request_t halves[2], strided[2];
  addr_t halves_at, strided_at;
  logic [31:0] beats;  // of the whole buffer

  function automatic stream_request_t sequential(addr_t at, logic [31:0] count);
    return '{addr: at, block_beats: count, stride_beats: count, blocks: 32'd1};
  endfunction

  always_comb begin
    halves_at  = inverse_q ? from_q : to;
    strided_at = inverse_q ? to : from_q;
    beats      = single_q ? 32'd1 : 32'd1 << (log2n_q - log2_t'(1));

    // Below four elements both halves are in one beat.
    halves_layout = (log2n_q < log2_t'(2)) ? LayoutPaired : LayoutSplit;
    halves[0]     = sequential(halves_at, (halves_layout == LayoutPaired) ? beats : beats >> 1);
    halves[1]     = sequential(halves_at + (addr_t'(1) << (log2n_q - log2_t'(1) + ElementLog2)), beats >> 1);

    if (log2s_q == '0) strided_layout = LayoutPaired;
    else if (log2s_q - log2_t'(1) <= log2_t'(MergeLog2)) strided_layout = LayoutMerged;
    else strided_layout = LayoutSplit;
    strided[1] = '{
        addr: strided_at + (addr_t'(1) << (log2s_q + ElementLog2)),
        block_beats: 32'd1 << (log2s_q - log2_t'(1)),
        stride_beats: 32'd1 << log2s_q,
        blocks: 32'd1 << (log2n_q - log2_t'(1) - log2s_q)
    };
    strided[0] = strided[1];
    strided[0].addr = strided_at;
    if (strided_layout != LayoutSplit) strided[0] = sequential(strided_at, beats);

    pass_o = '{
      inverse: inverse_q,
      single: single_q,
      log2s: log2s_q,
      read: inverse_q ? halves_layout : strided_layout,
      write: inverse_q ? strided_layout : halves_layout,
      run_log2: run_log2_t'(log2s_q - log2_t'(1))
    };
    for (int unsigned i = 0; i < 2; i++) begin
      stream_o[i]   = inverse_q ? halves[i] : strided[i];
      stream_o[2+i] = inverse_q ? strided[i] : halves[i];
    end
    stream_use_o[0] = 1'b1;
    stream_use_o[1] = (pass_o.read == LayoutSplit);
    stream_use_o[2] = 1'b1;
    stream_use_o[3] = (pass_o.write == LayoutSplit);
  end

  wire unused = &{1'b0, cmd_i.op[6:3], cmd_i.reserved, cmd_i.window_bits, cmd_i.cid, cmd_i.opcode, cmd_i.log2n[7:Log2Bits]};
endmodule
