// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// fifo: never more entries than places, full and valid say what they mean, and what
// goes in comes out in its turn. One entry, chosen freely by the prover, is followed.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module fifo_props #(
  parameter  int unsigned DepthLog2 = 3,
  localparam type         data_t    = logic [3:0]
) (
  input logic  clk_i,
  input logic  rst_ni,
  input logic  clear_i,
  input logic  push_i,
  input data_t data_i,
  input logic  pop_i,
  input logic  watch_i   // the prover's choice: follow the entry that goes in now
);

  localparam int unsigned Depth = 1 << DepthLog2;
  typedef logic [DepthLog2:0] count_t;
  typedef logic [DepthLog2-1:0] index_t;

  logic full, valid;
  data_t data;

  fifo #(
    .T        (data_t),
    .DepthLog2(DepthLog2)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .push_i,
    .data_i,
    .full_o (full),
    .valid_o(valid),
    .data_o (data),
    .pop_i
  );

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  // ---- Entries, and those in front of the one that is followed ----
  count_t count_q, ahead_q;
  logic  watching_q;
  data_t watched_q;
  wire   pushed = push_i && count_q != count_t'(Depth);
  wire   popped = pop_i && count_q != '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      count_q <= '0;
      ahead_q <= '0;
      watching_q <= 1'b0;
      watched_q <= '0;
    end else if (clear_i) begin
      count_q <= '0;
      watching_q <= 1'b0;
    end else begin
      count_q <= count_q + count_t'(pushed) - count_t'(popped);
      if (watching_q) begin
        if (popped) ahead_q <= ahead_q - 1'b1;
        if (popped && ahead_q == '0) watching_q <= 1'b0;
      end else if (watch_i && pushed) begin
        watching_q <= 1'b1;
        watched_q <= data_i;
        ahead_q <= count_q - count_t'(popped);
      end
    end
  end

  wire index_t place = u_dut.head_q[DepthLog2-1:0] + ahead_q[DepthLog2-1:0];

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    if (rst_ni) begin
      a_never_too_many : assert (32'(count_q) <= Depth);
      a_full : assert (full == (32'(count_q) == Depth));
      a_valid : assert (valid == (count_q != '0));
      i_count : assert (u_dut.tail_q - u_dut.head_q == count_q);
      if (watching_q) begin
        i_ahead : assert (ahead_q < count_q);
        i_place : assert (u_dut.mem_q[place] == watched_q);
        if (ahead_q == '0) a_in_its_turn : assert (valid && data == watched_q);
      end
      c_full : cover (full && push_i && pop_i);
      c_followed : cover (watching_q && ahead_q == '0 && popped && watched_q == '1 && full);
    end
  end

endmodule
