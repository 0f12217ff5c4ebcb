// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The last step of a product in Fp2 = Fp[u] / (u^2 + 1) by Karatsuba's method. In come, in
// three cycles, P0 = a0 b0, P1 = a1 b1, P2 = (a0 + a1)(b0 + b1), or the same sum of such
// products in each; out go, in three cycles from Fp2JoinLatency on, what a next product wants
// of c = a b:
//   c0 = P0 - P1,  c1 = P2 - (P0 + P1),  c0 + c1 = P2 - 2 P1
// or, with ByXi, the same of (1 + u) c = (c0 - c1) + (c0 + c1) u:
//   2 P0 - P2,  P2 - 2 P1,  2 P0 - 2 P1
// Free-running: first_i marks P0, every third cycle at most. Used by: point_add.
module fp2_join
  import carillon_pkg::*;
  import arith_pkg::FpAddLatency;
#(
  parameter bit ByXi = 1'b0
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic first_i,
  input  fp_t  p_i,      // < p
  output fp_t  c_o       // < p
);
  // The last three values, and where they stand.
  fp_t p_1, p_2;
  logic [2:0] at_q;  // in the first, second, third cycle after P0

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) at_q <= '0;
    else at_q <= {at_q[1:0], first_i};
  end
  always_ff @(posedge clk_i) begin
    p_1 <= p_i;
    p_2 <= p_1;
  end

  fp_t add_a, add_b, sum, less_a, less_b, minuend_d, minuend;

  if (ByXi) begin : gen_xi
    // Doubles of all three; the values beside them wait for the last.
    fp_t plain_1, double_1, double_2, double_3, double_4;
    logic [FpAddLatency+2:0] first_q;  // first_q[n]: P0 came n + 1 cycles ago

    assign add_a = p_i;
    assign add_b = p_i;
    assign minuend_d = p_i;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) first_q <= '0;
      else first_q <= {first_q[FpAddLatency+1:0], first_i};
    end
    always_ff @(posedge clk_i) begin
      plain_1 <= minuend;
      double_1 <= sum;
      double_2 <= double_1;
      double_3 <= double_2;
      double_4 <= double_3;
    end
    always_comb begin
      if (first_q[FpAddLatency+1]) begin
        less_a = double_2;
        less_b = minuend;
      end else if (first_q[FpAddLatency+2]) begin
        less_a = plain_1;
        less_b = double_2;
      end else begin
        less_a = double_4;
        less_b = double_3;
      end
    end
    wire unused = &{1'b0, at_q, p_2};
  end else begin : gen_plain
    // P1, P0 + P1, 2 P1.
    assign add_a = at_q[0] ? p_i : p_2;
    assign add_b = at_q[1] ? p_1 : at_q[2] ? p_2 : '0;
    always_comb begin
      if (at_q[0]) minuend_d = p_1;  // P0
      else if (at_q[1]) minuend_d = p_i;  // P2
      else minuend_d = p_1;  // P2
    end
    // One cycle more, in step with the other kind.
    always_ff @(posedge clk_i) begin
      less_a <= minuend;
      less_b <= sum;
    end
  end

  fp_add u_add (
    .clk_i,
    .a_i(add_a),
    .b_i(add_b),
    .s_o(sum)
  );
  delay_line #(
    .Width(FpBits),
    .Delay(FpAddLatency)
  ) u_minuend (
    .clk_i,
    .data_i(minuend_d),
    .data_o(minuend)
  );
  fp_sub u_less (
    .clk_i,
    .a_i(less_a),
    .b_i(less_b),
    .d_o(c_o)
  );
endmodule
