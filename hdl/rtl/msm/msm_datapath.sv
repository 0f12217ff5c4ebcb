// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The wide half of the engine: bucket memories, node memory, operand selection
// and the adder. It does what msm_scheduler decided one cycle before, in G2 for the first
// words of all sums and then for the second:
//   cycle 0  access the memories; sums out of the adder and points are written
//   cycle 1  select the operands
//   cycle 2  the adder takes them; G1AddLatency (G2AddLatency) later its sum is back in cycle 0
// Used by: msm_unit.
module msm_datapath
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,
  input logic g2_i,    // constant while additions are under way

  input access_t    out_access_i[MsmBanks],
  input access_t    in_access_i [MsmBanks],
  input issue_t     issue_i,
  input logic       node_write_i,
  input logic       node_half_i,
  input node_addr_t node_dst_i,
  input xyz_t       point_i     [MsmBanks],

  // The total, and another unit's, to be added to it; while no addition starts
  input  logic total_half_i,   // G2: which word of either
  input  logic total_read_i,
  output xyz_t total_o,
  input  logic other_write_i,
  input  xyz_t other_i,

  output logic sum_valid_o
);

  localparam xyz_t Infinity = '{x: '0, y: FpOne, z: '0};  // in G2 the second word is zero

  // ---- Cycle 0: memories ----
  xyz_t sum;
  xyz_t slot_out[MsmBanks], slot_in[MsmBanks];
  xyz_t node_x, node_y;

  for (genvar b = 0; b < MsmBanks; b++) begin : gen_bank
    msm_bucket_memory u_buckets (
      .clk_i,
      .g2_i,
      .out_access_i(out_access_i[b]),
      .out_data_i  (sum),
      .out_data_o  (slot_out[b]),
      .in_access_i (in_access_i[b]),
      .in_data_i   (point_i[b]),
      .in_data_o   (slot_in[b])
    );
  end

  msm_node_memory u_nodes (
    .clk_i,
    .write_i     (node_write_i || other_write_i),
    .write_half_i(node_write_i ? node_half_i : total_half_i),
    .write_addr_i(node_write_i ? node_dst_i : OtherAddr),
    .write_data_i(node_write_i ? sum : other_i),
    .read_half_i (total_read_i ? total_half_i : issue_i.half),
    .x_read_i    (total_read_i || (issue_i.valid && issue_i.b_sel == BNode)),
    .x_addr_i    (total_read_i ? TotalAddr : issue_i.x),
    .x_data_o    (node_x),
    .y_read_i    (issue_i.valid && issue_i.a_sel == ANode),
    .y_addr_i    (issue_i.y),
    .y_data_o    (node_y)
  );
  assign total_o = node_x;

  // ---- Cycle 1: operands ----
  logic select_q, half_q;
  a_sel_e a_sel_q;
  b_sel_e b_sel_q;
  logic   a_infinity_q;
  bank_t  a_bank_q;
  xyz_t sum_q, point_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) select_q <= 1'b0;
    else select_q <= issue_i.valid;
  end
  always_ff @(posedge clk_i) begin
    half_q <= issue_i.half;
    a_sel_q <= issue_i.a_sel;
    b_sel_q <= issue_i.b_sel;
    a_infinity_q <= issue_i.a_infinity;
    a_bank_q <= issue_i.a_bank;
    if (issue_i.valid && (issue_i.a_sel == AResult || issue_i.b_sel == BResult)) sum_q <= sum;
    if (issue_i.valid && issue_i.b_sel == BPoint) point_q <= point_i[issue_i.b_bank];
  end

  // ---- Cycle 2: addition ----
  wire xyz_t infinity = half_q ? '0 : Infinity;
  logic      add_q;
  xyz_t a_q, b_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) add_q <= 1'b0;
    else add_q <= select_q;
  end
  always_ff @(posedge clk_i) begin
    if (select_q) begin
      unique case (a_sel_q)
        AResult:  a_q <= sum_q;
        ASlotOut: a_q <= slot_out[a_bank_q];
        ASlotIn:  a_q <= a_infinity_q ? infinity : slot_in[a_bank_q];
        default:  a_q <= node_y;
      endcase
      unique case (b_sel_q)
        BResult: b_q <= sum_q;
        BPoint:  b_q <= point_q;
        BNode:   b_q <= node_x;
        default: b_q <= infinity;
      endcase
    end
  end

  point_add u_add (
    .clk_i,
    .rst_ni,
    .g2_i,
    .valid_i(add_q),
    .a_i    (a_q),
    .b_i    (b_q),
    .valid_o(sum_valid_o),
    .s_o    (sum)
  );

endmodule
