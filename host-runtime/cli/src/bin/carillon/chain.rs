//! Sizes of the benchmark circuit, for estimates of memory.

use carillon_runtime::groth16::CircuitShape;
use carillon_workload::SquareChain;

/// Sizes of the circuit of 2^`log2` rows, and the terms of all its constraints.
pub fn size(log2: u32) -> (CircuitShape, u64) {
    let constraints = SquareChain::blank(log2).constraints();
    let shape = CircuitShape {
        constraints: constraints as usize,
        inputs: SquareChain::INPUTS,
        aux: constraints as usize,
    };
    (shape, SquareChain::TERMS * constraints)
}
