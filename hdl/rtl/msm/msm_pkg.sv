// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types and tables of the MSM engine: window geometry, the recoding of scalars,
// the choice of the window size, and the records that travel between its
// blocks. Used by: everything in this folder. Protocol: hdl/doc/msm.md.
package msm_pkg;
  import carillon_pkg::*;

  // ---- Windows and digits ----
  // One bit cannot be recoded into digits of both signs; it is run as two.
  parameter int unsigned MsmMinWindowBits = 2;
  parameter int unsigned BucketBits = MsmMaxWindowBits - 1;
  parameter int unsigned Buckets = 1 << BucketBits;
  parameter int unsigned WinBits = (MsmWindows > 1) ? $clog2(MsmWindows) : 1;
  // The recoded scalar, with the absent windows of the topmost group on top.
  parameter int unsigned RecodedBits = FrBits + (MsmWindows + 1) * MsmMaxWindowBits;
  parameter int unsigned BitPosBits = $clog2(RecodedBits);
  parameter int unsigned WindowBitsBits = $clog2(MsmMaxWindowBits + 1);
  parameter int unsigned CountBits = 32;  // elements of one command

  typedef logic [BucketBits-1:0] bucket_t;  // magnitude of a digit, minus one
  typedef logic [WinBits-1:0] win_t;  // window within its group
  typedef logic [MsmWindows-1:0] win_mask_t;
  typedef logic [RecodedBits-1:0] recoded_t;
  typedef logic [BitPosBits-1:0] bit_pos_t;
  typedef logic [WindowBitsBits-1:0] window_bits_t;
  typedef logic [BitPosBits-1:0] window_index_t;  // window within the scalar
  typedef logic [CountBits-1:0] count_t;

  typedef struct packed {
    logic    nonzero;
    logic    negative;
    bucket_t bucket;
  } digit_t;

  // A scalar as the dispatcher sees it: the digits of the windows in flight.
  typedef struct packed {
    logic                    bad;    // the scalar was not below r
    digit_t [MsmWindows-1:0] digit;
  } digits_t;

  // A point as the dispatcher sees it.
  typedef struct packed {
    logic bad;       // a coordinate was not below p
    logic infinity;
    fp_t  x;
    fp_t  y;
    fp_t  neg_y;
  } point_t;

  // ---- Dispatch ----
  parameter int unsigned PointsLog2 = 6;  // points held for the windows that still need them
  typedef logic [PointsLog2-1:0] point_slot_t;

  // What a window wants next: add this point, with this sign, to this bucket.
  typedef struct packed {
    logic        negative;
    bucket_t     bucket;
    point_slot_t slot;
  } candidate_t;

  // ---- Node memory: sums of the aggregation and of the combination ----
  parameter int unsigned SegmentLog2 = 5;  // at most 2^5 segments of buckets per window
  typedef logic [SegmentLog2-1:0] segment_t;
  typedef enum logic [1:0] {
    NodePlain,     // sum of a segment's buckets
    NodeWeighted,  // sum weighted with the place in the segment
    NodeWindow,    // a window's sum, handed to the combination (segment 0)
    NodeTotal      // the combination's running total (segment 0, window 0)
  } node_kind_e;
  typedef struct packed {
    node_kind_e kind;
    segment_t   segment;
    win_t       win;
  } node_addr_t;
  parameter int unsigned NodeDepth = 1 << $bits(node_addr_t);

  // One addition outside the bucket phase: dst = x + y.
  typedef struct packed {
    node_addr_t dst;
    node_addr_t x;
    logic       x_infinity;
    node_addr_t y;
  } node_op_t;

  // The same, with a bucket in place of y; the bucket is left empty.
  typedef struct packed {
    logic    valid;
    win_t    win;
    bucket_t bucket;
  } take_t;

  // ---- Scheduler ----
  typedef enum logic [1:0] {
    OwnerBucket,
    OwnerAggregate,
    OwnerCombine
  } owner_e;

  // What travels beside an addition and says where its sum goes.
  typedef struct packed {
    owner_e     owner;
    win_t       win;
    bucket_t    bucket;
    node_addr_t dst;
  } tag_t;

  // Access of one port of one window's bucket memory.
  typedef struct packed {
    logic    enable;
    logic    write;
    bucket_t bucket;
  } access_t;

  typedef enum logic [1:0] {
    AResult,   // the sum that just left the adder
    ASlotOut,  // bucket memory of `a_win`, port of the results
    ASlotIn,   // bucket memory of `a_win`, port of the points
    ANode      // node memory at `y`
  } a_sel_e;
  typedef enum logic [1:0] {
    BResult,
    BPoint,    // the point of window `b_win`
    BNode,     // node memory at `x`
    BInfinity
  } b_sel_e;

  // The addition to start, for the datapath.
  typedef struct packed {
    logic       valid;
    a_sel_e     a_sel;
    logic       a_infinity;  // an empty bucket
    win_t       a_win;
    b_sel_e     b_sel;
    win_t       b_win;
    node_addr_t x;
    node_addr_t y;
  } issue_t;

  // Scheduler's decision to operands at the adder's input, and from there until
  // the scheduler sees the sum's tag: the shortest way from an addition to the
  // next one that needs its sum.
  parameter int unsigned OperandLatency = 3;
  parameter int unsigned LoopLatency = G1AddLatency + OperandLatency - 1;

  // ---- Geometry by window size ----
  // Adding 2^(c-1) in every window makes the windows' digits independent:
  // digit = window(k') - 2^(c-1), from -2^(c-1) to 2^(c-1) - 1.
  function automatic recoded_t recode_offset(int unsigned bits, int unsigned windows);
    recode_offset = '0;
    for (int unsigned i = 0; i < windows; i++) recode_offset[bits*i+bits-1] = 1'b1;
  endfunction

  // The fewest windows that hold every recoded scalar, the carry out of the top included.
  function automatic int unsigned window_count(int unsigned bits);
    recoded_t largest;
    window_count = (FrBits + bits - 1) / bits;
    largest = recoded_t'(FrModulus) - 1 + recode_offset(bits, window_count);
    if ((largest >> (bits * window_count)) != '0) window_count++;
  endfunction

  typedef struct packed {
    window_index_t top_first;  // lowest window of the topmost group
    win_t          top_last;   // its highest window within the group
    bit_pos_t      top_pos;    // its lowest bit
    recoded_t      offset;
  } geometry_t;
  typedef geometry_t [MsmMaxWindowBits:0] geometries_t;

  function automatic geometries_t geometries();
    int unsigned windows;
    int unsigned first;
    geometries = '0;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
      windows = window_count(c);
      first = ((windows - 1) / MsmWindows) * MsmWindows;
      geometries[c].top_first = window_index_t'(first);
      geometries[c].top_last = win_t'(windows - 1 - first);
      geometries[c].top_pos = bit_pos_t'(first * c);
      geometries[c].offset = recode_offset(c, windows);
    end
  endfunction
  parameter geometries_t Geometry = geometries();

  // ---- Cost model: cycles of an MSM of n uniform scalars (hdl/doc/msm.md) ----
  function automatic longint unsigned larger(longint unsigned a, longint unsigned b);
    return (a > b) ? a : b;
  endfunction

  // One group of `in_group` windows: its points, then its buckets.
  function automatic longint unsigned group_cost(int unsigned c, longint unsigned n, longint unsigned in_group);
    longint unsigned loop, buckets, levels, segments, length, chains, parked, points, aggregate;
    loop = 64'(LoopLatency);
    buckets = 64'd1 << (c - 1);
    levels = (c - 1 > SegmentLog2) ? 64'(SegmentLog2) : 64'(c - 1);
    segments = 64'd1 << levels;
    length = buckets / segments;
    chains = segments * in_group;
    parked = n * buckets / (n + buckets);  // points that wait in an empty bucket, roughly
    points = larger(2 * n, in_group * (n - parked)) + parked + 3 * loop;
    aggregate = (length - 1) * larger(2 * chains, loop) + 2 * larger(chains, loop)
        + 64'($clog2(length)) * larger(chains, loop) + 2 * levels * loop + 4 * chains;
    return points + aggregate;
  endfunction

  // The combination follows the groups, unless it is the slower; the last group's part is waited for.
  function automatic longint unsigned msm_cost(int unsigned c, longint unsigned n);
    longint unsigned windows, in_top, top, groups, combine;
    windows = 64'(window_count(c));
    in_top = (windows - 1) % 64'(MsmWindows) + 1;
    top = group_cost(c, n, in_top);
    groups = (windows - in_top) / 64'(MsmWindows) * group_cost(c, n, 64'(MsmWindows));
    combine = 64'(c + 1) * (64'(LoopLatency) + 2);
    return top + larger(groups, (windows - in_top) * combine) + 64'(MsmWindows) * combine;
  endfunction

  // The cheapest window size by floor(log2(n)), taken at 1.5 * 2^floor(log2(n)).
  typedef window_bits_t [CountBits-1:0] window_choice_t;
  function automatic window_choice_t window_choice();
    longint unsigned best, cost;
    for (int unsigned l = 0; l < CountBits; l++) begin
      best = '1;
      for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
        cost = msm_cost(c, (64'd3 << l) / 2);
        if (cost < best) begin
          best = cost;
          window_choice[l] = window_bits_t'(c);
        end
      end
    end
  endfunction
  parameter window_choice_t WindowChoice = window_choice();

endpackage
