// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Latencies of the arithmetic blocks, computed from widths, so that everything built
// of them is in step by construction. Who uses it: the modules of hdl/rtl/field.
package arith_pkg;

  // Longest carry chain of one cycle. 100 bits are 13 CARRY8 blocks, which leaves
  // an UltraScale+ device at 300 MHz room for one LUT in front.
  parameter int unsigned CarryBits = 100;

  // mul_dsp: operand registers, products, rows, total.
  parameter int unsigned DspLatency = 4;

  // Cycles of a pipe_add of this width.
  function automatic int unsigned add_stages(int unsigned width);
    return (width + CarryBits - 1) / CarryBits;
  endfunction

  // The functions below follow the modules' recursion with loops: not every tool
  // evaluates recursive constant functions.

  // Cycles of mul_karatsuba: sum of halves, products of halves, middle term, join.
  function automatic int unsigned karatsuba_latency(int unsigned width, int unsigned levels);
    int unsigned part;
    int unsigned half;
    int unsigned latency;
    part = width;
    latency = DspLatency;
    for (int unsigned level = 0; level < levels; level++) begin
      half = (part + 1) / 2;
      latency = latency + add_stages(half) + add_stages(2 * half + 2)
          + add_stages(2 * part - half);
      part = half + 1;
    end
    return latency;
  endfunction

  // `width` halved `times` times, each time rounded up.
  function automatic int unsigned halved(int unsigned width, int unsigned times);
    return (width + (1 << times) - 1) >> times;
  endfunction

  // Cycles of mul_low: the full product of the low halves beside the mixed products
  // and their sum, then the final addition; from the innermost level outwards.
  function automatic int unsigned low_latency(int unsigned width, int unsigned levels);
    int unsigned half;
    int unsigned full;
    int unsigned latency;
    latency = DspLatency;
    for (int unsigned level = 0; level < levels; level++) begin
      half = halved(width, levels - level);
      full = karatsuba_latency(half, level);
      latency = latency + add_stages(half);
      if (latency < full) latency = full;
      latency = latency + add_stages(half);
    end
    return latency;
  endfunction

  // Cycles of mont_mul without padding: three products, sum, subtraction, choice.
  function automatic int unsigned mont_latency(int unsigned width, int unsigned bits, int unsigned levels);
    return 2 * karatsuba_latency(width, levels) + low_latency(width, levels) + 2 * add_stages(bits + 1) + 1;
  endfunction

  // Cycles of fp_add and fp_sub: both candidates side by side, choice.
  parameter int unsigned FpAddLatency = add_stages(carillon_pkg::FpBits + 1) + 1;

  // Cycles of fp_times12: estimate, table, both candidates side by side, choice.
  parameter int unsigned FpTimes12Latency = 2 + add_stages(carillon_pkg::FpBits + 5) + 1;

endpackage
