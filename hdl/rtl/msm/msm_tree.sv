// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Second half of the aggregation: puts the columns of a batch of windows together.
// With columns s = 0 .. S - 1 and the sums that msm_rows left,
//   window = S * sum of weighted_s + sum of (s + 1) * plain_s.
// A binary tree. At level l, node s (a multiple of 2^(l+1)) takes its partner s + 2^l:
//   step A   weighted += weighted';  column += column';  plain += plain'
//   step B   column += plain' (of before step A);  plain *= 2;  weighted *= 2
// where plain stands for 2^l times the node's plain sum, and column for the sum of
// (place in the node + 1) * plain_s, which is plain itself at a leaf. The factor S
// takes as many doublings as there are levels: one in each step B, except on the two
// lowest levels, where nodes are many; the two that lack are made at the end.
// All additions of a step are independent; a step waits for the one before.
// Used by: msm_unit; its additions go through msm_scheduler.
module msm_tree
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  window_bits_t       window_bits_i,
  input  logic               flush_i,         // level: stop
  input  logic               batch_i,         // pulse: the sums of the next batch are there
  input  win_t         [1:0] batch_first_i,   // by parity
  input  win_t         [1:0] batch_last_i,
  output logic               done_o,          // pulse: the batch's windows are in the node memory
  output win_mask_t          done_windows_o,  // which, with done_o
  input  win_mask_t          waiting_i,       // windows' sums that must not be overwritten yet

  output logic     op_valid_o,
  output node_op_t op_o,
  input  logic     op_grant_i,
  input  logic     op_return_i
);

  typedef enum logic [2:0] {
    StIdle,
    StMerge,   // step A
    StCarry,   // step B
    StScale,   // the doublings that lack
    StFinish,  // window = weighted + column
    StDrain
  } state_e;
  typedef logic [ChainsLog2:0] span_t;
  localparam int unsigned LateLevels = 2;  // levels without a doubling of the weighted sums

  wire log_t        columns_log = ColumnsLog2[window_bits_i];
  wire log_t        batch_log = BatchLog2[window_bits_i];

  state_e           state_q;
  logic       [1:0] batches_q;  // announced and not done
  logic             odd_q;
  log_t             level_q;
  node_kind_e       kind_q;  // NodeWeighted, NodeColumn, NodePlain: in this order
  chain_t           column_q;
  win_t             win_q;  // within the batch
  logic             fresh_q;  // the first addition of a step, which waits for the step before
  logic       [8:0] under_way_q;

  wire              last_level = level_q == columns_log - 1'b1;
  wire              tree_step = state_q == StMerge || state_q == StCarry;
  wire span_t       columns = span_t'(1) << columns_log;
  wire span_t       stride = tree_step ? span_t'(2) << level_q : columns;
  wire              last_win = win_q == batch_last_i[odd_q] - batch_first_i[odd_q];
  wire              last_column = span_t'(column_q) + stride >= columns;

  // Which sums a step makes.
  logic column, plain;
  always_comb begin
    column = 1'b0;
    plain = 1'b0;
    unique case (state_q)
      StMerge: begin
        column = level_q != '0;
        plain = level_q == '0 || !last_level;
      end
      StCarry: begin
        column = 1'b1;
        plain = !last_level;
      end
      default: ;
    endcase
  end
  node_kind_e first_of_carry;  // in step A the weighted sums are always made
  assign first_of_carry = (level_q >= log_t'(LateLevels)) ? NodeWeighted : NodeColumn;
  wire       last_kind = (kind_q == NodePlain) || (kind_q == NodeColumn && !plain) || (kind_q == NodeWeighted && !column && !plain);
  wire       step_done = op_grant_i && last_win && last_column && last_kind;

  // ---- The addition ----
  win_mask_t in_batch;
  always_comb begin
    for (int unsigned w = 0; w < UnitWindows; w++) begin
      in_batch[w] = win_t'(w) >= batch_first_i[odd_q] && win_t'(w) <= batch_last_i[odd_q];
    end
  end
  wire results_free = (waiting_i & in_batch) == '0;
  assign op_valid_o = (tree_step || state_q == StScale || (state_q == StFinish && results_free)) && (!fresh_q || under_way_q == '0);

  node_addr_t here, there;
  always_comb begin
    here = '{kind: kind_q, odd: odd_q, chain: (column_q << batch_log) | chain_t'(win_q)};
    there = here;
    there.chain = here.chain | ((chain_t'(1) << level_q) << batch_log);
    op_o = '{owner: OwnerTree, last: 1'b0, dst: here, x: here, x_infinity: 1'b0, y: here};
    unique case (state_q)
      StMerge: op_o.y = there;
      StCarry: begin
        if (kind_q == NodeColumn) begin
          if (level_q == '0) op_o.x.kind = NodePlain;
          op_o.y = there;
          op_o.y.kind = NodePlain;
        end
      end
      StFinish: begin
        op_o.dst = window_addr(batch_first_i[odd_q] + win_q);
        op_o.y.kind = (columns_log == '0) ? NodePlain : NodeColumn;
      end
      default: ;
    endcase
  end

  // ---- Steps ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      batches_q <= '0;
      odd_q <= 1'b0;
      level_q <= '0;
      kind_q <= NodeWeighted;
      column_q <= '0;
      win_q <= '0;
      fresh_q <= 1'b0;
    end else if (flush_i) begin
      state_q <= StIdle;
      batches_q <= '0;
      odd_q <= 1'b0;
    end else begin
      batches_q <= batches_q + 2'(batch_i) - 2'(done_o);

      // Order within a step: kinds, columns, windows.
      if (op_grant_i) begin
        fresh_q <= 1'b0;
        win_q <= last_win ? '0 : win_q + 1'b1;
        if (last_win) column_q <= last_column ? '0 : column_q + chain_t'(stride);
        if (last_win && last_column) kind_q <= (kind_q == NodeWeighted && column) ? NodeColumn : NodePlain;
      end
      if (step_done) fresh_q <= 1'b1;

      unique case (state_q)
        StIdle: begin
          level_q <= '0;
          kind_q <= NodeWeighted;
          column_q <= '0;
          win_q <= '0;
          fresh_q <= 1'b0;
          if (batches_q != '0) begin
            odd_q <= !odd_q;
            state_q <= (columns_log == '0) ? StFinish : StMerge;
          end
        end
        StMerge: begin
          if (step_done) begin
            kind_q <= first_of_carry;
            state_q <= StCarry;
          end
        end
        StCarry: begin
          if (step_done) begin
            kind_q <= NodeWeighted;
            level_q <= last_level ? '0 : level_q + 1'b1;
            state_q <= last_level ? StScale : StMerge;
          end
        end
        StScale: begin
          if (step_done) begin
            kind_q <= NodeWeighted;
            level_q <= level_q + 1'b1;
            if (level_q + 1'b1 == log_t'(LateLevels) || level_q + 1'b1 == columns_log) state_q <= StFinish;
          end
        end
        StFinish: if (step_done) state_q <= StDrain;
        default:  if (under_way_q == '0) state_q <= StIdle;
      endcase
    end
  end
  assign done_o = state_q == StDrain && under_way_q == '0;
  assign done_windows_o = done_o ? in_batch : '0;

  // What is under way after a flush still returns.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) under_way_q <= '0;
    else under_way_q <= under_way_q + 9'(op_grant_i) - 9'(op_return_i);
  end

endmodule
