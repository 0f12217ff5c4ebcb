// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types of the MSM engine: windows and digits, the records that travel between
// its blocks, and the geometry of a run by window size. The choice of the window
// size is msm_cost_pkg's. Used by: everything in this folder. Protocol: hdl/doc/msm.md;
// what a run in G2 does otherwise: hdl/doc/g2.md.
package msm_pkg;
  import carillon_pkg::*;

  // ---- Windows, units, banks ----
  // Window w belongs to unit w mod MsmAdders; within the unit it is window w / MsmAdders.
  // Its buckets are spread over all banks of the unit, so that even a single window
  // that has digits keeps them all at work. A window has at least a bucket in each bank;
  // smaller windows are run as the smallest.
  parameter int unsigned AddersLog2 = $clog2(MsmAdders);
  parameter int unsigned BanksLog2 = $clog2(MsmBanks);
  parameter int unsigned MsmMinWindowBits = BanksLog2 + 1;
  parameter int unsigned BucketBits = MsmMaxWindowBits - 1;
  parameter int unsigned UnitWindows = MsmWindows / MsmAdders;  // windows in flight in a unit
  // Buckets of a bank: of the unit's share of `MsmFullBuckets` windows of the largest size.
  parameter int unsigned UnitFull = (MsmFullBuckets + MsmAdders - 1) / MsmAdders;
  parameter int unsigned BankBuckets = UnitFull << (BucketBits - BanksLog2);

  parameter int unsigned WindowBitsBits = $clog2(MsmMaxWindowBits + 1);
  parameter int unsigned UnitWinBits = $clog2(UnitWindows);
  parameter int unsigned CellBits = $clog2(BankBuckets);
  parameter int unsigned CountBits = 32;  // elements of one command

  typedef logic [BucketBits-1:0] bucket_t;  // magnitude of a digit, minus one
  typedef logic [CellBits-1:0] cell_t;  // a bucket's place in its bank
  typedef logic [BanksLog2-1:0] bank_t;
  typedef logic [MsmBanks-1:0] bank_mask_t;
  typedef logic [UnitWinBits-1:0] win_t;  // window in flight within a unit
  typedef logic [UnitWindows-1:0] win_mask_t;
  typedef logic [$clog2(MsmWindows)-1:0] group_win_t;  // window in flight, of all units
  typedef logic [MsmWindows-1:0] group_mask_t;
  typedef logic [WindowBitsBits-1:0] window_bits_t;
  typedef logic [CountBits-1:0] count_t;

  // Where a bucket lies. Neighbours lie in different banks, and so do equal digits of neighbouring windows.
  function automatic bank_t bank_of(win_t win, bucket_t bucket);
    return bank_t'(32'(bucket) + 32'(win));
  endfunction
  function automatic cell_t place_of(win_t win, bucket_t bucket, window_bits_t bits);
    return (cell_t'(win) << (bits - window_bits_t'(MsmMinWindowBits))) | cell_t'(32'(bucket) / MsmBanks);
  endfunction

  // Whether a unit has windows in a group whose highest one is `last`, and which is its highest.
  function automatic logic unit_has_windows(group_win_t last, group_win_t index);
    return last >= index;
  endfunction
  function automatic win_t unit_last_win(group_win_t last, group_win_t index);
    return win_t'((last - index) >> AddersLog2);
  endfunction

  // ---- What a run sums up ----
  typedef struct packed {
    logic g2;    // points of G2: sums are two words, an addition takes G2AddCycles cycles
    logic full;  // whole scalars, without the endomorphism
  } mode_t;

  // ---- Digits ----
  // A recoded number, with the absent windows of the topmost group on top.
  parameter int unsigned RecodedBits = FrBits + (MsmWindows + 1) * MsmMaxWindowBits;
  parameter int unsigned BitPosBits = $clog2(RecodedBits);
  typedef logic [RecodedBits-1:0] recoded_t;
  typedef logic [BitPosBits-1:0] bit_pos_t;

  typedef struct packed {
    logic    nonzero;
    logic    negative;
    bucket_t bucket;
  } digit_t;

  // With the endomorphism a scalar is two numbers: k = k1 + k2 z^2. Without, the second is zero.
  // In G2 it is four, two for the point and two for z times the point.
  parameter int unsigned Parts = 2;
  typedef digit_t [Parts-1:0] digit_pair_t;
  typedef digit_pair_t [UnitWindows-1:0] unit_digits_t;

  // A point and its image under the endomorphism, z^2 P = (x_image, -y). In G2 one word of
  // it: the c0 of all coordinates, or the c1.
  typedef struct packed {
    logic infinity;
    fp_t  x;
    fp_t  x_image;
    fp_t  y;
    fp_t  neg_y;
  } point_t;

  // A pair on its way to the units.
  typedef struct packed {
    logic                         bad_scalar;  // not below r
    logic                         bad_point;   // a coordinate is not below p
    logic                         second;      // G2: the second word of a point; digits and infinity count here
    count_t                       index;
    point_t                       point;
    unit_digits_t [MsmAdders-1:0] digits;      // by unit
  } pair_t;

  // A pair as it lies in memory. A pair of G2 is two of these: x and y stand for c0 and c1 of its x,
  // in the second one of its y.
  typedef struct packed {
    logic         second;
    count_t       index;
    logic [255:0] scalar;
    logic [383:0] y;
    logic [383:0] x;
  } raw_pair_t;

  // ---- Lanes ----
  // Pairs are dealt to the lanes in blocks of a page of scalars, which are three pages of points.
  parameter int unsigned BlockPairsLog2 = 7;
  parameter int unsigned BlockPairs = 1 << BlockPairsLog2;

  // ---- Dispatch ----
  parameter int unsigned PointsLog2 = 6;  // points held for the banks that still need them
  typedef logic [PointsLog2-1:0] point_slot_t;

  // What a bank wants next: add this point, with this sign, to this bucket.
  typedef struct packed {
    logic        image;     // the point's image under the endomorphism
    logic        negative;
    win_t        win;
    cell_t       place;
    point_slot_t slot;
  } candidate_t;

  // ---- Node memory: sums of the aggregation and of the combination ----
  // A batch of windows is summed at a time, in as many chains as fill the adder.
  parameter int unsigned ChainsLog2 = 6;
  typedef logic [ChainsLog2-1:0] chain_t;
  typedef enum logic [1:0] {
    NodePlain,     // sum of a chain's buckets
    NodeWeighted,  // the same, weighted with the row
    NodeColumn,    // sum of plain sums, weighted with the column
    NodeSingle     // windows' sums, totals
  } node_kind_e;
  typedef struct packed {
    node_kind_e kind;
    logic       odd;    // batches alternate
    chain_t     chain;
  } node_addr_t;
  parameter int unsigned NodeDepth = 2 << $bits(node_addr_t);  // words: in G2 a sum has two
  parameter chain_t ChainTotal = chain_t'(UnitWindows);  // after the windows' sums
  parameter chain_t ChainOther = chain_t'(UnitWindows + 1);  // another unit's total
  parameter node_addr_t TotalAddr = '{kind: NodeSingle, odd: 1'b0, chain: ChainTotal};
  parameter node_addr_t OtherAddr = '{kind: NodeSingle, odd: 1'b0, chain: ChainOther};

  function automatic node_addr_t window_addr(win_t win);
    return '{kind: NodeSingle, odd: 1'b0, chain: chain_t'(win)};
  endfunction

  typedef enum logic [1:0] {
    OwnerBucket,
    OwnerSum,      // aggregation: rows of buckets
    OwnerTree,     // aggregation: chains of a window
    OwnerCombine
  } owner_e;

  // One addition outside the bucket phase: dst = x + y.
  typedef struct packed {
    owner_e     owner;
    logic       last;        // the last one of its batch
    node_addr_t dst;
    node_addr_t x;
    logic       x_infinity;
    node_addr_t y;
  } node_op_t;

  // The same, with a bucket in place of y; the bucket is left empty.
  typedef struct packed {
    logic  valid;
    bank_t bank;
    cell_t place;
  } take_t;

  // A sum of such an addition is back.
  typedef struct packed {
    logic   valid;
    owner_e owner;
    logic   last;
  } node_return_t;

  // ---- Scheduler ----
  // What travels beside an addition and says where its sum goes.
  typedef struct packed {
    owner_e     owner;
    logic       last;
    win_t       win;
    bank_t      bank;
    cell_t      place;
    node_addr_t dst;
  } tag_t;

  // Access of one port of a bank.
  typedef struct packed {
    logic  enable;
    logic  write;
    logic  half;    // G2: the second word
    cell_t place;
  } access_t;

  typedef enum logic [1:0] {
    AResult,   // the sum that just left the adder
    ASlotOut,  // bank `a_bank`, port of the results
    ASlotIn,   // bank `a_bank`, port of the points
    ANode      // node memory at `y`
  } a_sel_e;
  typedef enum logic [1:0] {
    BResult,
    BPoint,    // the point of bank `b_bank`
    BNode,     // node memory at `x`
    BInfinity
  } b_sel_e;

  // The addition to start, for the datapath.
  typedef struct packed {
    logic       valid;
    logic       half;        // G2: the second word
    a_sel_e     a_sel;
    logic       a_infinity;  // an empty bucket
    bank_t      a_bank;
    b_sel_e     b_sel;
    bank_t      b_bank;
    node_addr_t x;
    node_addr_t y;
  } issue_t;

  // Scheduler's decision to operands at the adder's input, and from there until
  // the scheduler sees the sum's tag: the shortest way from an addition to the
  // next one that needs its sum.
  parameter int unsigned OperandLatency = 3;
  parameter int unsigned LoopLatency = G1AddLatency + OperandLatency - 1;
  parameter int unsigned G2LoopLatency = G2AddLatency + OperandLatency - 1;
  parameter int unsigned G2LoopSlots = G2LoopLatency / G2AddCycles;

  // ---- The endomorphism (Gallant, Lambert, Vanstone 2001) ----
  // z is the curve's parameter, r = z^4 - z^2 + 1. z^2 (x, y) = (GlvBeta x, -y)
  // for points of order r; GlvBeta is a cube root of 1, in Montgomery form.
  parameter int unsigned GlvPartBits = 127;
  parameter int unsigned SplitLatency = WideMulLatency + 9;  // of msm_split
  parameter int unsigned QuarterLatency = WideMulLatency + 7;  // of msm_quarter, to the second of two results
  parameter logic [63:0] GlvZ = 64'hd201000000010000;  // without its sign, as in contract.md
  // Shifts that make up z.
  parameter int unsigned ZTerms = 6;
  parameter int unsigned ZShift[ZTerms] = '{63, 62, 60, 57, 48, 16};
  parameter logic [127:0] GlvZ2 = 128'hac45a4010001a4020000000100000000;
  parameter fp_t GlvBeta = 381'h51ba4ab241b61603636b76660701c6ec26a2ff874fd029b16a8ca3ac61577f7f3b8ddab7ece5a2a30f1361b798a64e8;
  // q = round(k / z^2) for k <= r / 2, from the upper bits of k: with M = floor(2^262 / z^2),
  // |k / z^2 - ((k >> 120) M) / 2^142| < 2^-6, so the rest is below (1/2 + 2^-6) z^2 in absolute value.
  parameter int unsigned GlvDropBits = 120;
  parameter int unsigned GlvShift = 142;
  parameter logic [134:0] GlvReciprocal = 135'h5f1afb3c7807eab758fdb948bdb3fb8b80;
  // Neither part exceeds this; scalars are first brought to at most r / 2 by their sign. Without the
  // endomorphism they are not: k P = -(r - k) P holds for points of order r only.
  parameter recoded_t GlvPartBound = (recoded_t'(GlvZ2) >> 1) + (recoded_t'(GlvZ2) >> 6);
  parameter recoded_t FullBound = recoded_t'(FrModulus) - 1'b1;
  parameter fr_t HalfModulus = FrModulus >> 1;

  // In G2 each half is split once more, h = a + b z with b = round(h / z): with M = floor(2^134 / z),
  // |h / z - ((h >> 56) M) / 2^78| < 2^-6, so the rest is below (1/2 + 2^-6) z in absolute value.
  // psi, the untwist-Frobenius-twist endomorphism, multiplies points of order r by -z:
  // z (x, y) = -psi(x, y) = (PsiX u conj(x), PsiY (u - 1) conj(y)), and z^2 (x, y) = (PsiBeta x, -y).
  // (Galbraith, Lin, Scott, Endomorphisms for faster elliptic curve cryptography, 2009.)
  parameter int unsigned PsiPartBits = 64;
  parameter int unsigned PsiDropBits = 56;
  parameter int unsigned PsiShift = 78;
  parameter logic [70:0] PsiReciprocal = 71'h4e04813295b355ad4c;
  parameter recoded_t PsiPartBound = recoded_t'(GlvPartBound / recoded_t'(GlvZ)) + 1'b1;
  parameter fp_t PsiX = 381'h14e56d3f1564853a14e4f04fe2db9068a20d1b8c7e88102450880866309b7e2c2af322533285a5d5890dc9e4867545c3;
  parameter fp_t PsiY = 381'hbd592fc7d825ec81d794e4fac7cf0b992ad2afd19103e18382844c88b6237324294213d86c181833e2f585da55c9ad1;
  parameter fp_t PsiBeta = 381'h18f020655463874103f97d6e83d050d28eb60ebe01bacb9e587042afd3851b955dab22461fcda5d2cd03c9e48671f071;
  parameter fp_t PsiBetaX = 381'h40ab3263eff0206ef148d1ea0f4c069eca8f3318332bb7a07e83a49a2e99d6932b7fff2ed47fffd43f5fffffffcaaae;  // PsiBeta PsiX

  // ---- Geometry by window size ----
  // Adding 2^(c-1) in every window makes the windows' digits independent:
  // digit = window(k') - 2^(c-1), from -2^(c-1) to 2^(c-1) - 1.
  function automatic recoded_t recode_offset(int unsigned bits, int unsigned windows);
    recode_offset = '0;
    for (int unsigned i = 0; i < windows; i++) recode_offset[bits*i+bits-1] = 1'b1;
  endfunction

  // No number exceeds this.
  function automatic recoded_t part_bound(mode_t mode);
    return mode.full ? FullBound : mode.g2 ? PsiPartBound : GlvPartBound;
  endfunction

  // The fewest windows that hold every recoded number.
  function automatic int unsigned window_count(int unsigned bits, mode_t mode);
    recoded_t bound;
    bound = part_bound(mode);
    window_count = ((mode.full ? FrBits : mode.g2 ? PsiPartBits : GlvPartBits) + bits - 1) / bits;
    if (((bound + recode_offset(bits, window_count)) >> (bits * window_count)) != '0) window_count++;
  endfunction

  // Windows that are in flight together: as many as the banks hold.
  function automatic int unsigned group_size(int unsigned bits, bit g2);
    int unsigned fit;
    fit = (g2 ? BankBuckets / 2 : BankBuckets) >> (bits - MsmMinWindowBits);
    return MsmAdders * ((fit < UnitWindows) ? fit : UnitWindows);
  endfunction

  // Windows that are aggregated together: enough that their chains fill the adder.
  function automatic int unsigned batch_log2(int unsigned bits);
    return (bits >= 12) ? 1 : 2;
  endfunction

  // Chains per window: a chain has at least two buckets.
  function automatic int unsigned columns_log2(int unsigned bits);
    int unsigned most;
    most = ChainsLog2 - batch_log2(bits);
    return (bits - 2 < most) ? bits - 2 : most;
  endfunction

  typedef struct packed {
    logic [7:0] groups;
    group_win_t group_last;  // highest window of a group that is not the topmost
    group_win_t top_last;    // of the topmost
    bit_pos_t   top_pos;     // its lowest bit
    bit_pos_t   group_step;  // bits of a group
    recoded_t   offset;
  } geometry_t;
  typedef geometry_t [MsmMaxWindowBits:0] geometries_t;

  function automatic geometries_t geometries(mode_t mode);
    int unsigned windows, size, first;
    for (int unsigned c = 0; c < MsmMinWindowBits; c++) geometries[c] = '0;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
      windows = window_count(c, mode);
      size = group_size(c, mode.g2);
      first = ((windows - 1) / size) * size;
      geometries[c].groups = 8'((windows + size - 1) / size);
      geometries[c].group_last = group_win_t'(size - 1);
      geometries[c].top_last = group_win_t'(windows - 1 - first);
      geometries[c].top_pos = bit_pos_t'(first * c);
      geometries[c].group_step = bit_pos_t'(size * c);
      geometries[c].offset = recode_offset(c, windows);
    end
  endfunction
  parameter geometries_t [3:0] Geometry = {
    geometries('{g2: 1'b1, full: 1'b1}),
    geometries('{g2: 1'b1, full: 1'b0}),
    geometries('{g2: 1'b0, full: 1'b1}),
    geometries('{g2: 1'b0, full: 1'b0})
  };  // by mode_t

  typedef logic [$clog2(ChainsLog2+1)-1:0] log_t;
  typedef log_t [MsmMaxWindowBits:0] logs_t;

  function automatic logs_t all_batch_logs();
    all_batch_logs = '0;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) all_batch_logs[c] = log_t'(batch_log2(c));
  endfunction
  function automatic logs_t all_columns_logs();
    all_columns_logs = '0;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) all_columns_logs[c] = log_t'(columns_log2(c));
  endfunction
  parameter logs_t BatchLog2 = all_batch_logs();
  parameter logs_t ColumnsLog2 = all_columns_logs();

endpackage
