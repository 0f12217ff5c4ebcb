// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Which buckets of a bank hold a sum: one bit per bucket, two ports (sums
// coming back, points going in). Every access of a port changes the bucket from
// empty to full or back, so each port owns a bit per bucket and toggles it; a
// bucket is full when the two differ. That needs no memory with two write ports.
// Combinational read. Used by: msm_scheduler.
module msm_flags
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,

  input  cell_t out_place_i,  // port of the sums that come out of the adder
  output logic  out_full_o,
  input  logic  out_toggle_i,

  input  cell_t in_place_i,  // port of the points that go in
  output logic  in_full_o,
  input  logic  in_toggle_i,

  input logic  clear_i,
  input cell_t clear_place_i
);

  logic out_q[BankBuckets], in_q[BankBuckets];

  assign out_full_o = out_q[out_place_i] ^ in_q[out_place_i];
  assign in_full_o = out_q[in_place_i] ^ in_q[in_place_i];

  always_ff @(posedge clk_i) begin
    if (clear_i) out_q[clear_place_i] <= 1'b0;
    else if (out_toggle_i) out_q[out_place_i] <= !out_q[out_place_i];
  end
  always_ff @(posedge clk_i) begin
    if (clear_i) in_q[clear_place_i] <= 1'b0;
    else if (in_toggle_i) in_q[in_place_i] <= !in_q[in_place_i];
  end

endmodule
