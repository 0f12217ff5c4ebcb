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

  // The rows of `windows` windows of a unit, batch after batch, unless the tree is slower.
  function automatic cycles_t rows_cost(int unsigned c, cycles_t windows);
    cycles_t chains, rows, batch;
    rows_cost = '0;
    rows = 64'd1 << (c - 1 - columns_log2(c));
    for (cycles_t left = windows; left != 0; left = left - batch) begin
      batch = ((left % (64'd1 << batch_log2(c))) != 0) ? left % (64'd1 << batch_log2(c)) : 64'd1 << batch_log2(c);
      chains = batch << columns_log2(c);
      rows_cost += larger(larger(chains, Loop) + (rows - 1) * larger(2 * chains, Loop), (left == windows) ? 64'd0 : tree_cost(c));
    end
  endfunction

  // A group of `windows` windows: additions of its points, but at least the memory's pace, then the rows.
  function automatic cycles_t group_cost(int unsigned c, cycles_t n, bit full, cycles_t windows);
    cycles_t in_unit, additions, pairs;
    in_unit = (windows + Adders - 1) / Adders;
    additions = (full ? 64'd1 : 64'd2) * n * in_unit;
    pairs = (2 * n) / 64'(MsmLanes);
    return Fill + larger(additions, pairs) + rows_cost(c, in_unit);
  endfunction

  // The combination is a chain of its own beside all that; what follows the last window is waited for.
  function automatic cycles_t msm_cost(int unsigned c, cycles_t n, bit full);
    cycles_t windows, size, groups, chain_link, chain, work;
    windows = 64'(window_count(c, full));
    size = 64'(group_size(c));
    groups = (windows + size - 1) / size;
    work = group_cost(c, n, full, windows - (groups - 1) * size) + (groups - 1) * group_cost(c, n, full, size);
    chain_link = (64'(c) * Adders + 1) * Loop;
    chain = (windows / Adders) * chain_link;
    msm_cost = larger(work, chain) + tree_cost(c) + (64'd1 << batch_log2(c)) * chain_link;
    // The other units' totals.
    if (MsmAdders > 1) msm_cost += (Adders - 1) * (64'(c) + 1) * Loop;
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
