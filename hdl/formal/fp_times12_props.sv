// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// fp_times12 at full width: the estimate of the quotient is the quotient or one less,
// both remainders are 12 a minus their multiple of p, and the one that is chosen is
// below p. A case for each value of the estimate: `Estimate` is given from outside.
// Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module fp_times12_props
  import carillon_pkg::*;
#(
  parameter int unsigned Estimate = 0
) (
  input logic clk_i,
  input fp_t  a_i
);

  localparam int unsigned Latency = arith_pkg::FpTimes12Latency;
  typedef logic [FpBits+4:0] wide_t;
  localparam wide_t Multiple = wide_t'(FpModulus) * wide_t'(Estimate);
  localparam wide_t NextMultiple = Multiple + wide_t'(FpModulus);
  localparam wide_t BeyondMultiple = NextMultiple + wide_t'(FpModulus);

  fp_t p, a_late;

  fp_times12 u_dut (
    .clk_i,
    .a_i,
    .p_o(p)
  );
  // In step with the two remainders.
  delay_line #(
    .Width(FpBits),
    .Delay(Latency - 2)
  ) u_operand (
    .clk_i,
    .data_i(u_dut.a_q),
    .data_o(a_late)
  );

  // The pipeline has been filled.
  logic [Latency-1:0] filled_q = '0;
  wide_t remainder_q, next_q;
  always_ff @(posedge clk_i) begin
    filled_q <= Latency'({filled_q, 1'b1});
    remainder_q <= wide_t'(u_dut.remainder);
    next_q <= wide_t'(u_dut.remainder_next);
  end

  function automatic wide_t twelve_times(fp_t value);
    return (wide_t'(value) << 3) + (wide_t'(value) << 2);
  endfunction

  always_comb begin
    e_a : assume (a_i < FpModulus);
    e_case : assume (32'(u_dut.estimate_d) == Estimate);
    if (filled_q[Latency-1]) begin
      a_not_above : assert (Multiple <= twelve_times(u_dut.a_q));
      a_one_less_at_most : assert (twelve_times(u_dut.a_q) < BeyondMultiple);
      a_remainder : assert (wide_t'(u_dut.remainder) + Multiple == twelve_times(a_late));
      a_next_remainder : assert (wide_t'(u_dut.remainder_next) + NextMultiple == twelve_times(a_late));
      a_range : assert (p < FpModulus);
      a_chosen : assert (p == fp_t'(remainder_q) || p == fp_t'(next_q));
      c_estimate : cover (p == fp_t'(remainder_q));
    end
    if (filled_q[Latency-1] && Estimate != 11) begin
      c_one_less : cover (p == fp_t'(next_q));
    end
  end

endmodule
