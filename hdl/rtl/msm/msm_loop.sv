// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Carries what says where a sum goes beside its addition: a tag comes back in the slot in
// which the scheduler has to dispose of the sum, LoopLatency slots of one cycle later in
// G1, G2LoopSlots slots of G2AddCycles cycles later in G2. Used by: msm_scheduler.
module msm_loop
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic g2_i,          // constant while additions are under way
  input  logic slot_i,        // a decision falls in this cycle
  input  logic issue_i,       // in a slot: an addition starts
  input  tag_t tag_i,
  output logic back_valid_o,  // in a slot
  output tag_t back_o
);
  if (G2LoopSlots * G2AddCycles != G2LoopLatency || G2LoopSlots >= LoopLatency || G2LoopSlots < 3) begin : g_check
    $error("an addition in G2 takes whole slots, at least three and fewer than one in G1");
  end

  if (UnitFull < 2) begin : g_buckets_check
    $error("the bucket memory of a unit does not hold a window of G2");
  end

  // ---- Which slots hold an addition ----
  logic [LoopLatency-1:0] valid_q;
  assign back_valid_o = slot_i && (g2_i ? valid_q[G2LoopSlots-1] : valid_q[LoopLatency-1]);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else if (slot_i) begin
      valid_q <= {valid_q[LoopLatency-2:0], issue_i};
      if (g2_i) valid_q[G2LoopSlots] <= 1'b0;
    end
  end

  // ---- Their tags, in a ring; its output register is the last slot ----
  typedef logic [$clog2(LoopLatency-1)-1:0] place_t;
  tag_t   tag_q                                                                            [LoopLatency-1];
  place_t place_q;
  wire    last = place_q == (g2_i ? place_t'(G2LoopSlots - 2) : place_t'(LoopLatency - 2));

  // From the beginning when nothing is under way: the length may be another one then.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) place_q <= '0;
    else if (slot_i) place_q <= (last || (valid_q == '0 && !issue_i)) ? '0 : place_q + 1'b1;
  end
  always_ff @(posedge clk_i) begin
    if (slot_i) begin
      if (issue_i) tag_q[place_q] <= tag_i;
      back_o <= tag_q[place_q];
    end
  end

endmodule
