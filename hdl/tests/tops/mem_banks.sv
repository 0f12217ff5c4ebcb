// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: where an address of card memory goes on a board with four banks, a cycle later.
// Driven by hdl/tests/tests/mem_banks.rs.
module mem_banks
  import carillon_pkg::*;
(
  input  logic  clk_i,
  input  logic  rst_ni,
  input  addr_t addr_i,
  output addr_t addr_o
);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) addr_o <= '0;
    else addr_o <= banked(addr_i);
  end

endmodule
