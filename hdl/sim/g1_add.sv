// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fast view of g1_add (simulation only): one whole complete addition in one DPI
// call on blst, then a delay that makes up the latency. The call evaluates the
// same formula as the structural view (hdl/rtl/g1/g1_add.sv) on fully reduced
// values, so X, Y and Z agree bit by bit and not only as points.
module g1_add
  import carillon_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  g1_t  a_i,      // coordinates < p
  input  g1_t  b_i,      // coordinates < p; z = FpOne makes it the mixed addition
  output logic valid_o,
  output g1_t  s_o       // a + b, G1AddLatency cycles later
);
  import "DPI-C" function void carillon_g1_add(
    input  bit [FpBits-1:0] ax,
    input  bit [FpBits-1:0] ay,
    input  bit [FpBits-1:0] az,
    input  bit [FpBits-1:0] bx,
    input  bit [FpBits-1:0] by,
    input  bit [FpBits-1:0] bz,
    output bit [FpBits-1:0] sx,
    output bit [FpBits-1:0] sy,
    output bit [FpBits-1:0] sz
  );

  logic valid_q;
  g1_t  sum_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      automatic bit [FpBits-1:0] x;
      automatic bit [FpBits-1:0] y;
      automatic bit [FpBits-1:0] z;
      carillon_g1_add(a_i.x, a_i.y, a_i.z, b_i.x, b_i.y, b_i.z, x, y, z);
      sum_q <= '{x: x, y: y, z: z};
    end
  end

  delay_ring #(
    .Width($bits(g1_t)),
    .Delay(G1AddLatency - 1)
  ) u_delay (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .data_i (sum_q),
    .valid_o,
    .data_o (s_o)
  );
endmodule
