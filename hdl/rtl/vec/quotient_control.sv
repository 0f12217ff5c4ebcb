// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Runs a QUOTIENT command: fetches z (a product has none: it is 1), starts the
// streams, waits for the last write response; ends the command on success, abort, bad data or bus error.
// Called by quotient_engine; moves no data itself. See hdl/doc/ntt.md.
module quotient_control
  import carillon_pkg::*;
  import fr_arith_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // Execution unit (hdl/doc/blocks.md); cmd_i is held until done
  input  logic         start_i,
  input  command_t     cmd_i,
  input  logic         abort_i,
  output logic         busy_o,
  output logic         done_o,
  output unit_result_t result_o,

  // Streams
  output logic        fetch_start_o,   // reader 0: the beat with z
  output logic        stream_start_o,  // all
  output logic [31:0] beats_o,         // of each vector
  output logic        flush_o,
  input  logic        stream_busy_i,   // any
  input  logic        read_error_i,
  input  logic        write_error_i,

  // z arrives
  output logic  fetch_ready_o,
  input  logic  fetch_valid_i,
  input  beat_t fetch_beat_i,

  // Datapath
  output logic        product_o,  // there is no c
  output logic [31:0] count_o,
  output fr_t         z_o,
  output logic        stop_o,
  input  logic        busy_i,
  input  logic        issued_i,
  input  logic        bad_i
);
  typedef enum logic [2:0] {
    StateIdle,
    StateFetchStart,  // request z
    StateFetch,       // and wait for it
    StateStart,       // start the vectors
    StateRun,
    StateDrain,       // something went wrong: let everything under way come to its end
    StateDone
  } state_e;
  state_e state_q;

  logic [31:0] cycles_q, ops_q;
  status_t status_q, trouble;
  logic troubled, bad_z, z_taken_q;
  fr_image_t z;

  assign z     = fetch_beat_i[FrImageBits-1:0];
  assign bad_z = fetch_ready_o && fetch_valid_i && !fr_is_canonical(z);

  always_comb begin
    // Data that came with a bus error may look bad: the error comes first.
    if (read_error_i) trouble = StCardRead;
    else if (write_error_i) trouble = StCardWrite;
    else if (bad_i || bad_z) trouble = StBadScalar;
    else trouble = StAborted;
  end
  assign troubled = read_error_i || write_error_i || bad_i || bad_z || abort_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q   <= StateIdle;
      status_q  <= StSuccess;
      cycles_q  <= '0;
      ops_q     <= '0;
      z_taken_q <= 1'b0;
    end else begin
      if (state_q != StateIdle && cycles_q != '1) cycles_q <= cycles_q + 32'd1;
      if (issued_i) ops_q <= ops_q + 32'd1;
      if (fetch_ready_o && fetch_valid_i) z_taken_q <= 1'b1;
      unique case (state_q)
        StateIdle: begin
          if (start_i) begin
            state_q   <= product_o ? StateStart : StateFetchStart;
            status_q  <= StSuccess;
            cycles_q  <= 32'd1;
            ops_q     <= '0;
            z_taken_q <= 1'b0;
          end
        end
        StateFetchStart: state_q <= StateFetch;
        StateFetch: begin
          if (troubled) begin
            state_q  <= StateDrain;
            status_q <= trouble;
          end else if (z_taken_q && !stream_busy_i) begin
            state_q <= StateStart;
          end
        end
        StateStart:      state_q <= StateRun;
        StateRun: begin
          if (troubled) begin
            state_q  <= StateDrain;
            status_q <= trouble;
          end else if (!stream_busy_i) begin
            state_q <= StateDone;
          end
        end
        StateDrain:      if (!stream_busy_i && !busy_i) state_q <= StateDone;
        StateDone:       state_q <= StateIdle;
        default:         state_q <= StateIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StateIdle && start_i) z_o <= FrOne;
    else if (fetch_ready_o && fetch_valid_i) z_o <= z[FrBits-1:0];
  end

  assign busy_o         = (state_q != StateIdle);
  assign done_o         = (state_q == StateDone);
  assign fetch_start_o  = (state_q == StateFetchStart);
  assign fetch_ready_o  = (state_q == StateFetch);
  assign stream_start_o = (state_q == StateStart);
  assign flush_o        = (state_q == StateDrain);
  assign stop_o         = flush_o;
  assign product_o      = |(cmd_i.flags & FlagProduct);
  assign count_o        = cmd_i.op[4][31:0];
  assign beats_o        = (count_o >> 1) + 32'(count_o[0]);

  always_comb begin
    result_o        = '0;
    result_o.status = status_q;
    result_o.cycles = cycles_q;
    result_o.ops    = ops_q;
  end

  wire unused = &{1'b0, cmd_i, fetch_beat_i[BeatBits-1:FrImageBits]};
endmodule
