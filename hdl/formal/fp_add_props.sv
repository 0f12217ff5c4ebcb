// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// fp_add at full width: for operands below the modulus the sum is below it and is
// a + b or a + b - p. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module fp_add_props
  import carillon_pkg::*;
(
  input logic clk_i,
  input fp_t  a_i,
  input fp_t  b_i
);

  localparam int unsigned Latency = arith_pkg::FpAddLatency;
  typedef logic [FpBits:0] wide_t;

  fp_t s, a, b;

  fp_add u_dut (
    .clk_i,
    .a_i,
    .b_i,
    .s_o(s)
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

  wire wide_t sum = wide_t'(a) + wide_t'(b);
  always_comb begin
    e_a : assume (a_i < FpModulus);
    e_b : assume (b_i < FpModulus);
    if (filled_q[Latency-1]) begin
      a_range : assert (s < FpModulus);
      a_value : assert (wide_t'(s) == ((sum < wide_t'(FpModulus)) ? sum : sum - wide_t'(FpModulus)));
      c_reduced : cover (sum > wide_t'(FpModulus) && s != '0);
      c_kept : cover (sum != '0 && sum < wide_t'(FpModulus));
    end
  end

endmodule
