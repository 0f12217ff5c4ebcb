// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: fp_add, fp_sub and fp_times12 on the same operands, their latencies made
// equal, so that one test feeds all three. Driven by hdl/tests/tests/fp_linear.rs.
module fp_linear
  import carillon_pkg::*;
  import arith_pkg::*;
(
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       valid_i,
  input  fp_t        a_i,
  input  fp_t        b_i,
  output logic       valid_o,
  output fp_t  [2:0] p_o       // {12 a, a - b, a + b}
);
  localparam int unsigned Wait = FpTimes12Latency - FpAddLatency;
  fp_t sum, difference, twelve;

  fp_add u_add (
    .clk_i,
    .a_i,
    .b_i,
    .s_o(sum)
  );
  fp_sub u_sub (
    .clk_i,
    .a_i,
    .b_i,
    .d_o(difference)
  );
  fp_times12 u_times12 (
    .clk_i,
    .a_i,
    .p_o(twelve)
  );
  delay_line #(
    .Width(2 * FpBits),
    .Delay(Wait)
  ) u_wait (
    .clk_i,
    .data_i({difference, sum}),
    .data_o(p_o[1:0])
  );
  assign p_o[2] = twelve;
  valid_line #(
    .Delay(FpTimes12Latency)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
