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

  // From one addition to another that needs its sum; in G2 both start in a slot.
  function automatic cycles_t loop_of(bit g2);
    return g2 ? 64'(G2LoopLatency) + 64'(G2AddCycles) : 64'(LoopLatency) + 2;
  endfunction
  // From one addition to the next.
  function automatic cycles_t pace_of(bit g2);
    return g2 ? 64'(G2AddCycles) : 64'd1;
  endfunction
  // From the start of a group to its first addition: memory, msm_prepare.
  localparam cycles_t Fill = 64'd250;
  localparam cycles_t G2Fill = 64'd400;
  localparam cycles_t Adders = 64'(MsmAdders);

  // From the last row of a batch to its windows' sums: the steps of msm_tree.
  function automatic cycles_t tree_cost(int unsigned c, bit g2);
    cycles_t steps, additions;
    steps = 2 * 64'(columns_log2(c)) + 3;
    additions = 64'd5 << (columns_log2(c) + batch_log2(c));
    return steps * loop_of(g2) + pace_of(g2) * additions;
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
  function automatic cycles_t top_rows(int unsigned c, mode_t mode, cycles_t windows);
    cycles_t count, high;
    count = 64'(window_count(c, mode));
    top_rows = 64'd1 << (c - 1 - columns_log2(c));
    if (windows == (count - 1) % 64'(group_size(
        c, mode.g2
      )) + 1 && top_batch(
        c, in_unit(windows)
      ) == 1 && (windows - 1) % Adders == 0) begin
      high = 64'((part_bound(mode) >> (c * (32'(count) - 1))) >> columns_log2(c)) + 1;
      if (high < 2) high = 2;
      if (high < top_rows) top_rows = high;
    end
  endfunction

  // The rows of a batch of `batch` windows.
  function automatic cycles_t batch_rows_cost(int unsigned c, bit g2, cycles_t batch, cycles_t rows);
    cycles_t chains;
    chains = pace_of(g2) * (batch << columns_log2(c));
    return larger(chains, loop_of(g2)) + (rows - 1) * larger(2 * chains, loop_of(g2));
  endfunction

  function automatic cycles_t top_batch_cost(int unsigned c, mode_t mode, cycles_t windows);
    return batch_rows_cost(c, mode.g2, top_batch(c, in_unit(windows)), top_rows(c, mode, windows));
  endfunction

  // The rows of a unit's share of `windows` windows, batch after batch, unless the tree is slower.
  function automatic cycles_t rows_cost(int unsigned c, mode_t mode, cycles_t windows);
    cycles_t batch;
    rows_cost = top_batch_cost(c, mode, windows);
    for (cycles_t left = in_unit(windows) - top_batch(c, in_unit(windows)); left != 0; left = left - batch) begin
      batch = top_batch(c, left);
      rows_cost += larger(batch_rows_cost(c, mode.g2, batch, 64'd1 << (c - 1 - columns_log2(c))), tree_cost(c, mode.g2));
    end
  endfunction

  // The bucket phase of `windows` windows: additions, but at most a pair a cycle. The first of a bucket's
  // points waits there without an addition: m digits meet about m B / (m + B) of B buckets.
  function automatic cycles_t points_cost(int unsigned c, cycles_t n, mode_t mode, cycles_t windows);
    cycles_t digits, buckets, additions;
    digits = (mode.full ? 64'd1 : mode.g2 ? 64'd4 : 64'd2) * n;
    buckets = 64'd1 << (c - 1);
    additions = pace_of(mode.g2) * in_unit(windows) * (digits - digits * buckets / (digits + buckets));
    // msm_prepare takes a pair a cycle, msm_twist three for a point of G2, nine with z times the point.
    if (mode.g2) return G2Fill + larger(additions, (mode.full ? 64'd3 : 64'd9) * n);
    return Fill + larger(larger(additions, n), (2 * n) / 64'(MsmLanes));
  endfunction

  // The combination of the lowest `windows` windows, at most `most` of a unit, when their sums are there. Unit i
  // ends with c i doublings; the one that takes longest counts.
  function automatic cycles_t chain_cost(int unsigned c, bit g2, cycles_t windows, cycles_t most);
    cycles_t mine;
    chain_cost = '0;
    for (cycles_t i = 0; i < Adders && i < windows; i++) begin
      mine = in_unit(windows - i);
      if (mine > most) mine = most;
      chain_cost = larger(chain_cost, (mine - 1) * (64'(c) * Adders + 1) * loop_of(g2) + 64'(c) * i * loop_of(g2));
    end
    chain_cost += loop_of(g2);
  endfunction

  // What a window size costs whatever n is. Kept apart because tools take seconds to evaluate all of it anew for
  // each of the 32 sizes.
  typedef struct packed {
    cycles_t rows;       // of a group
    cycles_t top_batch;  // of it the rows of the topmost batch
  } group_costs_t;
  typedef struct packed {
    cycles_t      groups;       // passes over the pairs
    cycles_t      windows;      // of each group but the topmost
    cycles_t      top_windows;  // of the topmost
    group_costs_t group;
    group_costs_t top;
    cycles_t      tree;
    cycles_t      batch_chain;  // combinations: of the last batch, of a group, of everything
    cycles_t      group_chain;
    cycles_t      whole_chain;
  } fixed_costs_t;

  function automatic group_costs_t group_costs(int unsigned c, mode_t mode, cycles_t windows);
    return '{rows: rows_cost(c, mode, windows), top_batch: top_batch_cost(c, mode, windows)};
  endfunction

  function automatic fixed_costs_t fixed_costs(int unsigned c, mode_t mode);
    cycles_t windows, size, groups, top;
    windows = 64'(window_count(c, mode));
    size = 64'(group_size(c, mode.g2));
    groups = (windows + size - 1) / size;
    top = windows - (groups - 1) * size;
    fixed_costs = '{
      groups: groups,
      windows: size,
      top_windows: top,
      group: group_costs(c, mode, size),
      top: group_costs(c, mode, top),
      tree: tree_cost(c, mode.g2),
      batch_chain: chain_cost(c, mode.g2, windows, 64'd1 << batch_log2(c)),
      group_chain: chain_cost(c, mode.g2, size, size),
      whole_chain: chain_cost(c, mode.g2, windows, windows)
    };
  endfunction

  // Either the work is the longest, and the last batch's combination follows it; or the combination is, from
  // the first sums of the topmost or of the last group on.
  function automatic cycles_t msm_cost(fixed_costs_t fixed, int unsigned c, cycles_t n, mode_t mode);
    cycles_t points, top_points, earlier;
    top_points = points_cost(c, n, mode, fixed.top_windows);
    points = points_cost(c, n, mode, fixed.windows);
    earlier = top_points + fixed.top.rows;  // all groups but the last
    if (fixed.groups > 1) earlier += (fixed.groups - 2) * (points + fixed.group.rows);
    msm_cost = earlier + fixed.tree + fixed.batch_chain;
    if (fixed.groups > 1) msm_cost += points + fixed.group.rows;
    msm_cost = larger(msm_cost, top_points + fixed.top.top_batch + fixed.tree + fixed.whole_chain);
    if (fixed.groups > 1) begin
      msm_cost = larger(msm_cost, earlier + points + fixed.group.top_batch + fixed.tree + fixed.group_chain);
    end
    // The other units' totals.
    msm_cost += (Adders - 1) * loop_of(mode.g2);
  endfunction

  // The cheapest way by floor(log2(n)), taken at 1.5 * 2^floor(log2(n)), for each group; with whole scalars
  // wherever they are cheaper, or nothing else.
  typedef struct packed {
    logic         full;
    window_bits_t bits;
  } choice_t;
  typedef choice_t [CountBits-1:0] choices_t;
  function automatic choices_t [1:0] best_choices(bit g2);
    cycles_t [CountBits-1:0] least, least_full;
    fixed_costs_t fixed;
    cycles_t      cost;
    choice_t      choice;
    mode_t        mode;
    least = '1;
    least_full = '1;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
      for (int unsigned f = 0; f < 2; f++) begin
        mode = '{g2: g2, full: f[0]};
        fixed = fixed_costs(c, mode);
        choice = '{full: f[0], bits: window_bits_t'(c)};
        for (int unsigned l = 0; l < CountBits; l++) begin
          cost = msm_cost(fixed, c, (64'd3 << l) / 2, mode);
          if (cost < least[l]) begin
            least[l] = cost;
            best_choices[0][l] = choice;
          end
          if (f[0] && cost < least_full[l]) begin
            least_full[l] = cost;
            best_choices[1][l] = choice;
          end
        end
      end
    end
  endfunction
  parameter choices_t [3:0] Choices = {best_choices(1'b1), best_choices(1'b0)};  // by mode_t, as commanded

endpackage
