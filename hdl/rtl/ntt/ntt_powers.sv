// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// A table of 2^log2 powers: entry i is seed times step^i, made by doubling:
//   entry_(2^k + i) = entry_i step^(2^k),  i < 2^k
// The step is one whose powers step^(2^k) are constants (powers_e). The products
// are made by a multiplier of the owner's. Used by: ntt_factor.
module ntt_powers
  import carillon_pkg::*;
  import ntt_pkg::*;
  import ntt_constants_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic    start_i,
  input  logic    stop_i,
  input  log2_t   log2_i,   // at most PowersLog2; this and what follows constant while busy_o is set
  input  fr_t     seed_i,
  input  powers_e step_i,
  input  log2_t   base_i,
  output logic    busy_o,

  // Multiplier, FrMulLatency cycles
  output logic mul_valid_o,
  output fr_t  mul_a_o,
  output fr_t  mul_b_o,
  input  logic product_valid_i,
  input  fr_t  product_i,

  // Table, while not busy: what is read at one edge is there after it
  input  logic                  read_i,
  input  logic [PowersLog2-1:0] address_i[2],
  output fr_t                   data_o   [2]
);
  typedef logic [PowersLog2:0] count_t;

  fr_t table_q[1 << PowersLog2];
  logic active_q, valid_q;
  count_t issue_q, done_q;  // entries issued, entries written
  log2_t       level_q;
  fr_t         factor_q;
  wire count_t source = issue_q - (count_t'(1) << level_q);
  wire         issue = active_q && source < done_q && !stop_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      valid_q  <= 1'b0;
      issue_q  <= '0;
      done_q   <= '0;
      level_q  <= '0;
    end else begin
      valid_q <= issue;
      if (start_i) begin
        active_q <= log2_i != '0;
        issue_q  <= count_t'(1);
        done_q   <= count_t'(1);
        level_q  <= '0;
      end else begin
        if (product_valid_i) done_q <= done_q + 1'b1;
        if (issue) begin
          issue_q <= issue_q + 1'b1;
          if (issue_q + 1'b1 == (count_t'(2) << level_q)) level_q <= level_q + 1'b1;
          if (issue_q + 1'b1 == (count_t'(1) << log2_i)) active_q <= 1'b0;
        end
        if (stop_i) active_q <= 1'b0;
      end
    end
  end
  assign busy_o = active_q || issue_q != done_q;

  log2_t constant;
  assign constant = (step_i == PowersRoot || step_i == PowersRootInverse) ? base_i - level_q : base_i + level_q;

  always_ff @(posedge clk_i) begin
    if (start_i) table_q[0] <= seed_i;
    else if (product_valid_i && busy_o) table_q[PowersLog2'(done_q)] <= product_i;
    if (issue) begin
      unique case (step_i)
        PowersRoot:         factor_q <= Root[constant];
        PowersShiftInverse: factor_q <= ShiftInverse[constant[4:0]];
        PowersRootInverse:  factor_q <= RootInverse[constant];
        default:            factor_q <= FrOne;
      endcase
    end
    if (issue || read_i) data_o[0] <= table_q[issue?PowersLog2'(source) : address_i[0]];
    if (read_i) data_o[1] <= table_q[address_i[1]];
  end

  assign mul_valid_o = valid_q;
  assign mul_a_o = data_o[0];
  assign mul_b_o = factor_q;
endmodule
