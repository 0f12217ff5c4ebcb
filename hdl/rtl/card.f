// The card's files that do not depend on the arithmetic view, in dependency order.
// Paths are relative to this file: read it with `-F`, after arith_fast.f or arith_structural.f.
