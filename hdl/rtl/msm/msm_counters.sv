// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// What a completion reports about one unit: additions, and the cycles of the bucket
// phase in which no addition of any kind started, by cause. The phase lasts from a
// group's first bucket addition to its last, which is known only afterwards: cycles
// without an addition count when the next bucket addition comes. Saturating.
// Used by: msm_unit.
module msm_counters (
  input logic clk_i,
  input logic rst_ni,

  input logic slot_i,          // an addition may start; in G2 bubbles are counted in slots
  input logic start_i,         // pulse: a new command
  input logic group_i,         // pulse: a new group
  input logic bucket_issue_i,
  input logic node_issue_i,
  input logic waiting_i,       // candidates are there
  input logic streaming_i,     // points are still to come

  output logic [31:0] bucket_adds_o,
  output logic [31:0] node_adds_o,
  output logic [31:0] bubble_hazard_o,
  output logic [31:0] bubble_memory_o,
  output logic [31:0] bubble_other_o
);

  function automatic logic [31:0] plus(logic [31:0] a, logic [31:0] b);
    logic [32:0] sum;
    sum = {1'b0, a} + {1'b0, b};
    return sum[32] ? '1 : sum[31:0];
  endfunction

  logic began_q;  // the group's first bucket addition has started
  logic [31:0] hazard_q, memory_q, other_q;  // since the last bucket addition

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      bucket_adds_o <= '0;
      node_adds_o <= '0;
      bubble_hazard_o <= '0;
      bubble_memory_o <= '0;
      bubble_other_o <= '0;
      began_q <= 1'b0;
      hazard_q <= '0;
      memory_q <= '0;
      other_q <= '0;
    end else if (start_i) begin
      bucket_adds_o <= '0;
      node_adds_o <= '0;
      bubble_hazard_o <= '0;
      bubble_memory_o <= '0;
      bubble_other_o <= '0;
    end else begin
      if (node_issue_i) node_adds_o <= plus(node_adds_o, 32'd1);
      if (bucket_issue_i) bucket_adds_o <= plus(bucket_adds_o, 32'd1);

      if (group_i || bucket_issue_i) begin
        began_q <= !group_i;
        hazard_q <= '0;
        memory_q <= '0;
        other_q <= '0;
      end else if (began_q && slot_i && !node_issue_i) begin
        if (waiting_i) hazard_q <= hazard_q + 32'd1;
        else if (streaming_i) memory_q <= memory_q + 32'd1;
        else other_q <= other_q + 32'd1;
      end
      if (began_q && bucket_issue_i) begin
        bubble_hazard_o <= plus(bubble_hazard_o, hazard_q);
        bubble_memory_o <= plus(bubble_memory_o, memory_q);
        bubble_other_o <= plus(bubble_other_o, other_q);
      end
    end
  end

endmodule
