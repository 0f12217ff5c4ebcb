// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Runs an MSM: chooses the window size, walks over the groups of windows from the
// highest to the lowest (stream all pairs, sum the buckets), waits for the total,
// has it written, and brings the unit to rest when something goes wrong.
// Used by: msm_engine.
module msm_control
  import carillon_pkg::*;
  import msm_pkg::*;
  import msm_cost_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic          start_i,
  input  count_t        count_i,         // elements, held
  input  logic    [7:0] window_bits_i,   // as commanded; 0 lets the card choose; held
  input  logic          g2_i,            // held, and until the next command has begun
  input  logic          full_scalars_i,  // the endomorphism is not allowed; held
  input  logic          abort_i,
  output logic          busy_o,
  output logic          done_o,
  output status_t       status_o,        // with done_o
  output count_t        bad_index_o,     // with StBadScalar and StBadPoint

  // Geometry of the run (from run_start_o on) and of the group
  output logic         run_start_o,    // pulse
  output window_bits_t window_bits_o,
  output logic         full_o,
  output geometry_t    geometry_o,
  output bit_pos_t     pos_o,
  output group_mask_t  mask_o,
  output group_win_t   last_o,         // the group's highest window
  output logic         learn_o,
  input  logic         touched_i,

  // Groups
  output logic                   flush_o,         // level: everything drops what it has
  output logic                   group_start_o,   // pulse
  output logic                   stream_start_o,  // pulse: stream all pairs
  output logic                   sum_start_o,     // pulse: sum the buckets
  input  logic                   fetch_busy_i,
  input  logic                   fetch_error_i,
  input  logic                   prepare_busy_i,
  input  logic                   all_in_i,        // every pair has been handed to the units
  input  logic   [MsmAdders-1:0] empty_i,
  input  logic   [MsmAdders-1:0] sum_busy_i,
  input  logic   [MsmAdders-1:0] total_done_i,
  input  logic   [MsmAdders-1:0] idle_i,
  input  logic   [MsmAdders-1:0] fault_i,
  input  logic                   bad_scalar_i,
  input  logic                   bad_point_i,
  input  count_t                 bad_index_i,
  output logic                   clear_o,
  output cell_t                  clear_place_o,

  // Result
  output logic totals_start_o,  // pulse: put the units' totals together and read the sum
  input  logic totals_done_i,
  output logic write_start_o,
  input  logic write_busy_i,
  input  logic write_error_i
);

  typedef enum logic [3:0] {
    StIdle,
    StSetup,   // geometry of the run
    StClear,   // mark all buckets empty, after reset and after a failure
    StGroup,   // a group: does it need a pass?
    StStream,  // pairs in
    StSum,     // buckets
    StCombine, // wait for the units' totals
    StTotals,
    StWrite,
    StWait,    // for the write's response
    StDrain,   // after a failure
    StDone
  } state_e;

  state_e             state_q;
  logic               dirty_q;  // buckets may hold sums of a run that failed
  logic               first_q;  // first pass of the run
  window_bits_t       bits_q;
  logic               full_q;
  logic         [7:0] groups_q;  // still to come, this one included
  bit_pos_t           pos_q;
  group_win_t         last_q;
  cell_t              clear_q;
  status_t            status_q;
  count_t             bad_index_q;

  // ---- Window size ----
  choice_t            chosen;
  always_comb begin
    chosen = Choices[{g2_i, full_scalars_i}][0];
    for (int unsigned l = 0; l < CountBits; l++) begin
      if (count_i[l]) chosen = Choices[{g2_i, full_scalars_i}][l];
    end
    if (window_bits_i != '0) begin
      chosen.full = full_scalars_i;
      if (window_bits_i < 8'(MsmMinWindowBits)) chosen.bits = window_bits_t'(MsmMinWindowBits);
      else if (window_bits_i > 8'(MsmMaxWindowBits)) chosen.bits = window_bits_t'(MsmMaxWindowBits);
      else chosen.bits = window_bits_t'(window_bits_i);
    end
  end

  // ---- Geometry: the topmost group takes what is left over ----
  geometry_t geometry;
  assign geometry = Geometry[{g2_i, full_q}][bits_q];

  // ---- Failures, the graver first ----
  wire     running = state_q != StIdle && state_q != StDrain && state_q != StDone;
  logic    fail;
  status_t fail_status;
  always_comb begin
    fail = running;
    fail_status = StInternal;
    if (abort_i) fail_status = StAborted;
    else if (|fault_i) fail_status = StInternal;
    else if (fetch_error_i && state_q == StStream) fail_status = StCardRead;
    else if (bad_scalar_i && state_q == StStream) fail_status = StBadScalar;
    else if (bad_point_i && state_q == StStream) fail_status = StBadPoint;
    else if (write_error_i && state_q == StWait && !write_busy_i) fail_status = StCardWrite;
    else fail = 1'b0;
  end

  // ---- Steps ----
  wire needs_pass = first_q || touched_i;
  wire streamed = state_q == StStream && all_in_i && (&empty_i) && !fetch_busy_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      dirty_q <= 1'b1;
      first_q <= 1'b0;
      bits_q <= window_bits_t'(MsmMinWindowBits);
      full_q <= 1'b0;
      groups_q <= '0;
      pos_q <= '0;
      last_q <= '0;
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
          bits_q <= chosen.bits;
          full_q <= chosen.full;
          if (start_i) state_q <= StSetup;
        end
        StSetup: begin
          groups_q <= geometry.groups;
          pos_q <= geometry.top_pos;
          last_q <= geometry.top_last;
          clear_q <= '0;
          state_q <= dirty_q ? StClear : StGroup;
        end
        StClear: begin
          clear_q <= clear_q + 1'b1;
          if (clear_q == cell_t'(BankBuckets - 1)) begin
            dirty_q <= 1'b0;
            state_q <= StGroup;
          end
        end
        StGroup:   state_q <= needs_pass ? StStream : StSum;
        StStream: begin
          if (streamed) begin
            first_q <= 1'b0;
            state_q <= StSum;
          end
        end
        StSum: begin
          if (!sum_start_o && sum_busy_i == '0) begin
            groups_q <= groups_q - 1'b1;
            pos_q <= pos_q - geometry.group_step;
            last_q <= geometry.group_last;
            state_q <= (groups_q == 8'd1) ? StCombine : StGroup;
          end
        end
        StCombine: if (&total_done_i) state_q <= StTotals;
        StTotals:  if (totals_done_i) state_q <= StWrite;
        StWrite:   state_q <= StWait;
        StWait:    if (!write_busy_i) state_q <= StDone;
        StDrain:   if (!fetch_busy_i && !prepare_busy_i && (&idle_i) && !write_busy_i) state_q <= StDone;
        default:   state_q <= StIdle;
      endcase
    end
  end

  // The first cycle of StSum.
  logic sum_start_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) sum_start_q <= 1'b0;
    else sum_start_q <= !fail && (streamed || (state_q == StGroup && !needs_pass));
  end
  assign sum_start_o = sum_start_q;

  assign busy_o = state_q != StIdle;
  assign done_o = state_q == StDone;
  assign status_o = status_q;
  assign bad_index_o = bad_index_q;

  assign run_start_o = state_q == StSetup;
  assign window_bits_o = bits_q;
  assign full_o = full_q;
  assign geometry_o = geometry;
  assign pos_o = pos_q;
  assign last_o = last_q;
  assign learn_o = first_q;
  always_comb begin
    for (int unsigned w = 0; w < MsmWindows; w++) mask_o[w] = group_win_t'(w) <= last_q;
  end

  assign flush_o = state_q == StDrain;
  assign group_start_o = state_q == StGroup;
  assign stream_start_o = state_q == StGroup && needs_pass;
  assign clear_o = state_q == StClear;
  assign clear_place_o = clear_q;
  assign totals_start_o = state_q == StCombine && (&total_done_i) && !fail;
  assign write_start_o = state_q == StWrite;

endmodule
