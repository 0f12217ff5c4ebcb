//! The L1 sender: its pure rules and the whole of it on a model chain (`model`, random histories),
//! and drills on a real anvil (`drills`).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drills;
mod model;
mod random;
mod rules;
