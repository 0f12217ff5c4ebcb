// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Latencies of the arithmetic blocks, computed from widths, so that everything built
// of them is in step by construction, and the two ways in which a word travels:
//   plain: all bits in the same cycle;
//   skewed: cut into chunks of CarryBits, chunk k valid k cycles after chunk 0. A
//     carry then has a cycle per chunk to travel, and sums of sums need no waiting.
// Who uses it: the modules of hdl/rtl/field.
package arith_pkg;

  // Longest carry chain of one cycle. 100 bits are 13 CARRY8 blocks, which leaves
  // an UltraScale+ device at 300 MHz room for one LUT in front.
  parameter int unsigned CarryBits = 100;

  // The unsigned multiplier of a DSP48E2, and the registers a product passes in it:
  // operands, product, sum.
  parameter int unsigned DspA = 26;
  parameter int unsigned DspB = 17;
  parameter int unsigned DspStages = 3;

  // Cycles of a pipe_add of this width; chunks of a skewed word.
  function automatic int unsigned add_stages(int unsigned width);
    return (width + CarryBits - 1) / CarryBits;
  endfunction

  // ---- mul_dsp: rows of DspA bits of one operand, columns of DspB bits of the other ----
  function automatic int unsigned dsp_rows(int unsigned width);
    return (width + DspA - 1) / DspA;
  endfunction

  function automatic int unsigned dsp_columns(int unsigned width);
    return (width + DspB - 1) / DspB;
  endfunction

  // Cycles from a row to the next: a cell adds bits that the row above completes two
  // columns further on, one cycle per column, and registers them on the way in.
  function automatic int unsigned dsp_row_step(int unsigned columns);
    return 2 + ((columns > 2) ? 2 : columns - 1);
  endfunction

  // Cycle in which the cell's sum is registered.
  function automatic int unsigned dsp_cycle(int unsigned width, int unsigned row, int unsigned column);
    return DspStages + row * dsp_row_step(dsp_columns(width)) + column;
  endfunction

  function automatic int unsigned dsp_latency(int unsigned width);
    return dsp_cycle(width, dsp_rows(width) - 1, dsp_columns(width) - 1);
  endfunction

  // ---- skew_mul: to chunk 0 of its skewed product ----
  // Sums of halves, products of halves, middle term, join. A loop follows the module's
  // recursion: not every tool evaluates recursive constant functions.
  function automatic int unsigned skew_mul_latency(int unsigned width, int unsigned levels);
    int unsigned part;
    int unsigned half;
    int unsigned latency;
    part = width;
    latency = 0;
    for (int unsigned level = 0; level < levels; level++) begin
      half = (part + 1) / 2;
      latency = latency + add_stages(half) + 2;
      part = half + 1;
    end
    return latency + dsp_latency(part);
  endfunction

  // Cycles of mul_karatsuba: to the last chunk.
  function automatic int unsigned karatsuba_latency(int unsigned width, int unsigned levels);
    return skew_mul_latency(width, levels) + add_stages(2 * width) - 1;
  endfunction

  // Cycles of fp_add and fp_sub: both candidates side by side, choice.
  parameter int unsigned FpAddLatency = add_stages(carillon_pkg::FpBits + 1) + 1;

  // Cycles of fp_times12: estimate, table, both candidates side by side, choice.
  parameter int unsigned FpTimes12Latency = 2 + add_stages(carillon_pkg::FpBits + 5) + 1;

  // Cycles of fp2_join: operands, both sums, a register between them.
  parameter int unsigned Fp2JoinLatency = 2 * FpAddLatency + 2;

endpackage
