// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The card with the structural arithmetic view; compiled with the feature `rtl-structural`. See card.h.
#include "VCarillonStructural.h"
#include "verilated_card.hpp"

extern "C" void* carillon_rtl_create_structural(const carillon_rtl_options* options) {
    return carillon::make_card<VCarillonStructural>(*options);
}
