// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Round-robin choice among N requests: combinational grant, the turn moves on
// when take_i is set. Used by: axi_rd_mux, axi_wr_mux, queue_engine.
module rr_arbiter #(
  parameter  int unsigned N         = 2,
  localparam int unsigned IndexBits = N > 1 ? $clog2(N) : 1
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [        N-1:0] request_i,
  input  logic                 take_i,     // the granted request is served in this cycle
  output logic                 valid_o,    // some request is set
  output logic [IndexBits-1:0] index_o     // the one whose turn it is
);

  logic [N-1:0] later_q;  // requests above the one served last: they come first

  wire  [N-1:0] first = |(request_i & later_q) ? request_i & later_q : request_i;

  always_comb begin
    index_o = '0;
    for (int i = N - 1; i >= 0; i--) begin
      if (first[i]) index_o = IndexBits'(i);
    end
  end
  assign valid_o = |request_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) later_q <= '0;
    else if (take_i && valid_o) begin
      for (int i = 0; i < N; i++) later_q[i] <= i > int'(index_o);
    end
  end

endmodule
