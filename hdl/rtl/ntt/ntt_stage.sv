// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// One stage of the cascade: brings the two rows of a butterfly into one beat,
// multiplies the upper one by its twiddle, adds and subtracts. One butterfly a
// cycle, free running: StageLatency cycles behind the commutator.
//
// Stage `Index` joins transforms of 2^Index rows to such of twice the size
// (decimation in time). Its 2^Index twiddles lie in a table that ntt_twiddles
// fills before a pass. Used by: ntt_cascade.
module ntt_stage
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
#(
  parameter int unsigned Index = 0
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic  clear_i,    // a pass begins
  input  log2_t columns_i,  // constant from clear_i on
  input  logic  valid_i,
  input  pair_t pair_i,
  output logic  valid_o,
  output pair_t pair_o,

  // Table, between passes: what is read at one edge is there after it
  input  logic fill_i,
  input  row_t fill_read_i,
  output fr_t  fill_data_o,
  input  logic fill_write_i,
  input  row_t fill_address_i,
  input  fr_t  fill_data_i
);
  localparam int unsigned MaxLog2 = ColumnsLog2 - 1 + Index;
  localparam int unsigned AddressBits = (Index == 0) ? 1 : Index;
  typedef logic [AddressBits-1:0] address_t;

  // ---- Rows into one beat ----
  logic  paired;
  pair_t pair;

  ntt_commutator #(
    .MaxLog2(MaxLog2)
  ) u_commutator (
    .clk_i,
    .rst_ni,
    .clear_i,
    .bypass_i(columns_i == '0),
    .log2_i  (row_beats(columns_i) + log2_t'(Index)),
    .valid_i,
    .pair_i,
    .valid_o (paired),
    .pair_o  (pair)
  );

  // ---- Twiddle: the lower bits of the row, above the columns ----
  fr_t                     table_q [1 << Index];
  logic     [TileLog2-1:0] count_q;
  address_t                address;
  logic                    valid_q;
  fr_t keep_q, factor_q, twiddle_q;

  assign address = (Index == 0) ? '0 : fill_i ? address_t'(fill_read_i) : address_t'(count_q >> columns_i);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      count_q <= '0;
      valid_q <= 1'b0;
    end else begin
      valid_q <= paired;
      if (clear_i) count_q <= '0;
      else if (paired) count_q <= count_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (fill_write_i) table_q[(Index==0)?0 : 32'(address_t'(fill_address_i))] <= fill_data_i;
    if (fill_i || paired) twiddle_q <= table_q[(Index==0)?0 : 32'(address)];
    if (paired) begin
      keep_q   <= pair.even;
      factor_q <= pair.odd;
    end
  end
  assign fill_data_o = twiddle_q;

  // ---- Butterfly ----
  logic product_valid;
  fr_t product, keep;

  fr_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .a_i    (factor_q),
    .b_i    (twiddle_q),
    .valid_o(product_valid),
    .p_o    (product)
  );

  delay_memory #(
    .Width(FrBits),
    .Delay(FrMulLatency)
  ) u_keep (
    .clk_i,
    .rst_ni,
    .valid_i(valid_q),
    .data_i (keep_q),
    .data_o (keep)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= product_valid;
  end

  always_ff @(posedge clk_i) begin
    if (product_valid) pair_o <= '{odd: fr_sub(keep, product), even: fr_add(keep, product)};
  end

  wire unused = &{1'b0, fill_read_i, fill_address_i};
endmodule
