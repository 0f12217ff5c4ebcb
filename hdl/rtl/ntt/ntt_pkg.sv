// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types and parameters that the modules of the NTT engine share; see hdl/doc/ntt.md.
package ntt_pkg;
  import carillon_pkg::*;

  // log2 of the columns of a tile, at most: 16 elements are a run of 512 bytes.
  parameter int unsigned ColumnsLog2 = 4;
  // Beats of a full tile.
  parameter int unsigned TileLog2 = NttStages + ColumnsLog2 - 1;
  // log2 of the entries of a table of powers: two tables give every power below the order.
  parameter int unsigned PowersLog2 = (NttMaxLog2 + 1) / 2;

  // An exponent of two, 0 to 63.
  parameter int unsigned Log2Bits = 6;
  typedef logic [Log2Bits-1:0] log2_t;

  // The number of an element in a buffer, or an exponent of a root of unity.
  typedef logic [31:0] index_t;
  // The number of a row in a tile.
  typedef logic [NttStages-1:0] row_t;

  // A beat's elements: columns 2i and 2i + 1, or rows where a stage has paired them.
  typedef struct packed {
    fr_t odd;
    fr_t even;
  } pair_t;

  // What one pass does. Constant while the pass runs; sizes and strides are log2, strides in elements.
  typedef struct packed {
    logic  inverse;
    logic  coset;
    logic  odd;          // the shift is a root of order 2n instead of 7
    logic  first;        // of several: factors depend on the column, blocks of rows and columns are written the other way round
    logic  last;         // factors scale the result
    log2_t log2n;
    log2_t remaining;    // of the transform from this pass on
    log2_t done;         // of the passes before
    log2_t rows;         // of a tile: the size of this pass's transforms
    log2_t columns;      // of a tile
    log2_t outer;        // tiles, two loops
    log2_t inner;
    log2_t read_outer;
    log2_t read_inner;
    log2_t read_row;
    log2_t write_outer;
    log2_t write_inner;
    log2_t write_row;    // of a row, or of a block of 2^columns rows
  } pass_t;

  // Constants that a table of powers is made with: the k-th is the step to the power 2^k.
  typedef enum logic [1:0] {
    PowersOne,          // the step is 1
    PowersRoot,         // a root of unity of order 2^base
    PowersShiftInverse,  // 7^-(2^base)
    PowersRootInverse    // the inverse of a root of unity of order 2^base
  } powers_e;

  // Beats in which a row passes: none has less than one.
  function automatic log2_t row_beats(log2_t columns);
    return (columns == '0) ? '0 : columns - 1'b1;
  endfunction

  // Rows that pass one after the other; without columns a beat holds both.
  function automatic log2_t timed_rows(log2_t rows, log2_t columns);
    return (columns == '0) ? '0 : rows;
  endfunction

  // The element at which a row begins, by its tile and its number.
  function automatic index_t element_at(index_t outer, log2_t outer_stride, index_t inner, log2_t inner_stride, row_t row,
                                        log2_t row_stride);
    return (outer << outer_stride) + (inner << inner_stride) + (index_t'(row) << row_stride);
  endfunction

  // The row that leaves the cascade in turn t of 2^rows: those of the upper half alternate with the lower.
  function automatic row_t row_of(row_t t, log2_t rows);
    row_t upper;
    upper = (rows == '0) ? '0 : row_t'(t[0]) << (rows - 1'b1);
    return (t >> 1) | upper;
  endfunction
endpackage
