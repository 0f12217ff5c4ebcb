// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types that the parts of the queue engine share. Used by: hdl/rtl/queue and
// the top, which connects the execution units.
package queue_pkg;

  import carillon_pkg::*;

  typedef logic [MaxLog2Depth-1:0] ring_index_t;
  parameter int unsigned QueueBits = $clog2(Queues);
  typedef logic [QueueBits-1:0] queue_id_t;

  // What a queue takes over when it is enabled.
  typedef struct packed {
    addr_t      sq_base;
    addr_t      cq_base;
    logic [7:0] log2_depth;
  } queue_config_t;

  // QUEUE_STATUS.error
  typedef enum logic [7:0] {
    QueueNoError  = 8'd0,
    QueueDoorbell = 8'd1,
    QueueFetch    = 8'd2,
    QueuePost     = 8'd3
  } queue_error_e;

  // Execution units, by index. ABORT runs inside the queue engine.
  typedef enum logic [2:0] {
    UnitIdentify = 3'd0,
    UnitAbort    = 3'd1,
    UnitDma      = 3'd2,
    UnitMsm      = 3'd3,
    UnitNtt      = 3'd4,
    UnitQuotient = 3'd5
  } unit_e;
  parameter int unsigned Units = 6;

  // Unit of an opcode that has passed queue_check.
  function automatic unit_e unit_of(logic [7:0] opcode);
    unique case (opcode)
      OpIdentify:       return UnitIdentify;
      OpAbort:          return UnitAbort;
      OpMsmG1, OpMsmG2: return UnitMsm;
      OpNtt:            return UnitNtt;
      OpQuotient:       return UnitQuotient;
      default:          return UnitDma;
    endcase
  endfunction

  // The 32 bytes of a completion, least significant first (contract.md, "Completion").
  typedef struct packed {
    status_t     status;
    logic        phase;
    logic [15:0] cid;
    logic [15:0] queue_number;
    logic [15:0] sq_head;
    logic [31:0] detail;
    logic [31:0] bubble_other;
    logic [31:0] bubble_memory;
    logic [31:0] bubble_hazard;
    logic [31:0] ops;
    logic [31:0] cycles;
  } completion_t;
  parameter int unsigned CompletionBytes = 32;

endpackage
