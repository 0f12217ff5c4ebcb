// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Runs an NTT command as one to three passes over card memory: sizes, strides and
// buffers of each; fills the tables before a pass, waits for its last write
// response after it; ends the command on success, abort, bad data or bus error.
// Called by ntt_engine; moves no data itself. Passes: hdl/doc/ntt.md.
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

  // Passes
  output logic  start_o,        // a pass begins
  output pass_t pass_o,         // constant from there on
  output logic  running_o,      // and it has begun
  output addr_t from_o,
  output addr_t to_o,
  output logic  stop_o,         // level: end what is under way
  input  logic  moving_i,       // source or sink is busy
  input  logic  filling_i,      // tables are being filled
  input  logic  computed_i,     // a beat has left the cascade: one butterfly of each stage
  input  logic  read_error_i,
  input  logic  write_error_i,
  input  logic  bad_i
);
  typedef enum logic [2:0] {
    StateIdle,
    StatePlan,   // sizes and strides of the next pass
    StateStart,
    StateRun,
    StateDrain,  // something went wrong: let everything under way come to its end
    StateDone
  } state_e;
  state_e state_q;

  // More cycles than anything stays in a pipeline that takes nothing new.
  localparam int unsigned DrainCycles = 64;
  localparam log2_t Stages = log2_t'(NttStages);

  // ---- Command ----
  pass_t pass_q, plan;
  log2_t remaining_q, done_q;  // of log2n, the next pass included; of the passes before
  log2_t first_rows_q;
  addr_t from_q, destination_q, scratch_q;
  logic even_q;  // after this pass an odd number of passes is to come
  logic [31:0] cycles_q, ops_q;
  logic    [$clog2(DrainCycles):0] drain_q;
  status_t                         status_q;
  log2_t log2n, passes, rows;

  // Passes of a transform, and rows of the next one: as even as can be, the larger first.
  function automatic log2_t passes_of(log2_t size);
    if (size < log2_t'(2)) return log2_t'(1);
    return (size <= Stages + Stages) ? log2_t'(2) : log2_t'(3);
  endfunction

  log2_t left_q;  // passes to come
  always_comb begin
    unique case (left_q)
      log2_t'(3): rows = log2_t'((32'(remaining_q) + 32'd2) / 32'd3);
      log2_t'(2): rows = log2_t'((32'(remaining_q) + 32'd1) / 32'd2);
      default:    rows = remaining_q;
    endcase
  end

  // ---- Plan of a pass ----
  log2_t rest, columns;
  always_comb begin
    rest    = remaining_q - rows;
    // Of the first transform's rows and the last one's, the smaller number can stand side by side everywhere.
    columns = (done_q == '0) ? smallest(rows, last_rows(rest, left_q)) : pass_q.columns;
    plan    = pass_q;
    plan.first = left_q != log2_t'(1) && done_q == '0;
    plan.last = left_q == log2_t'(1);
    plan.remaining = remaining_q;
    plan.done = done_q;
    plan.rows = rows;
    plan.columns = columns;
    // What is not named is 0, as the command left it: the only pass (one beat), the outer loop of the first.
    if (plan.first) begin
      // Columns of the whole vector; 2^columns rows and columns are written as one block, which lies as a run of row numbers.
      plan.inner       = rest - columns;
      plan.read_inner  = columns;
      plan.read_row    = rest;
      plan.write_inner = columns + columns;
      plan.write_row   = rest + columns;
    end else if (!plan.last) begin
      // Groups of first rows (outer), transforms of a stride (inner); in and out lie alike.
      plan.outer       = first_rows_q - columns;
      plan.inner       = rest;
      plan.read_outer  = remaining_q + columns;
      plan.read_inner  = columns;
      plan.read_row    = rest + columns;
      plan.write_outer = plan.read_outer;
      plan.write_inner = plan.read_inner;
      plan.write_row   = plan.read_row;
    end else if (done_q != '0) begin
      // Groups of first rows (outer), rows of the pass between (inner); the result in natural order.
      plan.outer       = first_rows_q - columns;
      plan.inner       = done_q - first_rows_q;
      plan.read_outer  = pass_q.log2n - first_rows_q + columns;
      plan.read_inner  = remaining_q + columns;
      plan.read_row    = columns;
      plan.write_outer = columns;
      plan.write_inner = first_rows_q;
      plan.write_row   = done_q;
    end
  end

  function automatic log2_t smallest(log2_t a, log2_t b);
    smallest = (a < b) ? a : b;
    if (smallest > log2_t'(ColumnsLog2)) smallest = log2_t'(ColumnsLog2);
  endfunction
  // Rows of the last pass, when `rest` is left after the first of `left`: never more than any pass before has.
  function automatic log2_t last_rows(log2_t rest_, log2_t left);
    return (left == log2_t'(3)) ? rest_ >> 1 : rest_;
  endfunction

  // ---- States ----
  status_t trouble;
  logic troubled, pass_done;

  always_comb begin
    // Data that came with a bus error may look bad: the error comes first.
    if (read_error_i) trouble = StCardRead;
    else if (write_error_i) trouble = StCardWrite;
    else if (bad_i) trouble = StBadScalar;
    else trouble = StAborted;
  end
  assign troubled  = read_error_i || write_error_i || bad_i || abort_i;
  assign pass_done = (state_q == StateRun) && !troubled && !moving_i;
  assign log2n     = cmd_i.log2n[Log2Bits-1:0];
  assign passes    = passes_of(log2n);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q  <= StateIdle;
      status_q <= StSuccess;
      cycles_q <= '0;
      ops_q    <= '0;
      drain_q  <= '0;
    end else begin
      if (state_q != StateIdle && cycles_q != '1) cycles_q <= cycles_q + 32'd1;
      if (computed_i) ops_q <= (ops_q > 32'hffff_ff00) ? '1 : ops_q + 32'(pass_q.rows);
      unique case (state_q)
        StateIdle: begin
          if (start_i) begin
            state_q  <= StatePlan;
            status_q <= StSuccess;
            cycles_q <= 32'd1;
            ops_q    <= '0;
          end
        end
        StatePlan:  state_q <= StateStart;
        StateStart: state_q <= StateRun;
        StateRun: begin
          if (troubled) begin
            state_q  <= StateDrain;
            status_q <= trouble;
            drain_q  <= '0;
          end else if (pass_done) begin
            state_q <= pass_q.last ? StateDone : StatePlan;
          end
        end
        StateDrain: begin
          if (!drain_q[$clog2(DrainCycles)]) drain_q <= drain_q + 1'b1;
          else if (!moving_i && !filling_i) state_q <= StateDone;
        end
        StateDone:  state_q <= StateIdle;
        default:    state_q <= StateIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StateIdle && start_i) begin
      pass_q         <= '0;
      pass_q.inverse <= |(cmd_i.flags & FlagInverse);
      pass_q.coset   <= |(cmd_i.flags & FlagCoset);
      pass_q.odd     <= |(cmd_i.flags & FlagOdd);
      pass_q.log2n   <= log2n;
      left_q         <= passes;
      remaining_q    <= log2n;
      done_q         <= '0;
      even_q         <= !passes[0];
      from_q         <= cmd_i.op[0];
      destination_q  <= cmd_i.op[1];
      scratch_q      <= cmd_i.op[2];
    end else if (state_q == StatePlan) begin
      pass_q <= plan;
      if (done_q == '0) first_rows_q <= rows;
    end else if (pass_done) begin
      left_q      <= left_q - 1'b1;
      remaining_q <= remaining_q - pass_q.rows;
      done_q      <= done_q + pass_q.rows;
      even_q      <= !even_q;
      from_q      <= to_o;
    end
  end

  assign busy_o  = (state_q != StateIdle);
  assign done_o  = (state_q == StateDone);
  assign start_o = (state_q == StateStart);
  assign running_o = (state_q == StateRun);
  assign stop_o  = (state_q == StateDrain);
  assign pass_o  = pass_q;
  assign from_o  = from_q;
  // Destination and scratch by turns, so that the last pass ends in the destination.
  assign to_o    = even_q ? scratch_q : destination_q;

  always_comb begin
    result_o        = '0;
    result_o.status = status_q;
    result_o.cycles = cycles_q;
    result_o.ops    = ops_q;
  end

  wire unused = &{1'b0, cmd_i.op[6:3], cmd_i.reserved, cmd_i.window_bits, cmd_i.cid, cmd_i.opcode, cmd_i.log2n[7:Log2Bits]};
endmodule
