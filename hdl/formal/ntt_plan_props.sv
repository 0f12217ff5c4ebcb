// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The passes that ntt_control plans for a transform, of any size that is built: each reads
// every element of its buffer once and writes every element once, in rows of neighbouring
// beats; together they have as many rows as the transform has bits; each reads what the one
// before wrote, the first the source, and the last writes the destination.
// The rows of two freely chosen tiles stand for all. Used by: scripts/formal.sh; explained
// in hdl/formal/README.md.
module ntt_plan_props
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic     clk_i,
  input logic     rst_ni,
  input command_t cmd_i,

  // The prover's choice: two rows of a pass
  input index_t outer_i,
  input index_t inner_i,
  input row_t   row_i,
  input index_t other_outer_i,
  input index_t other_inner_i,
  input row_t   other_row_i
);
  typedef logic [7:0] number_t;

  logic busy, done, start, running, stop;
  unit_result_t result;
  pass_t        pass;
  addr_t from, to;
  logic started_q = 1'b0, sent_q = 1'b0;
  command_t cmd_q;

  // One command, at once; passes end as soon as they have begun.
  ntt_control u_dut (
    .clk_i,
    .rst_ni,
    .start_i      (rst_ni && !sent_q),
    .cmd_i        (cmd_q),
    .abort_i      (1'b0),
    .busy_o       (busy),
    .done_o       (done),
    .result_o     (result),
    .start_o      (start),
    .pass_o       (pass),
    .running_o    (running),
    .from_o       (from),
    .to_o         (to),
    .stop_o       (stop),
    .moving_i     (1'b0),
    .filling_i    (1'b0),
    .computed_i   (1'b0),
    .read_error_i (1'b0),
    .write_error_i(1'b0),
    .bad_i        (1'b0)
  );
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) cmd_q <= cmd_i;
    sent_q <= rst_ni;
  end

  // ---- What has been planned so far ----
  number_t rows_q, passes_q;
  logic       last_q;  // the last pass has begun
  addr_t      expected_q;  // where the next pass has to read
  wire log2_t log2n = cmd_q.log2n[Log2Bits-1:0];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      rows_q <= '0;
      passes_q <= '0;
      last_q <= 1'b0;
      expected_q <= cmd_i.op[0];
    end else if (start) begin
      last_q <= pass.last;
      rows_q <= rows_q + number_t'(pass.rows);
      passes_q <= passes_q + 1'b1;
      expected_q <= to;
    end
  end

  // ---- Where rows begin, and how long they are (log2 of elements) ----
  // A read row is 2^columns elements, or all of a transform of one beat; what is written is the same,
  // in a first pass a block of 2^columns of them.
  wire log2_t read_rows = timed_rows(pass.rows, pass.columns);
  wire log2_t read_length = (pass.columns == '0) ? pass.log2n : pass.columns;
  wire log2_t write_rows = pass.first ? pass.rows - pass.columns : read_rows;
  wire log2_t write_length = pass.first ? pass.columns + pass.columns : read_length;
  function automatic index_t bits(log2_t length);
    return (32'd1 << length) - 32'd1;
  endfunction
  wire index_t read_at = element_at(outer_i, pass.read_outer, inner_i, pass.read_inner, row_i, pass.read_row);
  wire index_t other_read_at = element_at(other_outer_i, pass.read_outer, other_inner_i, pass.read_inner, other_row_i, pass.read_row);
  wire index_t write_at = element_at(outer_i, pass.write_outer, inner_i, pass.write_inner, row_i, pass.write_row);
  wire index_t other_write_at = element_at(other_outer_i, pass.write_outer, other_inner_i, pass.write_inner, other_row_i, pass.write_row);
  wire         same_tile = outer_i == other_outer_i && inner_i == other_inner_i;
  function automatic logic is_row(index_t outer, index_t inner, row_t row, log2_t rows, pass_t of);
    return outer <= bits(of.outer) && inner <= bits(of.inner) && index_t'(row) <= bits(rows);
  endfunction
  wire both_read = is_row(outer_i, inner_i, row_i, read_rows, pass) && is_row(other_outer_i, other_inner_i, other_row_i, read_rows, pass);
  wire both_written = is_row(
    outer_i, inner_i, row_i, write_rows, pass
  ) && is_row(
    other_outer_i, other_inner_i, other_row_i, write_rows, pass
  );

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    e_size : assume (32'(cmd_i.log2n) <= NttMaxLog2);
    e_buffers : assume (cmd_i.op[0] != cmd_i.op[1] && cmd_i.op[1] != cmd_i.op[2] && cmd_i.op[0] != cmd_i.op[2]);
    if (rst_ni && start) begin
      // As many rows as there are elements, none outside, no two at one place: every element once.
      a_reads_all :
      assert (number_t'(pass.outer) + number_t'(pass.inner) + number_t'(read_rows) + number_t'(read_length) == number_t'(pass.log2n));
      a_writes_all :
      assert (number_t'(pass.outer) + number_t'(pass.inner) + number_t'(write_rows) + number_t'(write_length) == number_t'(pass.log2n));
      if (both_read) begin
        a_reads_within : assert ((read_at >> read_length << read_length) == read_at && read_at <= bits(pass.log2n));
        a_reads_once : assert (read_at != other_read_at || (same_tile && row_i == other_row_i));
      end
      if (both_written) begin
        a_writes_within : assert ((write_at >> write_length << write_length) == write_at && write_at <= bits(pass.log2n));
        a_writes_once : assert (write_at != other_write_at || (same_tile && row_i == other_row_i));
      end
      a_fits :
      assert (32'(pass.rows) <= NttStages && 32'(pass.columns) <= ColumnsLog2 && pass.columns <= pass.rows
          && number_t'(pass.rows) + number_t'(pass.columns) <= number_t'(pass.log2n));
      a_reads_what_was_written : assert (from == expected_q && to != from && (passes_q == '0 || to != cmd_q.op[0]));
      a_ends_in_the_destination : assert (!pass.last || (to == cmd_q.op[1] && rows_q + number_t'(pass.rows) == number_t'(log2n)));
      a_no_more_after_the_last : assert (!last_q);
      a_at_most_three : assert (passes_q < 3 && (!pass.first || passes_q == '0) && pass.log2n == log2n);
    end
    if (rst_ni) begin
      a_done_after_all : assert (!done || (last_q && rows_q == number_t'(log2n)));
      c_done_after_one : cover (done && passes_q == 1);
      c_done_after_two : cover (done && passes_q == 2 && log2n == 20);
      c_done_after_three : cover (done && passes_q == 3 && log2n == 28);
      c_three : cover (start && passes_q == 2 && pass.last);
      c_none : cover (start && log2n == '0 && pass.last);
    end
  end
  wire unused = &{1'b0, busy, result, running, stop, sent_q};

endmodule
