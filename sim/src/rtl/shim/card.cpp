// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The C functions that are the same for every arithmetic view. See card.h.
#include "card.h"

#include "verilated_card.hpp"

namespace {
carillon::Card* card_of(void* card) { return static_cast<carillon::Card*>(card); }
}  // namespace

extern "C" {

void carillon_rtl_destroy(void* card) { delete card_of(card); }
void carillon_rtl_reset(void* card) { card_of(card)->reset(); }
uint32_t carillon_rtl_read(void* card, uint32_t offset) { return card_of(card)->read(offset); }
void carillon_rtl_write(void* card, uint32_t offset, uint32_t value) { card_of(card)->write(offset, value); }
bool carillon_rtl_run(void* card, uint64_t cycles) { return card_of(card)->run(cycles); }
void carillon_rtl_fault_memory(void* card, const carillon_rtl_fault* fault) { card_of(card)->fault_memory(*fault); }
void carillon_rtl_stray_response(void* card, uint8_t bus) { card_of(card)->stray_response(bus); }
void carillon_rtl_trace(void* card, bool on) { card_of(card)->trace(on); }
uint64_t carillon_rtl_cycles(const void* card) { return static_cast<const carillon::Card*>(card)->cycles(); }

}  // extern "C"
