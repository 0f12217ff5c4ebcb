// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The card's 64-bit event counters (contract.md, "Registers", 0x0200). Counts of
// the engines are taken over when a command ends. Used by: carillon_card.
module card_counters
  import carillon_pkg::*;
  import queue_pkg::*;
  import card_pkg::*;
(
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  input  logic                                  busy_i,
  input  logic                                  posted_i,
  input  logic                                  posted_error_i,
  input  logic                                  unit_done_i   [Units],
  input  unit_result_t                          unit_result_i [Units],
  input  logic                                  host_r_i,               // handshakes of data beats
  input  logic                                  host_w_i,
  input  logic                                  host_w_half_i,          // that beat carries 32 bytes: a completion
  input  logic         [$clog2(MsmLanes+2)-1:0] mem_r_beats_i,          // of all ports
  input  logic                                  mem_w_i,
  output counts_t                               count_o
);

  localparam int unsigned StepBits = 32;

  logic [Counters-1:0][StepBits-1:0] step;

  always_comb begin
    step = '0;
    step[Cycles] = StepBits'(1);
    step[Busy] = StepBits'(busy_i);
    step[Commands] = StepBits'(posted_i);
    step[Errors] = StepBits'(posted_error_i);
    if (unit_done_i[UnitMsm]) begin
      step[MsmAdditions] = unit_result_i[UnitMsm].ops;
      step[BubbleHazard] = unit_result_i[UnitMsm].bubble_hazard;
      step[BubbleMemory] = unit_result_i[UnitMsm].bubble_memory;
      step[BubbleOther] = unit_result_i[UnitMsm].bubble_other;
    end
    if (unit_done_i[UnitNtt]) step[Butterflies] = unit_result_i[UnitNtt].ops;
    if (host_r_i) step[HostRead] = StepBits'(BeatBytes);
    if (host_w_i) step[HostWritten] = host_w_half_i ? StepBits'(CompletionBytes) : StepBits'(BeatBytes);
    step[CardRead] = StepBits'(mem_r_beats_i) * StepBits'(BeatBytes);
    if (mem_w_i) step[CardWritten] = StepBits'(BeatBytes);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) count_o <= '0;
    else begin
      for (int i = 0; i < int'(Counters); i++) begin
        if (step[i] != '0) count_o[i] <= count_o[i] + 64'(step[i]);
      end
    end
  end

endmodule
