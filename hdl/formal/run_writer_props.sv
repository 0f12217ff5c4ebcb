// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// run_writer against a bus that takes requests and data in any order, as late as it
// likes: requests and data obey AXI, no FIFO overflows, data is offered only when the
// whole burst is there and always then (never waiting for its request), every beat
// that was taken is sent, and it is done only when every response has come.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module run_writer_props
  import carillon_pkg::*;
#(
  parameter int unsigned FifoLog2 = 3,
  parameter int unsigned MaxBurst = 4
) (
  input logic          clk_i,
  input logic          rst_ni,
  input logic          clear_error_i,
  input logic          run_valid_i,
  input addr_t         run_addr_i,
  input logic   [31:0] run_beats_i,
  input logic          flush_i,
  input logic          valid_i,
  input beat_t         data_i,
  input logic          aw_ready_i,
  input logic          w_ready_i,
  input axi_b_t        b_i,
  input logic          b_valid_i
);

  localparam int unsigned Depth = 1 << FifoLog2;
  localparam int unsigned PageBeats = 4096 / BeatBytes;
  typedef logic [15:0] number_t;
  typedef logic [FifoLog2:0] count_t;
  typedef logic [FifoLog2-1:0] index_t;

  logic run_ready, busy, error, ready, aw_valid, w_valid, b_ready;
  axi_ax_t aw;
  axi_w_t  w;

  run_writer #(
    .FifoLog2(FifoLog2),
    .MaxBurst(MaxBurst)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_error_i,
    .run_valid_i,
    .run_ready_o(run_ready),
    .run_addr_i,
    .run_beats_i,
    .flush_i,
    .busy_o     (busy),
    .error_o    (error),
    .valid_i,
    .ready_o    (ready),
    .data_i,
    .aw_o       (aw),
    .aw_valid_o (aw_valid),
    .aw_ready_i,
    .w_o        (w),
    .w_valid_o  (w_valid),
    .w_ready_i,
    .b_i,
    .b_valid_i,
    .b_ready_o  (b_ready)
  );

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  // ---- What was taken, sent, requested, answered ----
  wire asked = aw_valid && aw_ready_i;
  wire sent = w_valid && w_ready_i;
  wire answered = b_valid_i && b_ready;
  number_t requests_q, bursts_q;  // requests taken, bursts sent; neither answered
  count_t waiting, whole;  // beats in the FIFO; bursts of which the last is among them
  count_t to_ask;  // bursts in the other FIFO
  count_t partial;  // beats behind the last whole burst
  logic   entries_ok;  // every burst in the other FIFO is within the size and the page
  logic aw_held_q, w_held_q, error_q, flushed_q;
  axi_ax_t aw_q;
  axi_w_t  w_q;

  always_comb begin
    waiting = u_dut.u_data.tail_q - u_dut.u_data.head_q;
    to_ask = u_dut.u_bursts.tail_q - u_dut.u_bursts.head_q;
    entries_ok = 1'b1;
    for (int i = 0; i < int'(Depth); i++) begin
      if (i < int'(to_ask)) begin
        entries_ok &= 32'(u_dut.u_bursts.mem_q[index_t'(u_dut.u_bursts.head_q)+index_t'(i)].len) < MaxBurst;
        entries_ok &= 32'(u_dut.u_bursts.mem_q[index_t'(u_dut.u_bursts.head_q)+index_t'(i)].at[PageBits-1:0]) + 32'(u_dut.u_bursts.mem_q[index_t'(u_dut.u_bursts.head_q)+index_t'(i)].len) < PageBeats;
      end
    end
    whole = '0;
    partial = '0;
    for (int i = 0; i < int'(Depth); i++) begin
      if (i < int'(waiting)) begin
        if (u_dut.u_data.mem_q[index_t'(u_dut.u_data.head_q)+index_t'(i)].last) begin
          whole += 1'b1;
          partial = '0;
        end else partial += 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      requests_q <= '0;
      bursts_q <= '0;
      aw_held_q <= 1'b0;
      w_held_q <= 1'b0;
      error_q <= 1'b0;
      flushed_q <= 1'b0;
    end else begin
      requests_q <= requests_q + number_t'(asked) - number_t'(answered);
      bursts_q <= bursts_q + number_t'(sent && w.last) - number_t'(answered);
      aw_held_q <= aw_valid && !aw_ready_i;
      w_held_q <= w_valid && !w_ready_i;
      error_q <= !clear_error_i && (error_q || (answered && b_i.resp[1]));
      flushed_q <= busy && (flushed_q || flush_i);
    end
  end
  always_ff @(posedge clk_i) begin
    aw_q <= aw;
    w_q  <= w;
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_runs : assume (run_beats_i != '0);
    e_bus : assume (!b_valid_i || (requests_q != '0 && bursts_q != '0));
  end

  always_comb begin
    if (rst_ni) begin
      a_request_stays : assert (!aw_held_q || (aw_valid && aw == aw_q));
      a_data_stays : assert (!w_held_q || (w_valid && w == w_q));
      a_burst : assert (!aw_valid || 32'(aw.len) < MaxBurst);
      a_within_page : assert (!aw_valid || 32'(aw.addr[11:OffsetBits]) + 32'(aw.len) < PageBeats);
      a_never_overflows : assert (!(valid_i && ready && (u_dut.data_full || u_dut.bursts_full)));
      a_data_exactly_when_a_burst_is_whole : assert (w_valid == (whole != '0));
      a_each_burst_is_asked_for_once : assert (number_t'(to_ask) + requests_q == number_t'(whole) + bursts_q);
      a_done_when_answered : assert (busy || (waiting == '0 && to_ask == '0 && requests_q == '0 && bursts_q == '0));
      a_nothing_taken_while_flushing : assert (!(flushed_q && ready));
      a_error : assert (error == error_q);
      // Owed to the bus's side alone, or a beat of the run is waited for.
      a_never_stands_still :
      assert (!busy || aw_valid || w_valid || (requests_q != '0 && bursts_q != '0) || u_dut.left_q != '0 || flushed_q);
      i_whole : assert (u_dut.whole_q == whole && 32'(waiting) <= Depth && 32'(to_ask) <= Depth);
      i_outstanding : assert (number_t'(u_dut.outstanding_q) == requests_q && requests_q <= number_t'(256));
      i_bursts : assert (bursts_q <= number_t'(512));
      i_flushing : assert (u_dut.flushing_q == flushed_q && (!flushed_q || u_dut.left_q == '0));
      i_run :
      assert (u_dut.left_q == '0 || (32'(u_dut.run_q) < MaxBurst && u_dut.run_q == 8'(partial) && 32'(u_dut.at_q[PageBits-1:0]) >= 32'(u_dut.run_q)));
      i_rest : assert (u_dut.left_q != '0 || u_dut.flushing_q || partial == '0);
      i_entries : assert (entries_ok);
      c_data_first : cover (bursts_q == number_t'(2) && requests_q == '0);
      c_flushed : cover (flushed_q && waiting != '0 && whole == '0);
      c_done : cover (started_q && !busy && error);
    end
  end

endmodule
