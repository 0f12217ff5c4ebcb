// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Combines the windows' sums into the total, highest window first:
// total = 2^c * total + sum. These additions depend on each other, so this runs
// beside the next group's bucket phase; only the last group's part is waited for.
// The doublings for a window are made before its sum is there. Used by:
// msm_engine; its additions go through msm_scheduler.
module msm_combine
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input logic         start_i,        // pulse: a new command
  input window_bits_t window_bits_i,
  input logic         flush_i,        // level: stop

  // Groups, handed over when their windows' sums are in the node memory
  output logic      free_o,         // none is waiting or being added: the sums may be overwritten
  input  logic      group_valid_i,  // pulse while free_o is set
  input  win_mask_t group_mask_i,   // windows with a sum; the others count as infinity
  input  logic      group_last_i,
  output logic      done_o,         // pulse: the last group is in the total
  output logic      total_valid_o,  // the total is in the node memory (else it is infinity)

  output logic     op_valid_o,
  output node_op_t op_o,
  input  logic     op_grant_i,
  input  logic     op_return_i
);

  localparam node_addr_t TotalAddr = '{kind: NodeTotal, segment: '0, win: '0};
  localparam win_t TopWin = win_t'(MsmWindows - 1);

  typedef enum logic [1:0] {
    StIdle,
    StScale,  // total = 2^c * total
    StAdd     // total += sum of the window
  } state_e;

  state_e       state_q;
  win_t         win_q;
  window_bits_t doublings_q;
  logic total_valid_q, pending_q, last_q;
  win_mask_t mask_q;
  logic      started_q;  // this step's addition is under way

  wire       scaled = !total_valid_q || doublings_q == window_bits_i;
  wire       has_sum = mask_q[win_q];
  wire       window_done = state_q == StAdd && pending_q && (!has_sum || op_return_i);
  wire       group_done = window_done && win_q == '0;

  assign op_valid_o = !started_q && ((state_q == StScale && !scaled) || (state_q == StAdd && pending_q && has_sum));
  always_comb begin
    op_o = '{dst: TotalAddr, x: TotalAddr, x_infinity: 1'b0, y: TotalAddr};
    if (state_q == StAdd) begin
      op_o.x_infinity = !total_valid_q;
      op_o.y = '{kind: NodeWindow, segment: '0, win: win_q};
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      win_q <= '0;
      doublings_q <= '0;
      total_valid_q <= 1'b0;
      pending_q <= 1'b0;
      last_q <= 1'b0;
      mask_q <= '0;
      started_q <= 1'b0;
    end else if (flush_i) begin
      state_q <= StIdle;
      pending_q <= 1'b0;
      started_q <= 1'b0;
    end else begin
      if (op_grant_i) started_q <= 1'b1;
      else if (op_return_i) started_q <= 1'b0;

      if (group_valid_i) begin
        pending_q <= 1'b1;
        mask_q <= group_mask_i;
        last_q <= group_last_i;
      end

      unique case (state_q)
        StIdle: begin
          if (start_i) begin
            state_q <= StScale;
            win_q <= TopWin;
            doublings_q <= '0;
            total_valid_q <= 1'b0;
          end
        end
        StScale: begin
          if (scaled) state_q <= StAdd;
          else if (op_return_i) doublings_q <= doublings_q + 1'b1;
        end
        StAdd: begin
          if (window_done) begin
            doublings_q <= '0;
            win_q <= (win_q == '0) ? TopWin : win_q - 1'b1;
            if (has_sum) total_valid_q <= 1'b1;
            if (group_done) pending_q <= 1'b0;
            state_q <= (group_done && last_q) ? StIdle : StScale;
          end
        end
        default: state_q <= StIdle;
      endcase
    end
  end

  assign free_o = !pending_q;
  assign done_o = group_done && last_q;
  assign total_valid_o = total_valid_q;

endmodule
