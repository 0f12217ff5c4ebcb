// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The rules of AXI4 (IHI 0022H) for one write port of this design, as assertions.
// Of the manager: what is offered stays as it is until it is taken (A3.2.1), a
// burst is of whole beats and stays inside 4 KiB, `last` stands where it ends
// (A3.4.1), and its data is offered without waiting for the request to be taken
// (A3.3.1). Of the subordinate, where the bench promises one that keeps the rules:
// no response before request and data (A3.3.1). Used by: bind_axi.sv.
module axi_write_rules
  import carillon_pkg::*;
#(
  parameter int unsigned DataWithin = 64  // cycles from an offered request to its data, at most; 0: not checked
) (
  input logic    clk_i,
  input logic    rst_ni,
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

  localparam int unsigned Page = 1 << PageBits;  // beats of 4 KiB
  localparam int unsigned Bursts = 1024;  // numbers of bursts; half as many are under way together, at most
  typedef logic [$clog2(Bursts)-1:0] number_t;

  // More of the one than of the other were counted.
  function automatic logic ahead(number_t a, number_t b);
    return a != b && number_t'(a - b) < number_t'(Bursts / 2);
  endfunction

  wire     [PageBits-1:0] first = aw_i.addr[OffsetBits+:PageBits];

  // What was offered and not taken in the cycle before.
  axi_ax_t                aw_q;
  axi_w_t                 w_q;
  axi_b_t                 b_q;
  logic aw_waits_q, w_waits_q, b_waits_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      aw_waits_q <= 1'b0;
      w_waits_q <= 1'b0;
      b_waits_q <= 1'b0;
    end else begin
      aw_waits_q <= aw_valid_i && !aw_ready_i;
      w_waits_q <= w_valid_i && !w_ready_i;
      b_waits_q <= b_valid_i && !b_ready_i;
      aw_q <= aw_i;
      w_q <= w_i;
      b_q <= b_i;
    end
  end

  a_aw_stays :
  assert property (@(posedge clk_i) disable iff (!rst_ni) aw_waits_q |-> aw_valid_i && aw_i == aw_q)
  else $error("AXI A3.2.1: a write request changed or was withdrawn before it was taken");

  a_w_stays :
  assert property (@(posedge clk_i) disable iff (!rst_ni) w_waits_q |-> w_valid_i && w_i == w_q)
  else $error("AXI A3.2.1: write data changed or was withdrawn before it was taken");

  a_aw_aligned :
  assert property (@(posedge clk_i) disable iff (!rst_ni) aw_valid_i |-> aw_i.addr[OffsetBits-1:0] == '0)
  else $error("a write request is not of whole beats: %h", aw_i.addr);

  a_aw_page :
  assert property (@(posedge clk_i) disable iff (!rst_ni) aw_valid_i |-> 32'(first) + 32'(aw_i.len) < Page)
  else $error("AXI A3.4.1: a write of %0d beats to %h crosses 4 KiB", 32'(aw_i.len) + 1, aw_i.addr);

`ifdef CARILLON_SVA_SUBORDINATE
  a_b_stays :
  assert property (@(posedge clk_i) disable iff (!rst_ni) b_waits_q |-> b_valid_i && b_i == b_q)
  else $error("AXI A3.2.1: a response changed or was withdrawn before it was taken");
`else
  wire unused = &{1'b0, b_q, b_waits_q};
`endif

  // Requests and data may come in any order; each burst is compared when the later of its two halves is there, and
  // only then may it be answered. Counts go around. Nobody else reads these: blocking assignments, which simulate
  // much faster.
  logic    [7:0] len [Bursts];  // of the requests, and of the bursts by their last beat; less one
  logic    [7:0] sent[Bursts];
  axi_id_t       id  [Bursts];
  number_t requests, bursts, whole;  // requests taken, bursts whose data was, both
  logic        [7:0] beat;  // beats of the burst under way that were sent
  int unsigned       owed                                                                     [1 << AxiIdBits];  // responses, by ID
  int unsigned       silent;  // cycles with a request whose data is owed, and no data offered
  logic              was_reset = 1'b0;
  always @(posedge clk_i) begin
    if (!rst_ni) begin
      requests = '0;
      bursts = '0;
      whole = '0;
      beat = '0;
      silent = 0;
      if (!was_reset) begin
        for (int i = 0; i < (1 << AxiIdBits); i++) owed[i] = 0;
      end
      was_reset = 1'b1;
    end else begin
      was_reset = 1'b0;
      // All of the data of the request that is offered was sent: then bursts is ahead.
      silent = aw_valid_i && !aw_ready_i && !w_valid_i && !ahead(bursts, requests) ? silent + 1 : 0;
      a_w_offered :
      assert (DataWithin == 0 || silent < DataWithin)
      else $error("AXI A3.3.1: data is withheld until its request is taken");

      if (b_valid_i) begin
`ifdef CARILLON_SVA_SUBORDINATE
        a_b_asked :
        assert (owed[b_i.id] != 0)
        else $error("AXI A3.3.1: a response of ID %h before request and data", b_i.id);
`endif
        if (b_ready_i && owed[b_i.id] != 0) owed[b_i.id] = owed[b_i.id] - 1;
      end

      if (aw_valid_i && aw_ready_i) begin
        if (ahead(bursts, requests)) begin
          a_aw_len :
          assert (aw_i.len == sent[requests])
          else $error("AXI A3.4.1: a request for %0d beats, whose data had %0d", 32'(aw_i.len) + 1, 32'(sent[requests]) + 1);
        end
        len[requests] = aw_i.len;
        id[requests] = aw_i.id;
        requests = requests + 1'b1;
      end
      if (w_valid_i && w_ready_i) begin
        if (ahead(requests, bursts)) begin
          a_w_last :
          assert (w_i.last == (beat == len[bursts]))
          else $error("AXI A3.4.1: last is %b in beat %0d of a burst of %0d", w_i.last, beat, 32'(len[bursts]) + 1);
        end
        sent[bursts] = beat;
        beat = w_i.last ? '0 : beat + 8'd1;
        bursts = bursts + number_t'(w_i.last);
      end
      if (ahead(requests, whole) && ahead(bursts, whole)) begin
        owed[id[whole]] = owed[id[whole]] + 1;
        whole = whole + 1'b1;
      end
    end
  end

endmodule
