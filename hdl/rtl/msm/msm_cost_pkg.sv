// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Cost model of an MSM of n uniform scalars, in cycles, and the choice of window
// size that follows from it; hdl/doc/msm.md explains each term. Evaluated when
// the design is elaborated. Used by: msm_control, identify_unit.
package msm_cost_pkg;
  import carillon_pkg::*;
  import msm_pkg::*;

  typedef longint unsigned cycles_t;

  function automatic cycles_t larger(cycles_t a, cycles_t b);
    return (a > b) ? a : b;
  endfunction

  // From one addition to another that needs its sum.
  localparam cycles_t Loop = 64'(LoopLatency) + 2;
  // From the start of a group to its first addition: memory, msm_prepare.
  localparam cycles_t Fill = 64'd250;
  localparam cycles_t Adders = 64'(MsmAdders);

  // From the last row of a batch to its windows' sums: the steps of msm_tree.
  function automatic cycles_t tree_cost(int unsigned c);
    cycles_t steps, additions;
    steps = 2 * 64'(columns_log2(c)) + 3;
    additions = 64'd5 << (columns_log2(c) + batch_log2(c));
    return steps * Loop + additions;
  endfunction

  // Windows of the topmost batch of `windows`.
  function automatic cycles_t top_batch(int unsigned c, cycles_t windows);
    cycles_t rest;
    rest = windows % (64'd1 << batch_log2(c));
    return (rest != 0) ? rest : 64'd1 << batch_log2(c);
  endfunction

  function automatic cycles_t in_unit(cycles_t windows);
    return (windows + Adders - 1) / Adders;
  endfunction

  // Rows of buckets that are used in the topmost batch of a group of `windows` windows: all, unless the
  // batch is the highest window of all alone, which has few bits.
  function automatic cycles_t top_rows(int unsigned c, bit full, cycles_t windows);
    cycles_t count, high;
    count = 64'(window_count(c, full));
    top_rows = 64'd1 << (c - 1 - columns_log2(c));
    if (windows == (count - 1) % 64'(group_size(c)) + 1 && top_batch(c, in_unit(windows)) == 1 && (windows - 1) % Adders == 0) begin
      high = 64'(((full ? FullBound : GlvPartBound) >> (c * (32'(count) - 1))) >> columns_log2(c)) + 1;
      if (high < 2) high = 2;
      if (high < top_rows) top_rows = high;
    end
  endfunction

  // The rows of a batch of `batch` windows.
  function automatic cycles_t batch_rows_cost(int unsigned c, cycles_t batch, cycles_t rows);
    cycles_t chains;
    chains = batch << columns_log2(c);
    return larger(chains, Loop) + (rows - 1) * larger(2 * chains, Loop);
  endfunction

  function automatic cycles_t top_batch_cost(int unsigned c, bit full, cycles_t windows);
    return batch_rows_cost(c, top_batch(c, in_unit(windows)), top_rows(c, full, windows));
  endfunction

  // The rows of a unit's share of `windows` windows, batch after batch, unless the tree is slower.
  function automatic cycles_t rows_cost(int unsigned c, bit full, cycles_t windows);
    cycles_t batch;
    rows_cost = top_batch_cost(c, full, windows);
    for (cycles_t left = in_unit(windows) - top_batch(c, in_unit(windows)); left != 0; left = left - batch) begin
      batch = top_batch(c, left);
      rows_cost += larger(batch_rows_cost(c, batch, 64'd1 << (c - 1 - columns_log2(c))), tree_cost(c));
    end
  endfunction

  // The bucket phase of `windows` windows: additions, but at most a pair a cycle. The first of a bucket's
  // points waits there without an addition: m digits meet about m B / (m + B) of B buckets.
  function automatic cycles_t points_cost(int unsigned c, cycles_t n, bit full, cycles_t windows);
    cycles_t digits, buckets, additions;
    digits = (full ? 64'd1 : 64'd2) * n;
    buckets = 64'd1 << (c - 1);
    additions = in_unit(windows) * (digits - digits * buckets / (digits + buckets));
    return Fill + larger(larger(additions, n), (2 * n) / 64'(MsmLanes));
  endfunction

  function automatic cycles_t group_cost(int unsigned c, cycles_t n, bit full, cycles_t windows);
    return points_cost(c, n, full, windows) + rows_cost(c, full, windows);
  endfunction

  // From a group's start to the sums of its topmost batch.
  function automatic cycles_t first_cost(int unsigned c, cycles_t n, bit full, cycles_t windows);
    return points_cost(c, n, full, windows) + top_batch_cost(c, full, windows) + tree_cost(c);
  endfunction

  // The combination of the lowest `windows` windows, at most `most` of a unit, when their sums are there. Unit i
  // ends with c i doublings; the one that takes longest counts.
  function automatic cycles_t chain_cost(int unsigned c, cycles_t windows, cycles_t most);
    cycles_t mine;
    chain_cost = '0;
    for (cycles_t i = 0; i < Adders && i < windows; i++) begin
      mine = in_unit(windows - i);
      if (mine > most) mine = most;
      chain_cost = larger(chain_cost, (mine - 1) * (64'(c) * Adders + 1) * Loop + 64'(c) * i * Loop);
    end
    chain_cost += Loop;
  endfunction

  // Either the work is the longest, and the last batch's combination follows it; or the combination is, from
  // the first sums of the topmost or of the last group on.
  function automatic cycles_t msm_cost(int unsigned c, cycles_t n, bit full);
    cycles_t windows, size, groups, top, earlier;
    windows = 64'(window_count(c, full));
    size = 64'(group_size(c));
    groups = (windows + size - 1) / size;
    top = windows - (groups - 1) * size;
    msm_cost = group_cost(c, n, full, top) + (groups - 1) * group_cost(c, n, full, size) + tree_cost(c)
        + chain_cost(c, windows, 64'd1 << batch_log2(c));
    msm_cost = larger(msm_cost, first_cost(c, n, full, top) + chain_cost(c, windows, windows));
    if (groups > 1) begin
      earlier = group_cost(c, n, full, top) + (groups - 2) * group_cost(c, n, full, size);
      msm_cost = larger(msm_cost, earlier + first_cost(c, n, full, size) + chain_cost(c, size, size));
    end
    // The other units' totals.
    msm_cost += (Adders - 1) * Loop;
  endfunction

  // The cheapest way by floor(log2(n)), taken at 1.5 * 2^floor(log2(n)); `full` forbids the endomorphism.
  typedef struct packed {
    logic         full;
    window_bits_t bits;
  } choice_t;
  typedef choice_t [CountBits-1:0] choices_t;
  function automatic choices_t choices(bit full);
    longint unsigned best, cost;
    for (int unsigned l = 0; l < CountBits; l++) begin
      best = '1;
      for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
        for (int unsigned f = 0; f < 2; f++) begin
          cost = msm_cost(c, (64'd3 << l) / 2, f[0]);
          if (cost < best && (f[0] || !full)) begin
            best = cost;
            choices[l] = '{full: f[0], bits: window_bits_t'(c)};
          end
        end
      end
    end
  endfunction
  parameter choices_t GlvChoice = choices(1'b0);
  parameter choices_t FullChoice = choices(1'b1);

endpackage
