// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Test top: the rules of both directions (hdl/sva) on ports that the test drives
// alone. Driven by hdl/tests/tests/axi_rules.rs.
module axi_rules
  import carillon_pkg::*;
(
  input logic    clk_i,
  input logic    rst_ni,
  input axi_ax_t ar_i,
  input logic    ar_valid_i,
  input logic    ar_ready_i,
  input axi_r_t  r_i,
  input logic    r_valid_i,
  input logic    r_ready_i,
  input axi_ax_t aw_i,
  input logic    aw_valid_i,
  input logic    aw_ready_i,
  input axi_w_t  w_i,
  input logic    w_valid_i,
  input logic    w_ready_i,
  input axi_b_t  b_i,
  input logic    b_valid_i,
  input logic    b_ready_i
);

  axi_read_rules u_reads (.*);
  axi_write_rules #(.DataWithin(8)) u_writes (.*);

endmodule
