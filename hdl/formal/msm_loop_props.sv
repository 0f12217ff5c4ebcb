// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// msm_loop: each addition's tag comes back once, in the slot in which its sum is there, in
// either group; between slots nothing moves. The group may
// change when nothing has been under way for two slots. Used by: scripts/formal.sh; explained
// in hdl/formal/README.md.
module msm_loop_props
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,
  input logic slot_i,
  input logic issue_i,
  input tag_t tag_i,
  input logic change_i  // to the other group
);
  logic g2_q, back_valid;
  tag_t back;

  msm_loop u_dut (
    .clk_i,
    .rst_ni,
    .g2_i        (g2_q),
    .slot_i,
    .issue_i,
    .tag_i,
    .back_valid_o(back_valid),
    .back_o      (back)
  );

  // ---- The same as a shift register, one place for each slot ----
  logic                        started_q = 1'b0;
  logic      [LoopLatency-1:0] valid_q;
  tag_t                        tag_q                                                        [LoopLatency];
  logic      [            1:0] idle_q;  // slots without anything under way
  logic      [            1:0] since_q;  // cycles since the last slot
  wire                         due = g2_q ? valid_q[G2LoopSlots-1] : valid_q[LoopLatency-1];
  wire tag_t                   due_tag = g2_q ? tag_q[G2LoopSlots-1] : tag_q[LoopLatency-1];

  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      g2_q <= 1'b0;
      valid_q <= '0;
      idle_q <= '0;
      since_q <= '0;
    end else begin
      since_q <= slot_i ? '0 : since_q + 1'b1;
      if (change_i) g2_q <= !g2_q;
      if (slot_i) begin
        valid_q <= {valid_q[LoopLatency-2:0], issue_i};
        // What has come back is no longer under way.
        if (g2_q) valid_q[G2LoopSlots] <= 1'b0;
        if (issue_i || valid_q != '0) idle_q <= '0;
        else if (idle_q != 2'd2) idle_q <= idle_q + 1'b1;
      end
    end
  end
  always_ff @(posedge clk_i) begin
    if (slot_i) begin
      tag_q[0] <= tag_i;
      for (int unsigned i = 1; i < LoopLatency; i++) tag_q[i] <= tag_q[i-1];
    end
  end

  // ---- Between slots ----
  logic slot_1, was_q;
  tag_t                   back_1;
  logic [LoopLatency-1:0] dut_valid_1;
  logic [           31:0] place_1;
  always_ff @(posedge clk_i) begin
    slot_1 <= slot_i;
    back_1 <= back;
    dut_valid_1 <= u_dut.valid_q;
    place_1 <= 32'(u_dut.place_q);
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) was_q <= 1'b0;
    else was_q <= 1'b1;
  end

  always_comb begin
    e_reset : assume (rst_ni == started_q);
    // msm_engine: every cycle in G1, every third one in G2; a change may cut the distance short.
    e_slot : assume (slot_i == (!g2_q || since_q >= 2'd2));
    e_issue : assume (!issue_i || slot_i);
    e_change : assume (!change_i || (idle_q == 2'd2 && !issue_i));
    if (rst_ni) begin
      a_comes_back : assert (back_valid == (slot_i && due));
      a_its_tag : assert (!back_valid || back == due_tag);
      if (was_q && !slot_1) begin
        a_between_slots : assert (back == back_1 && u_dut.valid_q == dut_valid_1 && 32'(u_dut.place_q) == place_1);
      end
      i_valid : assert (u_dut.valid_q == valid_q);
      i_in_g2 : assert (!g2_q || (valid_q >> G2LoopSlots) == '0);
      i_idle : assert (idle_q == '0 || (valid_q == '0 && u_dut.place_q == '0));
      c_changed : cover (back_valid && g2_q && was_q && back.last);
    end
  end

endmodule
