// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The card with the fast arithmetic view. See card.h.
#include "VCarillonFast.h"
#include "verilated_card.hpp"

extern "C" void* carillon_rtl_create_fast(const carillon_rtl_options* options) {
    return carillon::make_card<VCarillonFast>(*options);
}
