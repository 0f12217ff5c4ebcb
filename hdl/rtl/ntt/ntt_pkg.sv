// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types that the modules of the NTT engine share; see hdl/doc/ntt.md.
package ntt_pkg;
  import carillon_pkg::*;

  // Pre-addition, halving, product, post-addition.
  parameter int unsigned ButterflyLatency = FrMulLatency + 3;

  // An exponent of two, 0 to 63.
  parameter int unsigned Log2Bits = 6;
  typedef logic [Log2Bits-1:0] log2_t;

  // Longest run of beats that is merged into one sequential stream; longer runs
  // make long bursts by themselves and travel as two streams.
  parameter int unsigned MergeLog2 = 4;
  typedef logic [$clog2(MergeLog2+1)-1:0] run_log2_t;

  // How the two operands (or results) of consecutive butterflies lie in memory.
  typedef enum logic [1:0] {
    LayoutPaired,  // side by side in one beat; one stream
    LayoutMerged,  // runs of 2^run_log2 beats of the one and of the other by turns; one stream
    LayoutSplit    // the ones in stream 0, the others in stream 1
  } layout_e;

  // A request to a stream_reader or stream_writer (hdl/doc/blocks.md).
  typedef struct packed {
    addr_t       addr;
    logic [31:0] block_beats;
    logic [31:0] stride_beats;
    logic [31:0] blocks;
  } stream_request_t;

  // What one pass asks of the datapath. Constant while the pass runs.
  typedef struct packed {
    logic      inverse;
    logic      single;    // n = 1: the element is copied, as a + t 0 (inverse is 0)
    log2_t     log2s;     // a twiddle serves 2^log2s butterflies
    layout_e   read;
    layout_e   write;
    run_log2_t run_log2;  // beats of a run when a layout is LayoutMerged
  } pass_t;
endpackage
