// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Takes beats and writes them to an AXI bus as runs, each from an address of its
// own. A burst is requested once all of its data has been taken, so a slow
// producer never blocks the bus; its data is offered whether or not the request
// has been taken (AXI4 A3.3.1). One beat per cycle when the bus permits, also
// from run to run. A burst never crosses 4 KiB.
//
// A bus error does not stop it; error_o stays set until the next clear_error_i.
// flush_i (pulse or level, while busy): complete bursts are still written, a
// partly taken one is dropped; busy_o falls after the last response.
// Used by: stream_writer, ntt_sink.
module run_writer
  import carillon_pkg::*;
#(
  parameter axi_id_t     IdValue  = '0,  // different from every other writer on the same bus
  parameter int unsigned FifoLog2 = 5,   // log2 of the beats buffered
  parameter int unsigned MaxBurst = 16   // beats, at most 64 and 2^FifoLog2; half of that for full rate
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic         clear_error_i,
  input  logic         run_valid_i,
  output logic         run_ready_o,
  input  addr_t        run_addr_i,     // bytes, a multiple of 64
  input  logic  [31:0] run_beats_i,    // not 0
  input  logic         flush_i,
  output logic         busy_o,
  output logic         error_o,

  // Data
  input  logic  valid_i,
  output logic  ready_o,
  input  beat_t data_i,

  // AXI write side
  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);

  localparam int unsigned OutstandingBits = 8;  // bursts awaiting their response
  typedef struct packed {
    logic  last;
    beat_t data;
  } entry_t;
  typedef struct packed {
    beat_addr_t at;
    logic [7:0] len;
  } burst_t;

  if (MaxBurst == 0 || MaxBurst > 64 || MaxBurst > (1 << FifoLog2)) begin : g_bad_burst
    $error("MaxBurst must be 1 to 64 and fit in the FIFO");
  end

  // ---- Taking data: cut into bursts on the way into the FIFOs ----
  logic              flushing_q;
  beat_addr_t        at_q;
  logic       [31:0] left_q;  // beats of the run still to be taken
  logic       [ 7:0] run_q;  // beats of the current burst taken before

  wire               take = valid_i && ready_o;
  wire               run_ends = left_q == 32'd1;
  wire               burst_ends = run_ends || run_q == 8'(MaxBurst - 1) || &at_q[PageBits-1:0];
  wire               load = run_valid_i && run_ready_o;

  logic data_full, data_valid, bursts_full, burst_valid;
  entry_t                     head;
  burst_t                     request;
  wire                        aw_done = aw_valid_o && aw_ready_i;
  wire                        w_done = w_valid_o && w_ready_i;
  logic   [OutstandingBits:0] outstanding_q;  // bursts requested, no response yet
  wire                        drained = !burst_valid && outstanding_q == '0;
  wire                        flush = flushing_q || flush_i;

  assign ready_o = left_q != '0 && !data_full && !bursts_full && !flush;
  assign run_ready_o = (left_q == '0 || (take && run_ends)) && !flush;

  fifo #(
    .T        (entry_t),
    .DepthLog2(FifoLog2)
  ) u_data (
    .clk_i,
    .rst_ni,
    .clear_i(flushing_q && drained),  // what is left is a burst that never became whole
    .push_i (take),
    .data_i ('{last: burst_ends, data: data_i}),
    .full_o (data_full),
    .valid_o(data_valid),
    .data_o (head),
    .pop_i  (w_done)
  );

  // Full before the data FIFO only when the bus takes data and leaves the requests.
  fifo #(
    .T        (burst_t),
    .DepthLog2(FifoLog2)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .push_i (take && burst_ends),
    .data_i ('{at: at_q - beat_addr_t'(run_q), len: run_q}),
    .full_o (bursts_full),
    .valid_o(burst_valid),
    .data_o (request),
    .pop_i  (aw_done)
  );

  // ---- Bus side ----
  logic [FifoLog2:0] whole_q;  // bursts all of whose data was taken, and the last of it not yet sent

  assign aw_o = '{id: IdValue, addr: {request.at, OffsetBits'(0)}, len: request.len};
  assign aw_valid_o = burst_valid && !outstanding_q[OutstandingBits];
  assign w_o = '{data: head.data, strb: '1, last: head.last};
  assign w_valid_o = whole_q != '0;
  assign b_ready_o = 1'b1;
  assign busy_o = left_q != '0 || data_valid || !drained;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      left_q <= '0;
      flushing_q <= 1'b0;
      outstanding_q <= '0;
      whole_q <= '0;
      error_o <= 1'b0;
    end else begin
      outstanding_q <= outstanding_q + (OutstandingBits + 1)'(aw_done) - (OutstandingBits + 1)'(b_valid_i);
      whole_q <= whole_q + (FifoLog2 + 1)'(take && burst_ends) - (FifoLog2 + 1)'(w_done && head.last);

      if (flush) left_q <= '0;
      else if (load) left_q <= run_beats_i;
      else if (take) left_q <= left_q - 32'd1;

      if (!busy_o) flushing_q <= 1'b0;
      else if (flush_i) flushing_q <= 1'b1;

      if (clear_error_i) error_o <= 1'b0;
      else if (b_valid_i && b_i.resp[1]) error_o <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (load) begin
      at_q <= run_addr_i[AddrBits-1:OffsetBits];
      run_q <= '0;
    end else if (take) begin
      at_q <= at_q + 1'b1;
      run_q <= burst_ends ? '0 : run_q + 8'd1;
    end
  end

  wire unused = &{1'b0, run_addr_i[OffsetBits-1:0], b_i.id, b_i.resp[0]};

endmodule
