// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// ntt_feed lets in the beats of a pass, each once and in their order, then as many empty ones as
// the cascade holds, and never so many that what they push out finds the FIFO at the end
// full. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module ntt_feed_props
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter int unsigned PlacesLog2 = 2
) (
  input logic  clk_i,
  input logic  rst_ni,
  input logic  start_i,
  input logic  stop_i,
  input logic  open_i,
  input pass_t pass_i,
  input logic  valid_i,
  input beat_t beat_i,
  input logic  left_i
);
  localparam int unsigned Places = 1 << PlacesLog2;
  typedef logic [15:0] number_t;

  logic bad, ready, valid;
  pair_t pair;
  pass_t pass_q;

  ntt_feed #(
    .PlacesLog2(PlacesLog2)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .start_i,
    .stop_i,
    .open_i,
    .pass_i (pass_q),
    .bad_o  (bad),
    .valid_i,
    .ready_o(ready),
    .beat_i,
    .valid_o(valid),
    .pair_o (pair),
    .left_i
  );

  // ---- Counted from outside ----
  logic started_q = 1'b0;
  number_t real_q, empty_q, out_q;  // let in; left the FIFO at the end
  wire number_t beats = (pass_q.log2n == '0) ? 1 : number_t'(1) << (pass_q.log2n - 1'b1);
  wire number_t held = (pass_q.columns == '0) ? 0 : number_t'(1) << (pass_q.rows + pass_q.columns - 1'b1);
  wire number_t in = real_q + empty_q;
  wire number_t pushed_out = (in > held) ? in - held : '0;

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni || start_i) pass_q <= pass_i;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {real_q, empty_q, out_q} <= '0;
    else if (start_i) {real_q, empty_q, out_q} <= '0;
    else begin
      if (valid && real_q < beats) real_q <= real_q + 1'b1;
      else if (valid) empty_q <= empty_q + 1'b1;
      out_q <= out_q + number_t'(left_i);
    end
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_size : assume (32'(pass_i.log2n) <= 8 && 32'(pass_i.rows) + 32'(pass_i.columns) <= 32'(pass_i.log2n));
    // ntt_sink: nothing leaves that was not pushed out.
    e_left : assume (!left_i || out_q < pushed_out);
    if (rst_ni && !start_i) begin
      a_takes_what_it_lets_in : assert ((valid_i && ready) == (valid && real_q < beats));
      a_never_too_many : assert (number_t'(pushed_out - out_q) <= Places);
      a_no_more_than_it_holds : assert (empty_q <= held && (empty_q == '0 || real_q == beats));
      a_never_stands_still :
      assert (!open_i || stop_i || (real_q < beats && !valid_i) || number_t'(pushed_out - out_q) == Places || empty_q == held || valid);
      a_the_beat :
      assert (!valid || real_q == beats
          || (pair.even == beat_i[FrBits-1:0] && pair.odd == ((pass_q.log2n == '0) ? '0 : beat_i[BeatBits/2+:FrBits])));
      i_counts :
      assert (32'(u_dut.pushed_q) == 32'(in) && 32'(u_dut.owed_q) == 32'(number_t'(pushed_out - out_q)) && out_q <= pushed_out && real_q <= beats);
      i_size : assert (32'(pass_q.log2n) <= 8 && 32'(pass_q.rows) + 32'(pass_q.columns) <= 32'(pass_q.log2n));
      c_all : cover (empty_q == held && held == 4 && out_q == beats);
      c_full : cover (number_t'(pushed_out - out_q) == Places && real_q < beats);
    end
  end
  wire unused = &{1'b0, bad};

endmodule
