// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Radix-2 butterfly over Fr with one multiplier, one butterfly per cycle, free
// running, ButterflyLatency cycles. Called by ntt_datapath; knows nothing of
// memory or order.
//   forward (decimation in time):      u = a + t b      v = a - t b
//   inverse (decimation in frequency): u = (a + b) / 2  v = t (a - b) / 2
// With reciprocal twiddles the inverse undoes the forward exactly, 1/n included:
// halving is exact mod r and costs an adder instead of a product.
module ntt_butterfly
  import carillon_pkg::*;
  import fr_arith_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic inverse_i,  // changes only while the pipeline is empty
  input  logic valid_i,
  input  fr_t  a_i,
  input  fr_t  b_i,
  input  fr_t  t_i,
  output logic valid_o,
  output fr_t  u_o,
  output fr_t  v_o
);
  logic add_valid_q, half_valid_q, product_valid;
  fr_t add_keep_q, add_factor_q, add_twiddle_q;
  fr_t half_keep_q, half_factor_q, half_twiddle_q;
  fr_t keep, product;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      add_valid_q  <= 1'b0;
      half_valid_q <= 1'b0;
      valid_o      <= 1'b0;
    end else begin
      add_valid_q  <= valid_i;
      half_valid_q <= add_valid_q;
      valid_o      <= product_valid;
    end
  end

  // Sum and difference before the product (inverse only).
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      add_keep_q    <= inverse_i ? fr_add(a_i, b_i) : a_i;
      add_factor_q  <= inverse_i ? fr_sub(a_i, b_i) : b_i;
      add_twiddle_q <= t_i;
    end
    if (add_valid_q) begin
      half_keep_q    <= inverse_i ? fr_half(add_keep_q) : add_keep_q;
      half_factor_q  <= inverse_i ? fr_half(add_factor_q) : add_factor_q;
      half_twiddle_q <= add_twiddle_q;
    end
  end

  fr_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i(half_valid_q),
    .a_i    (half_factor_q),
    .b_i    (half_twiddle_q),
    .valid_o(product_valid),
    .p_o    (product)
  );

  delay_memory #(
    .Width(FrBits),
    .Delay(FrMulLatency)
  ) u_keep (
    .clk_i,
    .rst_ni,
    .valid_i(half_valid_q),
    .data_i (half_keep_q),
    .data_o (keep)
  );

  // Sum and difference after the product (forward only).
  always_ff @(posedge clk_i) begin
    if (product_valid) begin
      u_o <= inverse_i ? keep : fr_add(keep, product);
      v_o <= inverse_i ? product : fr_sub(keep, product);
    end
  end
endmodule
