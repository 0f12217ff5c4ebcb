// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// First half of the aggregation: the sum of (b + 1) * bucket b for each window of a
// unit, from the highest window down, in batches. The buckets of a window are a
// matrix, b = row * columns + column. A column is a chain; all chains of a batch
// advance together, so that the adder stays full: from the highest used row down
//   weighted += plain   (the plain sum before)
//   plain += bucket
// which leaves plain = sum of the column's buckets, weighted = sum of row * bucket.
// Additions start in a fixed order and sums return in order, so an addition whose
// operand was made d additions ago may start when at most d - 1 are under way: no
// addresses need to be compared. msm_tree puts the columns together, beside the next
// batch. A batch starts when nothing is under way for its own windows, so the last
// additions of lower windows go on meanwhile; a batch without digits is skipped.
// Used by: msm_unit; its additions go through msm_scheduler.
module msm_rows
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic                           start_i,         // pulse: the buckets of a group are to be summed
  input  logic                           has_windows_i,   // the unit has windows in the group
  input  win_t                           last_win_i,      // the highest of them; held
  input  window_bits_t                   window_bits_i,
  input  win_mask_t                      touched_i,       // windows with a digit
  input  bucket_t      [UnitWindows-1:0] highest_i,       // their highest used bucket
  input  win_mask_t                      windows_busy_i,
  input  logic                           flush_i,         // level: stop
  output logic                           busy_o,          // buckets are still to be taken

  // Batches, to msm_tree: by parity, held until it is done with them
  output win_t [1:0] batch_first_o,
  output win_t [1:0] batch_last_o,
  input  logic       tree_done_i,    // pulse: a batch is put together

  // Windows that have no sum, to msm_combine
  input  win_mask_t waiting_i,  // windows that it has not consumed yet
  output win_mask_t skipped_o,  // pulses

  output logic     op_valid_o,
  output node_op_t op_o,
  output take_t    take_o,
  input  logic     op_grant_i,
  input  logic     op_return_i
);

  typedef enum logic [1:0] {
    StIdle,
    StPick,  // a batch: wait for its windows, or skip it
    StSum
  } state_e;
  // Up to all chains twice, and beyond.
  typedef logic [ChainsLog2+2:0] level_t;

  // ---- Shape, constant over a run ----
  wire log_t         batch_log = BatchLog2[window_bits_i];
  wire log_t         columns_log = ColumnsLog2[window_bits_i];
  wire win_t         batch_span = (win_t'(1) << batch_log) - 1'b1;
  wire chain_t       last_column = (chain_t'(1) << columns_log) - 1'b1;

  // ---- State ----
  state_e            state_q;
  win_t              first_q;  // lowest window of the batch
  logic              odd_q;
  logic        [1:0] open_q;  // batches summed or being summed that msm_tree has not finished
  bucket_t top_row_q, row_q;
  chain_t      column_q;
  win_t        win_q;  // within the batch
  logic        plain_q;  // the addition makes a plain sum (else a weighted one)
  level_t      under_way_q;

  wire win_t   batch_last = (last_win_i - first_q > batch_span) ? first_q + batch_span : last_win_i;
  wire win_t   count_less_one = batch_last_o[odd_q] - first_q;
  wire level_t chains = (level_t'(count_less_one) + 1'b1) << columns_log;
  win_mask_t   in_batch;
  bucket_t     highest;

  always_comb begin
    highest = '0;
    for (int unsigned w = 0; w < UnitWindows; w++) begin
      in_batch[w] = win_t'(w) >= first_q && win_t'(w) <= batch_last;
      if (in_batch[w] && highest_i[w] > highest) highest = highest_i[w];
    end
  end
  wire skip = (touched_i & in_batch) == '0;
  // The same windows of the group before may still be in msm_tree: their sums come first.
  wire in_tree = (open_q != '0 && batch_first_o[odd_q] == first_q) || (open_q == 2'd2 && batch_first_o[!odd_q] == first_q);
  wire skip_now = state_q == StPick && skip && !in_tree && (waiting_i & in_batch) == '0;
  wire start_now = state_q == StPick && !skip && (windows_busy_i & in_batch) == '0 && open_q != 2'd2;
  assign skipped_o = (skip_now && !flush_i) ? in_batch : '0;

  // ---- The addition ----
  wire    first_row = row_q == top_row_q;
  level_t allowed;  // additions that may be under way when this one starts
  always_comb begin
    if (first_row) allowed = '1;
    else if (row_q + 1'b1 == top_row_q) allowed = chains - level_t'(1);
    else allowed = (chains << 1) - level_t'(2);
  end
  assign op_valid_o = state_q == StSum && under_way_q <= allowed;

  wire          last_win = win_q == count_less_one;
  wire          last_chain = last_win && column_q == last_column;
  wire          row_done = op_grant_i && last_chain && plain_q;
  wire win_t    win = first_q + win_q;
  wire bucket_t bucket = (row_q << columns_log) | bucket_t'(column_q);
  wire chain_t  chain = (column_q << batch_log) | chain_t'(win_q);
  node_addr_t plain_here, weighted_here;

  always_comb begin
    plain_here = '{kind: NodePlain, odd: odd_q, chain: chain};
    weighted_here = '{kind: NodeWeighted, odd: odd_q, chain: chain};
    op_o = '{
        owner: OwnerSum,
        last: row_q == '0 && last_chain && plain_q,
        dst: plain_q ? plain_here : weighted_here,
        x: plain_q ? plain_here : weighted_here,
        x_infinity: plain_q ? first_row : row_q + 1'b1 == top_row_q,
        y: plain_here
    };
    take_o = '{
        valid: state_q == StSum && plain_q,
        bank: bank_of(win, bucket),
        place: place_of(win, bucket, window_bits_i)
    };
  end

  // ---- Steps ----
  wire batch_done = row_done && row_q == '0;
  wire to_next = (batch_done || skip_now) && first_q != '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      first_q <= '0;
      odd_q <= 1'b0;
      open_q <= '0;
      top_row_q <= '0;
      row_q <= '0;
      column_q <= '0;
      win_q <= '0;
      plain_q <= 1'b0;
      batch_first_o <= '0;
      batch_last_o <= '0;
    end else if (flush_i) begin
      state_q <= StIdle;
      odd_q <= 1'b0;
      open_q <= '0;
    end else begin
      open_q <= open_q + 2'(start_now) - 2'(tree_done_i);
      // Order within a row: columns, windows, weighted then plain.
      if (op_grant_i) begin
        if (!plain_q) plain_q <= 1'b1;
        else begin
          plain_q <= first_row && !last_chain;
          win_q <= last_win ? '0 : win_q + 1'b1;
          if (last_win) column_q <= last_chain ? '0 : column_q + 1'b1;
          if (last_chain) row_q <= row_q - 1'b1;
        end
      end

      unique case (state_q)
        StIdle: begin
          first_q <= (last_win_i >> batch_log) << batch_log;
          if (start_i && has_windows_i) state_q <= StPick;
        end
        StPick: begin
          // At least two rows, so that there is a weighted sum.
          top_row_q <= ((highest >> columns_log) == '0) ? bucket_t'(1) : highest >> columns_log;
          row_q <= ((highest >> columns_log) == '0) ? bucket_t'(1) : highest >> columns_log;
          column_q <= '0;
          win_q <= '0;
          plain_q <= 1'b1;
          if (start_now) begin
            odd_q <= !odd_q;
            batch_first_o[!odd_q] <= first_q;
            batch_last_o[!odd_q] <= batch_last;
            state_q <= StSum;
          end
        end
        default: if (batch_done) state_q <= StPick;
      endcase
      if (to_next) first_q <= first_q - batch_span - 1'b1;
      if ((batch_done || skip_now) && first_q == '0) state_q <= StIdle;
    end
  end
  assign busy_o = state_q != StIdle;

  // What is under way after a flush still returns.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) under_way_q <= '0;
    else under_way_q <= under_way_q + level_t'(op_grant_i) - level_t'(op_return_i);
  end

endmodule
