// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Watches one AXI bus for answers to requests that were never made: after one,
// no count on this bus can be trusted, so the card declares itself unusable
// (STATUS.fatal) until it is reset. It counts in the bus's reset: an answer that
// the card was reset before is no violation. Used by: carillon_card, one per bus.
module axi_guard (
  input  logic clk_i,
  input  logic rst_ni,       // of the bus
  input  logic card_rst_ni,  // of the card
  input  logic ar_i,         // handshake of a read request
  input  logic r_last_i,     // handshake of a read's last beat
  input  logic r_i,          // handshake of any read beat
  input  logic aw_i,         // handshake of a write request
  input  logic b_i,          // handshake of a write response
  output logic violated_o    // sticky
);

  localparam int unsigned Bits = 16;
  logic [Bits-1:0] reads_q, writes_q;

  wire stray_read = r_i && reads_q == '0;
  wire stray_write = b_i && writes_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      reads_q <= '0;
      writes_q <= '0;
    end else begin
      reads_q <= reads_q + Bits'(ar_i) - Bits'(r_last_i && !stray_read);
      writes_q <= writes_q + Bits'(aw_i) - Bits'(b_i && !stray_write);
    end
  end

  always_ff @(posedge clk_i or negedge card_rst_ni) begin
    if (!card_rst_ni) violated_o <= 1'b0;
    else if (stray_read || stray_write) violated_o <= 1'b1;
  end

endmodule
