//! The constants of Poseidon on L1 are neptune's:
//! `node-adapter/contracts/src/bridge/PoseidonConstants.sol` is made here, and compared with what is
//! committed.
//!
//! `CARILLON_WRITE=1 cargo test -p carillon-protocol --test poseidon_solidity` writes the file.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;

use blstrs::Scalar;
use carillon_protocol::crypto::poseidon::NODE;

const FILE: &str = "../contracts/src/bridge/PoseidonConstants.sol";

fn words(out: &mut String, words: &[Scalar]) {
    for word in words {
        writeln!(out, "        hex\"{}\"", hex::encode(word.to_bytes_be())).unwrap();
    }
}

/// The Solidity source. Width 5: round constants round by round, then the matrix row by row.
fn source() -> String {
    // LEAF has the same width and so the same constants; its tag alone differs.
    let (full, partial) = (NODE.full_rounds, NODE.partial_rounds);
    let rounds = full + partial;
    let constants = NODE.round_constants.as_ref().unwrap();
    let mut out = format!(
        "// SPDX-License-Identifier: Apache-2.0 OR MIT\n\
         // Made by tests/poseidon_solidity.rs from the constants of the `neptune` crate; do not edit.\n\
         pragma solidity 0.8.37;\n\n\
         /// @title  The constants of Poseidon of width 5 over the scalar field of BLS12-381\n\
         /// @notice x^5 S-box, {full} full and {partial} partial rounds (Grassi et al., eprint 2019/458; neptune's standard \
         strength).\n\
         library PoseidonConstants {{\n    \
         uint256 internal constant FULL_ROUNDS = {full};\n    \
         uint256 internal constant PARTIAL_ROUNDS = {partial};\n\n    \
         /// @dev Five round constants for each of {rounds} rounds, then the 25 entries of the matrix, row by row.\n    \
         bytes internal constant WORDS =\n"
    );
    words(&mut out, &constants[..5 * rounds]);
    for row in &NODE.mds_matrices.m {
        words(&mut out, row);
    }
    out.truncate(out.trim_end().len());
    out.push_str(";\n}\n");
    out
}

#[test]
fn the_committed_constants_are_neptunes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let source = source();
    if std::env::var_os("CARILLON_WRITE").is_some() {
        std::fs::write(&path, &source).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == source,
        "{FILE} is stale: run CARILLON_WRITE=1 cargo test --test poseidon_solidity, then scripts/build-contracts.sh"
    );
}
