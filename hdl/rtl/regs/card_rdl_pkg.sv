// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
// Generated from hdl/regs/card.rdl by scripts/generate-registers.sh; do not edit.
//
// The identity of the register map: the first eight bytes of the SHA-256 of
// card.rdl, first byte lowest. Read by the host at RDL_HASH_LO/HI.
package card_rdl_pkg;
  parameter logic [63:0] RdlHash = 64'h4051a8f161e82ba8;
endpackage
