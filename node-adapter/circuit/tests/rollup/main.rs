//! The rollup circuit: its size and identity ([`shape`]), attempts to cheat it ([`soundness`], and without one of its
//! constraints: [`constraints`], [`mutants`]), and the ledger's rules against it ([`ledger`]). One program, because
//! compiling the circuit is most of what a test program of it costs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod constraints;
mod ledger;
mod mutants;
mod relations;
mod scenes;
mod search;
mod shape;
mod solver;
mod soundness;
mod system;
