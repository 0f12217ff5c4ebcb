// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Delays elements by 2^log2_i of them: time passes with valid_i. A memory with
// one pointer, read one element ahead. The elements of the time before clear_i,
// and the first 2^log2_i outputs, mean nothing. Used by: ntt_commutator.
module ntt_delay
  import carillon_pkg::*;
  import ntt_pkg::*;
#(
  parameter int unsigned MaxLog2 = 4
) (
  input  logic  clk_i,
  input  logic  rst_ni,
  input  logic  clear_i,
  input  log2_t log2_i,   // at most MaxLog2; constant from clear_i on
  input  logic  valid_i,
  input  fr_t   data_i,
  output fr_t   data_o
);
  typedef logic [(MaxLog2 == 0 ? 0 : MaxLog2 - 1):0] pointer_t;

  fr_t data_q[1 << MaxLog2];
  pointer_t pointer_q, next;

  assign next = (MaxLog2 == 0) ? '0 : (pointer_q + 1'b1) & pointer_t'((32'd1 << log2_i) - 32'd1);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) pointer_q <= '0;
    else if (clear_i) pointer_q <= '0;
    else if (valid_i) pointer_q <= next;
  end

  // No reset: what was not written is not used.
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      data_q[pointer_q] <= data_i;
      data_o <= (next == pointer_q) ? data_i : data_q[next];
    end
  end
endmodule
