//! What the tests of settlement share: a proxy that answers as other L1 clients do.

#![allow(dead_code)]

pub mod proxy;
