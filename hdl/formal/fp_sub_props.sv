// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// fp_sub at full width: for operands below the modulus the difference is below it and
// is a - b or a - b + p. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module fp_sub_props
  import carillon_pkg::*;
(
  input logic clk_i,
  input fp_t  a_i,
  input fp_t  b_i
);

  localparam int unsigned Latency = arith_pkg::FpAddLatency;

  fp_t d, a, b;

  fp_sub u_dut (
    .clk_i,
    .a_i,
    .b_i,
    .d_o(d)
  );
  delay_line #(
    .Width(2 * FpBits),
    .Delay(Latency)
  ) u_operands (
    .clk_i,
    .data_i({a_i, b_i}),
    .data_o({a, b})
  );

  // The pipeline has been filled.
  logic [Latency-1:0] filled_q = '0;
  always_ff @(posedge clk_i) filled_q <= Latency'({filled_q, 1'b1});

  always_comb begin
    e_a : assume (a_i < FpModulus);
    e_b : assume (b_i < FpModulus);
    if (filled_q[Latency-1]) begin
      a_range : assert (d < FpModulus);
      a_value : assert (d == ((a < b) ? a - b + FpModulus : a - b));
      c_wrapped : cover (a < b);
      c_kept : cover (a > b);
    end
  end

endmodule
