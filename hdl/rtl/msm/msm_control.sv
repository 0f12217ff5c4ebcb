// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Runs an MSM: chooses the window size, walks over the groups of windows from the
// highest to the lowest (stream, aggregate, hand over), writes the result, and
// brings the unit to rest when something goes wrong. Used by: msm_engine.
module msm_control
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic          start_i,
  input  count_t        count_i,        // elements, held
  input  logic    [7:0] window_bits_i,  // as commanded; 0 lets the card choose; held
  input  logic          abort_i,
  output logic          busy_o,
  output logic          done_o,
  output status_t       status_o,       // with done_o
  output count_t        bad_index_o,    // with StBadScalar and StBadPoint
  output logic          begin_o,        // pulse: a run begins

  // Geometry of the run and of the group
  output window_bits_t window_bits_o,
  output bit_pos_t     pos_o,
  output win_mask_t    mask_o,
  output win_t         last_win_o,     // the group's highest window
  output logic         learn_o,
  input  logic         touched_i,

  // Bucket phase
  output logic    flush_o,         // level: everything drops what it has
  output logic    pass_start_o,    // pulse: stream all pairs
  output logic    phase_o,
  input  logic    fetch_busy_i,
  input  logic    fetch_error_i,
  input  logic    recoder_busy_i,
  input  logic    all_in_i,
  input  logic    empty_i,
  input  logic    bad_scalar_i,
  input  logic    bad_point_i,
  input  count_t  bad_index_i,
  input  logic    buckets_idle_i,
  input  logic    idle_i,
  input  logic    fault_i,         // the adder and the scheduler disagree
  output logic    clear_o,
  output bucket_t clear_bucket_o,

  // Aggregation and combination
  output logic      aggregate_start_o,
  input  logic      aggregate_done_i,
  input  logic      combine_free_i,
  output logic      group_valid_o,
  output win_mask_t group_mask_o,
  output logic      group_last_o,
  input  logic      combine_done_i,

  // Result
  output logic total_read_o,
  output logic write_start_o,
  input  logic write_busy_i,
  input  logic write_error_i
);

  typedef enum logic [3:0] {
    StIdle,
    StSetup,      // geometry of the run
    StClear,      // mark all buckets empty, after reset and after a failure
    StGroup,      // a group: does it need a pass?
    StStream,     // bucket phase
    StAggregate,
    StHand,       // to the combination; next group
    StCombine,    // wait for the total
    StRead,
    StWrite,
    StWait,       // for the write's response
    StDrain,      // after a failure
    StDone
  } state_e;

  state_e        state_q;
  logic          dirty_q;  // buckets may hold sums of a run that failed
  logic          first_q;  // first pass of the run
  logic          skip_q;  // no scalar has a digit in this group
  window_bits_t  bits_q;
  window_index_t first_window_q;
  bit_pos_t      pos_q;
  win_t          last_win_q;  // the group's highest window
  bucket_t       clear_q;
  status_t       status_q;
  count_t        bad_index_q;

  // ---- Window size ----
  window_bits_t  chosen;
  always_comb begin
    chosen = WindowChoice[0];
    for (int unsigned l = 0; l < CountBits; l++) begin
      if (count_i[l]) chosen = WindowChoice[l];
    end
    if (window_bits_i != '0) begin
      if (window_bits_i < 8'(MsmMinWindowBits)) chosen = window_bits_t'(MsmMinWindowBits);
      else if (window_bits_i > 8'(MsmMaxWindowBits)) chosen = window_bits_t'(MsmMaxWindowBits);
      else chosen = window_bits_t'(window_bits_i);
    end
  end

  // ---- Geometry: the topmost group takes what is left over ----
  win_mask_t mask;
  always_comb begin
    for (int unsigned w = 0; w < MsmWindows; w++) mask[w] = win_t'(w) <= last_win_q;
  end
  wire     last_group = first_window_q == '0;

  // ---- Failures, the graver first ----
  wire     running = state_q != StIdle && state_q != StDrain && state_q != StDone;
  logic    fail;
  status_t fail_status;
  always_comb begin
    fail = running;
    fail_status = StInternal;
    if (abort_i) fail_status = StAborted;
    else if (fault_i) fail_status = StInternal;
    else if (fetch_error_i && state_q == StStream) fail_status = StCardRead;
    else if (bad_scalar_i && state_q == StStream) fail_status = StBadScalar;
    else if (bad_point_i && state_q == StStream) fail_status = StBadPoint;
    else if (write_error_i && state_q == StWait && !write_busy_i) fail_status = StCardWrite;
    else fail = 1'b0;
  end

  // ---- Steps ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      dirty_q <= 1'b1;
      first_q <= 1'b0;
      skip_q <= 1'b0;
      bits_q <= window_bits_t'(MsmMinWindowBits);
      first_window_q <= '0;
      pos_q <= '0;
      last_win_q <= '0;
      clear_q <= '0;
      status_q <= StSuccess;
      bad_index_q <= '0;
    end else if (fail) begin
      state_q <= StDrain;
      dirty_q <= 1'b1;
      status_q <= fail_status;
      bad_index_q <= bad_index_i;
    end else begin
      unique case (state_q)
        StIdle: begin
          status_q <= StSuccess;
          first_q <= 1'b1;
          bits_q <= chosen;
          if (start_i) state_q <= StSetup;
        end
        StSetup: begin
          first_window_q <= Geometry[bits_q].top_first;
          pos_q <= Geometry[bits_q].top_pos;
          last_win_q <= Geometry[bits_q].top_last;
          clear_q <= '0;
          state_q <= dirty_q ? StClear : StGroup;
        end
        StClear: begin
          clear_q <= clear_q + 1'b1;
          if (&clear_q) begin
            dirty_q <= 1'b0;
            state_q <= StGroup;
          end
        end
        StGroup: begin
          skip_q <= !first_q && !touched_i;
          state_q <= (first_q || touched_i) ? StStream : StHand;
        end
        StStream: begin
          if (all_in_i && empty_i && buckets_idle_i && !fetch_busy_i) begin
            first_q <= 1'b0;
            skip_q <= !touched_i;
            state_q <= touched_i ? StAggregate : StHand;
          end
        end
        StAggregate: if (aggregate_done_i) state_q <= StHand;
        StHand: begin
          if (combine_free_i) begin
            first_window_q <= first_window_q - window_index_t'(MsmWindows);
            pos_q <= pos_q - bit_pos_t'(MsmWindows) * bit_pos_t'(bits_q);
            last_win_q <= win_t'(MsmWindows - 1);
            state_q <= last_group ? StCombine : StGroup;
          end
        end
        StCombine:   if (combine_done_i) state_q <= StRead;
        StRead:      if (idle_i) state_q <= StWrite;
        StWrite:     state_q <= StWait;
        StWait:      if (!write_busy_i) state_q <= StDone;
        StDrain:     if (!fetch_busy_i && !recoder_busy_i && idle_i && !write_busy_i) state_q <= StDone;
        default:     state_q <= StIdle;
      endcase
    end
  end

  assign busy_o = state_q != StIdle;
  assign done_o = state_q == StDone;
  assign status_o = status_q;
  assign bad_index_o = bad_index_q;
  assign begin_o = state_q == StIdle && start_i;

  assign window_bits_o = bits_q;
  assign pos_o = pos_q;
  assign mask_o = mask;
  assign last_win_o = last_win_q;
  assign learn_o = first_q;

  assign flush_o = state_q == StDrain;
  assign pass_start_o = state_q == StGroup && (first_q || touched_i);
  assign phase_o = state_q == StStream;
  assign clear_o = state_q == StClear;
  assign clear_bucket_o = clear_q;

  // Once per group: the state before was StStream.
  assign aggregate_start_o = state_q == StStream && all_in_i && empty_i && buckets_idle_i && !fetch_busy_i && touched_i;
  assign group_valid_o = state_q == StHand && combine_free_i;
  assign group_mask_o = skip_q ? '0 : mask;
  assign group_last_o = last_group;

  assign total_read_o = state_q == StRead;
  assign write_start_o = state_q == StWrite;

endmodule
