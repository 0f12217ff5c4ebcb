//! The L1 sender: its pure rules and the whole of it on a model chain (`model`, random histories),
//! drills on a real anvil (`drills`), and the same anvil answering as other clients do (`clients`).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clients;
mod drills;
mod model;
mod random;
mod rules;
