// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fetches one command at a time for the queues, round-robin, from host memory
// and has it checked. One AXI read of one beat each. Used by: queue_engine.
module queue_fetch
  import carillon_pkg::*;
  import queue_pkg::*;
#(
  parameter axi_id_t IdValue = '0
) (
  input logic clk_i,
  input logic rst_ni,

  // From the queues
  input  logic     [Queues-1:0] valid_i,
  input  addr_t                 addr_i   [Queues],
  output logic     [Queues-1:0] taken_o,            // the request is under way
  output logic     [Queues-1:0] done_o,             // pulse, with what follows
  output logic                  failed_o,           // bus error: command_o and status_o mean nothing
  output command_t              command_o,
  output status_t               status_o,

  // AXI read side, host
  output axi_ax_t ar_o,
  output logic    ar_valid_o,
  input  logic    ar_ready_i,
  input  axi_r_t  r_i,
  input  logic    r_valid_i,
  output logic    r_ready_o
);

  typedef enum logic [1:0] {
    Idle,
    Request,
    Wait,
    Check
  } state_e;

  state_e state_q;
  queue_id_t queue_q, turn;
  logic  any;
  addr_t addr_q;
  logic  checked;
  wire   take = state_q == Idle && any;
  wire   arrived = state_q == Wait && r_valid_i;

  rr_arbiter #(
    .N(Queues)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .request_i(valid_i),
    .take_i   (take),
    .valid_o  (any),
    .index_o  (turn)
  );

  // The beat is looked at one cycle after it arrived.
  logic check_q;
  queue_check u_check (
    .clk_i,
    .rst_ni,
    .valid_i  (check_q),
    .command_i(command_o),
    .admin_i  (queue_q == '0),
    .valid_o  (checked),
    .status_o
  );

  always_comb begin
    taken_o = '0;
    taken_o[turn] = take;
    done_o = '0;
    done_o[queue_q] = state_q == Check && (checked || failed_o);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Idle;
      queue_q <= '0;
      check_q <= 1'b0;
      failed_o <= 1'b0;
    end else begin
      check_q <= arrived && !r_i.resp[1];
      unique case (state_q)
        Idle: begin
          if (any) begin
            state_q <= Request;
            queue_q <= turn;
          end
        end
        Request: if (ar_ready_i) state_q <= Wait;
        Wait: begin
          if (r_valid_i) begin
            state_q <= Check;
            failed_o <= r_i.resp[1];
          end
        end
        default: begin
          if (checked || failed_o) begin
            state_q <= Idle;
            failed_o <= 1'b0;
          end
        end
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) addr_q <= addr_i[turn];
    if (arrived) command_o <= command_t'(r_i.data);
  end

  assign ar_o = '{id: IdValue, addr: addr_q, len: '0};
  assign ar_valid_o = state_q == Request;
  assign r_ready_o = 1'b1;

  wire unused = &{1'b0, r_i.id, r_i.resp[0], r_i.last};

endmodule
