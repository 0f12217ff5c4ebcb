// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Walks over the rows of a pass's tiles: 2^outer times 2^inner tiles of 2^rows rows,
// rows fastest, one row for each step. Used by: ntt_source, ntt_sink.
module ntt_walk
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic   start_i,   // from the first row
  input  logic   flush_i,   // no more rows
  input  logic   step_i,    // only while active_o is set
  input  log2_t  rows_i,    // constant from start_i on, as the next two; at most NttStages
  input  log2_t  inner_i,
  input  log2_t  outer_i,
  output logic   active_o,  // the row below is to be taken
  output row_t   row_o,
  output index_t inner_o,
  output index_t outer_o
);
  logic active_q;
  row_t row_q;
  index_t inner_q, outer_q;
  wire row_ends = 32'(row_q) == (32'd1 << rows_i) - 32'd1;
  wire inner_ends = row_ends && inner_q == (32'd1 << inner_i) - 32'd1;
  wire outer_ends = inner_ends && outer_q == (32'd1 << outer_i) - 32'd1;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      row_q    <= '0;
      inner_q  <= '0;
      outer_q  <= '0;
    end else if (start_i) begin
      active_q <= 1'b1;
      row_q    <= '0;
      inner_q  <= '0;
      outer_q  <= '0;
    end else begin
      if (step_i) begin
        row_q <= row_ends ? '0 : row_q + 1'b1;
        if (row_ends) inner_q <= inner_ends ? '0 : inner_q + 1'b1;
        if (inner_ends) outer_q <= outer_q + 1'b1;
      end
      if (flush_i || (step_i && outer_ends)) active_q <= 1'b0;
    end
  end

  assign active_o = active_q;
  assign row_o = row_q;
  assign inner_o = inner_q;
  assign outer_o = outer_q;
endmodule
