// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Writes one completion at a time for the queues, round-robin: half a beat with
// byte strobes, so the neighbour in the ring is untouched. done_o comes after
// the bus has answered, so an interrupt that follows it announces data that is
// in place. Used by: queue_engine.
module queue_post
  import carillon_pkg::*;
  import queue_pkg::*;
#(
  parameter axi_id_t IdValue = '0
) (
  input logic clk_i,
  input logic rst_ni,

  // From the queues
  input  logic        [Queues-1:0] valid_i,
  input  addr_t                    addr_i      [Queues],  // a multiple of 32
  input  completion_t              completion_i[Queues],
  output logic        [Queues-1:0] taken_o,               // the request is under way
  output logic        [Queues-1:0] done_o,                // pulse, with failed_o
  output logic                     failed_o,              // bus error

  // AXI write side, host
  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);

  localparam int unsigned Half = $clog2(CompletionBytes);  // the address bit that tells the half

  logic busy_q, aw_valid_q, w_valid_q;
  queue_id_t queue_q, turn;
  logic        any;
  addr_t       addr_q;
  completion_t completion_q;
  wire         take = !busy_q && any;

  rr_arbiter #(
    .N(Queues)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .request_i(valid_i),
    .take_i   (take),
    .valid_o  (any),
    .index_o  (turn)
  );

  always_comb begin
    taken_o = '0;
    taken_o[turn] = take;
    done_o = '0;
    done_o[queue_q] = busy_q && b_valid_i;
  end
  assign failed_o = b_i.resp[1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      busy_q <= 1'b0;
      aw_valid_q <= 1'b0;
      w_valid_q <= 1'b0;
      queue_q <= '0;
    end else begin
      if (take) begin
        busy_q <= 1'b1;
        aw_valid_q <= 1'b1;
        w_valid_q <= 1'b1;
        queue_q <= turn;
      end else begin
        if (aw_ready_i) aw_valid_q <= 1'b0;
        if (w_ready_i) w_valid_q <= 1'b0;
        if (b_valid_i) busy_q <= 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      addr_q <= addr_i[turn];
      completion_q <= completion_i[turn];
    end
  end

  assign aw_o = '{id: IdValue, addr: {addr_q[AddrBits-1:OffsetBits], OffsetBits'(0)}, len: '0};
  assign aw_valid_o = aw_valid_q;
  assign w_o.data = {2{completion_q}};
  assign w_o.strb = addr_q[Half] ? {{CompletionBytes{1'b1}}, {CompletionBytes{1'b0}}} : {{CompletionBytes{1'b0}}, {CompletionBytes{1'b1}}};
  assign w_o.last = 1'b1;
  assign w_valid_o = w_valid_q;
  assign b_ready_o = 1'b1;

  wire unused = &{1'b0, b_i.id, b_i.resp[0], addr_q[Half-1:0]};

endmodule
