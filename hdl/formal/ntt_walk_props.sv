// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// ntt_walk visits every row of every tile exactly once: what it names are the digits of the
// number of steps so far, and it ends after 2^(outer + inner + rows) of them. With
// ntt_plan_props, by which different rows lie at different places, a pass reads and
// writes every element once. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module ntt_walk_props
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic  clk_i,
  input logic  rst_ni,
  input logic  start_i,
  input logic  flush_i,
  input logic  step_i,
  input log2_t rows_i,
  input log2_t inner_i,
  input log2_t outer_i
);
  localparam int unsigned MostLog2 = 12;
  typedef logic [15:0] number_t;

  logic active;
  row_t row;
  index_t inner, outer;
  log2_t rows_q, inner_q, outer_q;

  ntt_walk u_dut (
    .clk_i,
    .rst_ni,
    .start_i,
    .flush_i,
    .step_i,
    .rows_i  (rows_q),
    .inner_i (inner_q),
    .outer_i (outer_q),
    .active_o(active),
    .row_o   (row),
    .inner_o (inner),
    .outer_o (outer)
  );

  logic         started_q = 1'b0;
  logic         flushed_q;
  number_t      steps_q;
  wire number_t total = number_t'(1) << (rows_q + inner_q + outer_q);

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    // The pass is there one cycle before the start, and stays.
    if (!rst_ni || (!active && !start_i)) {rows_q, inner_q, outer_q} <= {rows_i, inner_i, outer_i};
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      steps_q <= '0;
      flushed_q <= 1'b1;
    end else if (start_i) begin
      steps_q <= '0;
      flushed_q <= 1'b0;
    end else begin
      steps_q <= steps_q + number_t'(step_i);
      if (flush_i || (!active && !start_i)) flushed_q <= 1'b1;
    end
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_step : assume (!step_i || active);
    e_start : assume (!start_i || !active);
    e_rows :
    assume (32'(rows_i) <= NttStages && 32'(inner_i) <= MostLog2 && 32'(outer_i) <= MostLog2
        && 32'(rows_i) + 32'(inner_i) + 32'(outer_i) <= MostLog2);
    if (rst_ni) begin
      if (active) begin
        a_digits :
        assert (steps_q == (((number_t'(outer) << inner_q) + number_t'(inner)) << rows_q) + number_t'(row)
            && 32'(row) < (32'd1 << rows_q) && inner < (32'd1 << inner_q) && outer < (32'd1 << outer_q));
      end
      a_all_of_them : assert (flushed_q || (active ? steps_q < total : steps_q == total));
      i_sizes :
      assert (32'(rows_q) <= NttStages && 32'(inner_q) <= MostLog2 && 32'(outer_q) <= MostLog2
          && 32'(rows_q) + 32'(inner_q) + 32'(outer_q) <= MostLog2);
      c_end : cover (!flushed_q && !active && steps_q == 8 && inner_q == 1 && outer_q == 1);
    end
  end

endmodule
