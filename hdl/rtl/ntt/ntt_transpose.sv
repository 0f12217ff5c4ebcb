// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Turns blocks of 2^columns rows and as many columns: what came row by row leaves
// column by column, a beat two rows of one column. Rows come in the order of
// row_of(), so those of two blocks alternate, unless a tile is one block. One half
// of its memory fills while the other leaves, one beat a cycle each way.
// Used by: ntt_sink.
module ntt_transpose
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input logic  clear_i,
  input pass_t pass_i,   // constant from clear_i on; columns is not 0

  input  logic  valid_i,
  output logic  ready_o,
  input  pair_t pair_i,
  output logic  valid_o,
  input  logic  ready_i,
  output pair_t pair_o
);
  typedef logic [ColumnsLog2-1:0] line_t;  // a row or a column of a block
  typedef logic [ColumnsLog2-2:0] half_line_t;
  // Where an element lies in its bank: half, block, row, half of the column.
  typedef struct packed {
    logic       half;
    logic       block;
    line_t      row;
    half_line_t column;
  } place_t;

  wire                             one_block = pass_i.rows == pass_i.columns;
  wire half_line_t                 last_pair = half_line_t'((32'd1 << (pass_i.columns - 1'b1)) - 32'd1);
  wire line_t                      last_line = line_t'((32'd1 << pass_i.columns) - 32'd1);

  // ---- In ----
  logic                            in_half_q;
  logic            [ColumnsLog2:0] turn_q;
  half_line_t                      in_pair_q;
  logic            [          1:0] full_q;
  line_t                           in_row;
  logic                            in_block;
  wire                             take = valid_i && ready_o;
  wire                             row_ends = in_pair_q == last_pair;
  wire                             in_ends = row_ends && turn_q == (one_block ? {1'b0, last_line} : {last_line, 1'b1});

  assign ready_o = !full_q[in_half_q];
  assign in_block = !one_block && turn_q[0];
  assign in_row = one_block ? line_t'(row_of(row_t'(turn_q), pass_i.columns)) : turn_q[ColumnsLog2:1];

  // ---- Out ----
  logic out_half_q, out_block_q, valid_q, swap_q;
  line_t      out_column_q;
  half_line_t out_pair_q;
  wire        move = full_q[out_half_q] && (!valid_q || ready_i);
  wire        column_ends = out_pair_q == last_pair;
  wire        block_ends = column_ends && out_column_q == last_line;
  wire        out_ends = block_ends && (one_block || out_block_q);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {in_half_q, turn_q, in_pair_q, full_q} <= '0;
      {out_half_q, out_block_q, out_column_q, out_pair_q, valid_q} <= '0;
    end else if (clear_i) begin
      {in_half_q, turn_q, in_pair_q, full_q} <= '0;
      {out_half_q, out_block_q, out_column_q, out_pair_q, valid_q} <= '0;
    end else begin
      if (take) begin
        in_pair_q <= row_ends ? '0 : in_pair_q + 1'b1;
        if (row_ends) turn_q <= in_ends ? '0 : turn_q + 1'b1;
        if (in_ends) begin
          in_half_q <= !in_half_q;
          full_q[in_half_q] <= 1'b1;
        end
      end
      if (move) begin
        out_pair_q <= column_ends ? '0 : out_pair_q + 1'b1;
        if (column_ends) out_column_q <= block_ends ? '0 : out_column_q + 1'b1;
        if (block_ends) out_block_q <= !out_ends;
        if (out_ends) begin
          out_half_q <= !out_half_q;
          full_q[out_half_q] <= 1'b0;
        end
      end
      valid_q <= move || (valid_q && !ready_i);
    end
  end

  // ---- Two banks: neighbours in a row, and in a column, lie in different ones ----
  for (genvar b = 0; b < 2; b++) begin : gen_bank
    fr_t data_q                               [1 << $bits(place_t)];
    fr_t out_q;
    // The row of the pair that this bank holds of the column that leaves.
    wire odd_row = out_column_q[0] ^ (b == 1);
    place_t write, read;
    assign write = '{half: in_half_q, block: in_block, row: in_row, column: in_pair_q};
    assign read = '{half: out_half_q, block: out_block_q, row: {out_pair_q, odd_row}, column: out_column_q[ColumnsLog2-1:1]};

    always_ff @(posedge clk_i) begin
      if (take) data_q[write] <= (in_row[0] ^ (b == 1)) ? pair_i.odd : pair_i.even;
      if (move) out_q <= data_q[read];
    end
  end

  always_ff @(posedge clk_i) begin
    if (move) swap_q <= out_column_q[0];
  end

  assign valid_o = valid_q;
  assign pair_o = swap_q ? '{odd: gen_bank[0].out_q, even: gen_bank[1].out_q} : '{odd: gen_bank[1].out_q, even: gen_bank[0].out_q};
  wire unused = &{1'b0, pass_i};
endmodule
