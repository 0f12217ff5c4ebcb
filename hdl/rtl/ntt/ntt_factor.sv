// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Multiplies what leaves the cascade by its factor, two elements a cycle, free
// running: between two passes a root of unity, after the last one of an inverse
// transform 1/n, and on a coset the power of 1/7, or of the root of order 2n, that
// undoes the shift.
//
// A factor is a power x of one base, the product of an entry of each of two
// tables: high[x >> split] low[x mod 2^split]. With k the row, c the column:
//   first pass of several   x = k (inner 2^columns + c)    base: root of order n (its inverse: -x)
//   one between             x = k inner 2^done             likewise
//   last pass               x = number of the element      base: 1/shift or 1; high[] begins with 1/n
// Used by: ntt_engine.
module ntt_factor
  import carillon_pkg::*;
  import ntt_pkg::*;
  import ntt_constants_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic  start_i,  // a pass begins: fill the tables
  input  logic  stop_i,
  input  pass_t pass_i,   // constant from start_i on
  output logic  busy_o,   // tables are being filled

  input  logic  valid_i,
  input  pair_t pair_i,
  output logic  valid_o,
  output pair_t pair_o
);
  // ---- Where a beat belongs ----
  logic [ColumnsLog2-1:0] beat_q;
  row_t                   turn_q;
  index_t inner_q, outer_q;
  wire row_ends = 32'(beat_q) == (32'd1 << row_beats(pass_i.columns)) - 32'd1;
  wire tile_ends = row_ends && 32'(turn_q) == (32'd1 << timed_rows(pass_i.rows, pass_i.columns)) - 32'd1;
  wire inner_ends = tile_ends && inner_q == (32'd1 << pass_i.inner) - 32'd1;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      beat_q  <= '0;
      turn_q  <= '0;
      inner_q <= '0;
      outer_q <= '0;
    end else if (start_i) begin
      beat_q  <= '0;
      turn_q  <= '0;
      inner_q <= '0;
      outer_q <= '0;
    end else if (valid_i) begin
      beat_q <= row_ends ? '0 : beat_q + 1'b1;
      if (row_ends) turn_q <= tile_ends ? '0 : turn_q + 1'b1;
      if (tile_ends) inner_q <= inner_ends ? '0 : inner_q + 1'b1;
      if (inner_ends) outer_q <= outer_q + 1'b1;
    end
  end

  // ---- Exponents ----
  logic valid_q, exponent_valid_q, read_valid_q;
  index_t product_q, row_q, place_q, exponent_q[2], exponent[2];
  index_t row, column;
  log2_t split;
  assign row    = index_t'(row_of(turn_q, timed_rows(pass_i.rows, pass_i.columns)));
  assign column = index_t'({beat_q, 1'b0});
  assign split  = pass_i.log2n >> 1;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      product_q <= row * (pass_i.first ? (inner_q << pass_i.columns) + column : inner_q << pass_i.done);
      row_q     <= pass_i.first ? row : '0;
      place_q   <= (outer_q << pass_i.write_outer) + (inner_q << pass_i.write_inner) + (row << pass_i.write_row) + column;
    end
    if (valid_q) exponent_q <= exponent;
  end

  always_comb begin
    exponent[0] = pass_i.last ? place_q : pass_i.inverse ? -product_q : product_q;
    exponent[1] = pass_i.last ? place_q + 32'd1 : pass_i.inverse ? -product_q - row_q : product_q + row_q;
  end

  // ---- Tables and factors ----
  typedef logic [PowersLog2-1:0] address_t;
  address_t high_address[2], low_address[2];
  fr_t high[2], low[2];
  logic high_busy, low_busy;
  logic fill_valid[2];
  fr_t fill_a[2], fill_b[2];
  logic factor_valid[2];
  fr_t  factor      [2];
  logic scaled, constant;  // there is a factor 1/n; all factors are the same
  assign scaled = pass_i.last && pass_i.inverse;

  always_comb begin
    for (int i = 0; i < 2; i++) begin
      high_address[i] = constant ? '0 : address_t'((exponent_q[i] & ((32'd1 << pass_i.log2n) - 32'd1)) >> split);
      low_address[i]  = constant ? '0 : address_t'(exponent_q[i] & ((32'd1 << split) - 32'd1));
    end
  end

  powers_e step;
  assign constant = step == PowersOne;
  always_comb begin
    if (!pass_i.last) step = PowersRoot;
    else if (scaled && pass_i.coset) step = PowersShiftInverse;
    else if (scaled && pass_i.odd) step = PowersRootInverse;
    else step = PowersOne;
  end
  // What the low table's step is, and from there the high one's: 7 to 2^split, roots of order 2^-split as much.
  log2_t order;
  assign order = pass_i.last ? pass_i.log2n + 1'b1 : pass_i.log2n;

  ntt_powers u_high (
    .clk_i,
    .rst_ni,
    .start_i,
    .stop_i,
    .log2_i         (constant ? '0 : pass_i.log2n - split),
    .seed_i         (scaled ? SizeInverse[pass_i.log2n] : FrOne),
    .step_i         (step),
    .base_i         (step == PowersShiftInverse ? split : order - split),
    .busy_o         (high_busy),
    .mul_valid_o    (fill_valid[0]),
    .mul_a_o        (fill_a[0]),
    .mul_b_o        (fill_b[0]),
    .product_valid_i(factor_valid[0] && busy_o),
    .product_i      (factor[0]),
    .read_i         (exponent_valid_q),
    .address_i      (high_address),
    .data_o         (high)
  );

  ntt_powers u_low (
    .clk_i,
    .rst_ni,
    .start_i,
    .stop_i,
    .log2_i         (constant ? '0 : split),
    .seed_i         (FrOne),
    .step_i         (step),
    .base_i         (step == PowersShiftInverse ? '0 : order),
    .busy_o         (low_busy),
    .mul_valid_o    (fill_valid[1]),
    .mul_a_o        (fill_a[1]),
    .mul_b_o        (fill_b[1]),
    .product_valid_i(factor_valid[1] && busy_o),
    .product_i      (factor[1]),
    .read_i         (exponent_valid_q),
    .address_i      (low_address),
    .data_o         (low)
  );

  assign busy_o = high_busy || low_busy;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q          <= 1'b0;
      exponent_valid_q <= 1'b0;
      read_valid_q     <= 1'b0;
    end else begin
      valid_q          <= valid_i && !stop_i;
      exponent_valid_q <= valid_q && !stop_i;
      read_valid_q     <= exponent_valid_q && !stop_i;
    end
  end

  // ---- Products: first the factors, then the elements ----
  fr_t element[2], result[2];
  logic result_valid[2];

  for (genvar i = 0; i < 2; i++) begin : gen_lane
    fr_mul u_factor (
      .clk_i,
      .rst_ni,
      .valid_i(busy_o ? fill_valid[i] : read_valid_q),
      .a_i    (busy_o ? fill_a[i] : high[i]),
      .b_i    (busy_o ? fill_b[i] : low[i]),
      .valid_o(factor_valid[i]),
      .p_o    (factor[i])
    );

    delay_memory #(
      .Width(FrBits),
      .Delay(FrMulLatency + 3)
    ) u_element (
      .clk_i,
      .rst_ni,
      .valid_i(valid_i),
      .data_i (i == 0 ? pair_i.even : pair_i.odd),
      .data_o (element[i])
    );

    fr_mul u_product (
      .clk_i,
      .rst_ni,
      .valid_i(factor_valid[i] && !busy_o && !stop_i),
      .a_i    (element[i]),
      .b_i    (factor[i]),
      .valid_o(result_valid[i]),
      .p_o    (result[i])
    );
  end

  assign valid_o = result_valid[0];
  assign pair_o  = '{odd: result[1], even: result[0]};
  wire unused = &{1'b0, pass_i, result_valid[1]};
endmodule
