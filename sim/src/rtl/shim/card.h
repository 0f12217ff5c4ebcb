// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The Verilated card as C functions. Everything that happens every cycle stays
// on this side; Rust (sim/src/rtl/model.rs, the only caller) is called back per
// burst on the host bus and per interrupt. One thread at a time per card.
#ifndef CARILLON_SIM_RTL_CARD_H
#define CARILLON_SIM_RTL_CARD_H

#include <cstddef>
#include <cstdint>

extern "C" {

struct carillon_rtl_options {
    uint8_t backpressure;        // percent of cycles in which a bus stalls, 0 to 90
    uint32_t host_latency;       // cycles from a request to its first data or its response
    uint32_t memory_latency;     // the same for card memory
    uint64_t seed;               // of stalls and of the order of answers
    uint8_t* memory;             // card memory; outlives the card
    uint64_t memory_bytes;
    const uint8_t* attention;    // polled: not 0 ends carillon_rtl_run early
    const char* trace;           // VCD file, or null; needs a build with tracing
    uint8_t trace_waits;         // the trace begins only with carillon_rtl_trace
    void* context;               // for the callbacks
    // `bytes` (a multiple of 64) of host memory at `address`; false is a bus error.
    bool (*host_read)(void* context, uint64_t address, uint8_t* out, size_t bytes);
    bool (*host_write)(void* context, uint64_t address, const uint8_t* data, size_t bytes);
    // Vectors that were requested in one cycle, bit 0 first.
    void (*interrupt)(void* context, uint32_t vectors);
};

// A fault of card memory: accesses of the chosen kind that touch the range are
// answered with SLVERR and have no effect.
struct carillon_rtl_fault {
    uint64_t address;
    uint64_t bytes;  // 0: no fault
    uint8_t reads;
    uint8_t writes;
};

// One constructor per arithmetic view. Null when the trace cannot be opened.
void* carillon_rtl_create_fast(const carillon_rtl_options* options);
void* carillon_rtl_create_structural(const carillon_rtl_options* options);
void carillon_rtl_destroy(void* card);

// Function-level reset: registers and queues as after power-on. What was under way on the buses is answered first.
void carillon_rtl_reset(void* card);

// One access to BAR0 through AXI4-Lite. A read that is not answered gives all ones.
uint32_t carillon_rtl_read(void* card, uint32_t offset);
void carillon_rtl_write(void* card, uint32_t offset, uint32_t value);

// Runs the clock until the card sleeps (true), or for `cycles` cycles, or until
// the attention byte is set.
bool carillon_rtl_run(void* card, uint64_t cycles);

void carillon_rtl_fault_memory(void* card, const carillon_rtl_fault* fault);

// An answer that nobody asked for, on the host bus, the card memory bus or the last lane.
enum { CARILLON_RTL_BUS_HOST, CARILLON_RTL_BUS_MEMORY, CARILLON_RTL_BUS_LANE };
void carillon_rtl_stray_response(void* card, uint8_t bus);

// Switches the trace on or off; without a trace there is no effect.
void carillon_rtl_trace(void* card, bool on);

// Rising clock edges since creation. Cycle n is at the times 2n (clock low) and 2n + 1 of the trace.
uint64_t carillon_rtl_cycles(const void* card);

}  // extern "C"

#endif
