// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The rules of AXI4 (IHI 0022H) for one read port of this design, as assertions.
// Of the manager: what is offered stays as it is until it is taken (A3.2.1), a
// burst is of whole beats and stays inside 4 KiB (A3.4.1). Of the subordinate,
// where the bench promises one that keeps the rules: the same for its beats, no
// beat without a request, `last` where a burst ends (A3.4.1), bursts of one ID
// in order (A5.3). Used by: bind_axi.sv.
module axi_read_rules
  import carillon_pkg::*;
(
  input logic    clk_i,
  input logic    rst_ni,
  input axi_ax_t ar_i,
  input logic    ar_valid_i,
  input logic    ar_ready_i,
  input axi_r_t  r_i,
  input logic    r_valid_i,
  input logic    r_ready_i
);

  localparam int unsigned Page = 1 << PageBits;  // beats of 4 KiB

  wire     [PageBits-1:0] first = ar_i.addr[OffsetBits+:PageBits];

  // What was offered and not taken in the cycle before.
  axi_ax_t                ar_q;
  logic                   ar_waits_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) ar_waits_q <= 1'b0;
    else begin
      ar_waits_q <= ar_valid_i && !ar_ready_i;
      ar_q <= ar_i;
    end
  end

  a_ar_stays :
  assert property (@(posedge clk_i) disable iff (!rst_ni) ar_waits_q |-> ar_valid_i && ar_i == ar_q)
  else $error("AXI A3.2.1: a read request changed or was withdrawn before it was taken");

  a_ar_aligned :
  assert property (@(posedge clk_i) disable iff (!rst_ni) ar_valid_i |-> ar_i.addr[OffsetBits-1:0] == '0)
  else $error("a read request is not of whole beats: %h", ar_i.addr);

  a_ar_page :
  assert property (@(posedge clk_i) disable iff (!rst_ni) ar_valid_i |-> 32'(first) + 32'(ar_i.len) < Page)
  else $error("AXI A3.4.1: a read of %0d beats from %h crosses 4 KiB", 32'(ar_i.len) + 1, ar_i.addr);

`ifdef CARILLON_SVA_SUBORDINATE
  localparam int unsigned Ids = 1 << AxiIdBits;
  localparam int unsigned Bursts = 256;  // of one ID under way together, at most

  axi_r_t r_q;
  logic   r_waits_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) r_waits_q <= 1'b0;
    else begin
      r_waits_q <= r_valid_i && !r_ready_i;
      r_q <= r_i;
    end
  end

  a_r_stays :
  assert property (@(posedge clk_i) disable iff (!rst_ni) r_waits_q |-> r_valid_i && r_i == r_q)
  else $error("AXI A3.2.1: a beat changed or was withdrawn before it was taken");

  // Requests under way by ID, oldest first. Nobody else reads these: blocking assignments, which simulate much faster.
  logic [7:0] len              [Ids] [Bursts];
  logic [7:0] head             [Ids];
  logic [7:0] tail             [Ids];
  logic [7:0] beat             [Ids];
  logic       was_reset = 1'b0;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      if (!was_reset) begin
        for (int i = 0; i < int'(Ids); i++) begin
          head[i] = '0;
          tail[i] = '0;
          beat[i] = '0;
        end
      end
      was_reset = 1'b1;
    end else begin
      was_reset = 1'b0;
      if (r_valid_i) begin
        a_r_asked :
        assert (head[r_i.id] != tail[r_i.id])
        else $error("AXI A3.3.1: a beat of ID %h that nobody asked for", r_i.id);
        a_r_last :
        assert (r_i.last == (beat[r_i.id] == len[r_i.id][head[r_i.id]]))
        else $error("AXI A3.4.1: last is %b in beat %0d of a burst of ID %h", r_i.last, beat[r_i.id], r_i.id);
      end
      if (r_valid_i && r_ready_i) begin
        beat[r_i.id] = r_i.last ? '0 : beat[r_i.id] + 8'd1;
        if (r_i.last) head[r_i.id] = head[r_i.id] + 8'd1;
      end
      if (ar_valid_i && ar_ready_i) begin
        len[ar_i.id][tail[ar_i.id]] = ar_i.len;
        tail[ar_i.id] = tail[ar_i.id] + 8'd1;
      end
    end
  end
`else
  wire unused = &{1'b0, r_i, r_valid_i, r_ready_i};
`endif

endmodule
