// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Combines the sums of a unit's windows into its total, highest window first:
// total = 2^(c A) * total + sum, A the number of units, and at the end 2^(c i) * total
// for unit i. These additions depend on each other, so this runs beside everything
// else; only what follows the last window is waited for. The doublings for a window
// are made before its sum is there. Afterwards other units' totals are added.
// Used by: msm_unit; its additions go through msm_scheduler.
module msm_combine
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter int unsigned Index = 0  // of the unit
) (
  input logic clk_i,
  input logic rst_ni,

  input logic               start_i,        // pulse: a new command; the next four are held
  input window_bits_t       window_bits_i,
  input group_win_t         top_last_i,     // highest window of the topmost group, of all units
  input group_win_t         group_last_i,   // of the other groups
  input logic         [7:0] groups_i,
  input logic               flush_i,        // level: stop

  // Windows' sums in the node memory, and windows that have none
  input  win_mask_t summed_i,
  input  win_mask_t skipped_i,
  output win_mask_t waiting_o,      // announced and not consumed
  output logic      done_o,         // level: the total is there
  output logic      total_valid_o,  // it is in the node memory (else it is infinity)
  input  logic      other_i,        // pulse, while done_o is set: add another unit's total

  output logic     op_valid_o,
  output node_op_t op_o,
  input  logic     op_grant_i,
  input  logic     op_return_i
);

  typedef enum logic [2:0] {
    StIdle,
    StFirst,  // the unit's highest window
    StScale,  // total = 2^(c A) * total
    StAdd,    // total += sum of the window
    StPlace,  // total = 2^(c i) * total
    StDone,
    StOther
  } state_e;
  localparam int unsigned DoublingBits = $clog2(MsmMaxWindowBits * MsmAdders + 1);
  typedef logic [DoublingBits-1:0] doublings_t;
  localparam group_win_t Unit = group_win_t'(Index);

  state_e           state_q;
  win_t             win_q;
  logic       [7:0] groups_q;  // still to come, this one included
  doublings_t       doublings_q;
  logic             total_valid_q;
  logic             started_q;  // this step's addition is under way
  win_mask_t waiting_q, has_sum_q;

  wire doublings_t step = doublings_t'(window_bits_i) << AddersLog2;
  wire doublings_t place = doublings_t'(window_bits_i) * doublings_t'(Index);
  wire             scaled = !total_valid_q || doublings_q == step;
  wire             placed = !total_valid_q || doublings_q == place;
  wire             has_sum = has_sum_q[win_q];
  wire             window_done = state_q == StAdd && waiting_q[win_q] && (!has_sum || op_return_i);

  assign op_valid_o = !started_q && (
    (state_q == StScale && !scaled) || (state_q == StPlace && !placed) || state_q == StOther ||
    (state_q == StAdd && waiting_q[win_q] && has_sum));
  always_comb begin
    op_o = '{owner: OwnerCombine, last: 1'b0, dst: TotalAddr, x: TotalAddr, x_infinity: 1'b0, y: TotalAddr};
    if (state_q == StAdd || state_q == StOther) begin
      op_o.x_infinity = !total_valid_q;
      op_o.y = (state_q == StAdd) ? window_addr(win_q) : OtherAddr;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      win_q <= '0;
      groups_q <= '0;
      doublings_q <= '0;
      total_valid_q <= 1'b0;
      started_q <= 1'b0;
      waiting_q <= '0;
      has_sum_q <= '0;
    end else if (flush_i) begin
      state_q <= StIdle;
      started_q <= 1'b0;
      waiting_q <= '0;
    end else begin
      if (op_grant_i) started_q <= 1'b1;
      else if (op_return_i) started_q <= 1'b0;

      for (int unsigned w = 0; w < UnitWindows; w++) begin
        if (summed_i[w] || skipped_i[w]) begin
          waiting_q[w] <= 1'b1;
          has_sum_q[w] <= summed_i[w];
        end else if (window_done && win_q == win_t'(w)) begin
          waiting_q[w] <= 1'b0;
        end
      end

      unique case (state_q)
        StIdle, StDone: begin
          if (start_i) begin
            state_q <= StFirst;
            total_valid_q <= 1'b0;
          end else if (other_i) begin
            state_q <= StOther;
          end
        end
        StFirst: begin
          // Windows of the group that are this unit's: Index, Index + A, ...
          doublings_q <= '0;
          if (unit_has_windows(top_last_i, Unit)) begin
            win_q <= unit_last_win(top_last_i, Unit);
            groups_q <= groups_i;
            state_q <= StScale;
          end else begin
            win_q <= unit_last_win(group_last_i, Unit);
            groups_q <= groups_i - 1'b1;
            state_q <= (groups_i == 8'd1) ? StDone : StScale;
          end
        end
        StScale: begin
          if (scaled) state_q <= StAdd;
          else if (op_return_i) doublings_q <= doublings_q + 1'b1;
        end
        StAdd: begin
          if (window_done) begin
            doublings_q <= '0;
            if (has_sum) total_valid_q <= 1'b1;
            win_q <= (win_q == '0) ? unit_last_win(group_last_i, Unit) : win_q - 1'b1;
            state_q <= StScale;
            if (win_q == '0) begin
              groups_q <= groups_q - 1'b1;
              if (groups_q == 8'd1) state_q <= StPlace;
            end
          end
        end
        StPlace: begin
          if (placed) state_q <= StDone;
          else if (op_return_i) doublings_q <= doublings_q + 1'b1;
        end
        default: begin
          if (op_return_i) begin
            total_valid_q <= 1'b1;
            state_q <= StDone;
          end
        end
      endcase
    end
  end

  assign waiting_o = waiting_q;
  assign done_o = state_q == StDone;
  assign total_valid_o = total_valid_q;

endmodule
