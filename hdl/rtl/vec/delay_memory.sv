// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Carries an operand past a free-running pipeline: what enters in one cycle
// leaves `Delay` cycles later. A memory with one pointer instead of a shift
// register (less logic on the card, one word touched per simulated cycle).
// The caller's own pipeline says which words are valid; the others are
// undefined. Used by the NTT, the quotient
// and the MSM's preparation.
module delay_memory #(
  parameter int unsigned Width = 1,
  parameter int unsigned Delay = 2   // cycles, at least 2
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,  // whether data_i is worth keeping
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  // The output register is the last cycle of the delay.
  localparam int unsigned Slots = Delay - 1;
  localparam int unsigned SlotBits = (Slots > 1) ? $clog2(Slots) : 1;
  localparam logic [SlotBits-1:0] LastSlot = SlotBits'(Slots - 1);

  logic [   Width-1:0] data_q [Slots];
  logic [SlotBits-1:0] slot_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) slot_q <= '0;
    else slot_q <= (slot_q == LastSlot) ? '0 : slot_q + 1'b1;
  end

  // No reset: a word that was not written is never used.
  always_ff @(posedge clk_i) begin
    if (valid_i) data_q[slot_q] <= data_i;
    data_o <= data_q[slot_q];
  end
endmodule
