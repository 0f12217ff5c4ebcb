// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fixed delay for the fast arithmetic view (simulation only): what enters in
// one cycle leaves `Delay` cycles later, one word per cycle. A ring with one
// pointer instead of a shift register, so that a simulated cycle touches one
// word, and only when it is valid. Used by the views in hdl/sim.
module delay_ring #(
  parameter int unsigned Width = 1,
  parameter int unsigned Delay = 2   // cycles, at least 2
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  output logic [Width-1:0] data_o    // holds its last value while `valid_o` is low
);
  // The output register is the last cycle of the delay.
  localparam int unsigned Slots = Delay - 1;
  localparam int unsigned SlotBits = (Slots > 1) ? $clog2(Slots) : 1;
  localparam logic [SlotBits-1:0] LastSlot = SlotBits'(Slots - 1);

  logic [   Width-1:0] data_q  [Slots];
  logic [   Slots-1:0] valid_q;
  logic [SlotBits-1:0] slot_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      slot_q  <= '0;
      valid_q <= '0;
      valid_o <= 1'b0;
    end else begin
      slot_q          <= (slot_q == LastSlot) ? '0 : slot_q + 1'b1;
      valid_q[slot_q] <= valid_i;
      valid_o         <= valid_q[slot_q];
    end
  end

  // Data needs no reset: it is read only behind its valid bit.
  always_ff @(posedge clk_i) begin
    if (valid_i) data_q[slot_q] <= data_i;
    if (valid_q[slot_q]) data_o <= data_q[slot_q];
  end
endmodule
