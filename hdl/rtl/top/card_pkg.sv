// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The card's event counters, in the order of their registers (contract.md,
// 0x0200). Used by: hdl/rtl/top.
package card_pkg;

  typedef enum logic [3:0] {
    Cycles,
    Busy,
    Commands,
    Errors,
    MsmAdditions,
    BubbleHazard,
    BubbleMemory,
    BubbleOther,
    Butterflies,
    HostRead,
    HostWritten,
    CardRead,
    CardWritten
  } counter_e;
  parameter int unsigned Counters = 13;
  typedef logic [Counters-1:0][63:0] counts_t;

endpackage
