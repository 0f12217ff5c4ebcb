// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Pipelined addition of three plain words modulo 2^Width, skewed inside (arith_pkg).
// Operands with a bit in Invert count as inverted: a difference a - b - c is
// a + ~b + ~c + 2. Latency add_stages(Width). Who uses it: the modular adders.
module pipe_add3 #(
  parameter int unsigned       Width  = 64,
  parameter logic        [2:0] Invert = 3'b000,  // of c, b, a
  parameter logic        [1:0] Carry  = 2'b00    // weight 1 each
) (
  input  logic             clk_i,
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  input  logic [Width-1:0] c_i,
  output logic [Width-1:0] sum_o
);
  logic [Width-1:0] a;
  logic [Width-1:0] b;
  logic [Width-1:0] c;
  logic [Width-1:0] sum;

  skew #(
    .Width(Width)
  ) u_a (
    .clk_i,
    .data_i(a_i),
    .data_o(a)
  );
  skew #(
    .Width(Width)
  ) u_b (
    .clk_i,
    .data_i(b_i),
    .data_o(b)
  );
  skew #(
    .Width(Width)
  ) u_c (
    .clk_i,
    .data_i(c_i),
    .data_o(c)
  );
  skew_add3 #(
    .Width (Width),
    .Invert(Invert),
    .Carry (Carry)
  ) u_add (
    .clk_i,
    .a_i  (a),
    .b_i  (b),
    .c_i  (c),
    .sum_o(sum)
  );
  deskew #(
    .Width(Width)
  ) u_deskew (
    .clk_i,
    .data_i(sum),
    .data_o(sum_o)
  );
endmodule
