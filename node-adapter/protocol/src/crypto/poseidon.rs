//! Poseidon over the BLS12-381 scalar field, one domain per use.
//!
//! Parameters are neptune's standard ones (128-bit security, x^5 S-box; Grassi et
//! al., <https://eprint.iacr.org/2019/458>). Every use has its own domain tag in
//! the capacity element, so a digest made for one purpose is never valid for
//! another. Called by `schnorr`, by the vectors and by the ledger; `carillon-circuit`
//! uses the same constants.

use std::sync::LazyLock;

use blstrs::Scalar;
use generic_array::typenum::{U1, U3, U4, U11, U24};
use neptune::hash_type::{CType, HashType};
use neptune::poseidon::{Arity, Poseidon, PoseidonConstants};

/// Constants of one Poseidon domain of arity `A`.
pub type Domain<A> = PoseidonConstants<Scalar, A>;

/// Inner nodes of the account tree: four children.
pub static NODE: LazyLock<Domain<U4>> = LazyLock::new(Domain::new);

/// Account leaves of the rollup: key x, key y, nonce + 2^32 owner, token root.
pub static ROLLUP_LEAF: LazyLock<Domain<U4>> = LazyLock::new(|| domain(1));
/// Signature challenges of operations: R, public key, and seven message elements.
pub static MESSAGE: LazyLock<Domain<U11>> = LazyLock::new(|| domain(6));
/// Commitments to vectors: 24 values.
pub static WIDE: LazyLock<Domain<U24>> = LazyLock::new(|| domain(7));
/// First challenge of the circuit's bus: three commitments.
pub static GAMMA: LazyLock<Domain<U3>> = LazyLock::new(|| domain(8));
/// Second challenge of the circuit's bus: the first one.
pub static BETA: LazyLock<Domain<U1>> = LazyLock::new(|| domain(9));

fn domain<A: Arity<Scalar>>(identifier: u64) -> Domain<A> {
    Domain::new_with_strength_and_type(
        neptune::Strength::Standard,
        HashType::Custom(CType::Arbitrary(identifier)),
    )
}

/// Hash of an account leaf of the rollup: `[key x, key y, nonce + 2^32 owner, token root]`.
pub fn hash_rollup_leaf(fields: &[Scalar; 4]) -> Scalar {
    Poseidon::new_with_preimage(fields, &ROLLUP_LEAF).hash()
}
/// Full challenge hash of an operation's signature, before it is cut to 128 bits.
pub fn hash_message(parts: &[Scalar; 11]) -> Scalar {
    Poseidon::new_with_preimage(parts, &MESSAGE).hash()
}
/// Commitment to a vector: a tree of wide hashes, the last group of each level filled with
/// zeros, until one value is left.
pub fn commit(values: &[Scalar]) -> Scalar {
    let mut level = values.to_vec();
    loop {
        let hash = |group: &[Scalar]| {
            let inputs: [Scalar; 24] =
                std::array::from_fn(|i| group.get(i).copied().unwrap_or_default());
            Poseidon::new_with_preimage(&inputs, &WIDE).hash()
        };
        level = level.chunks(24).map(hash).collect();
        if level.len() <= 1 {
            return level.pop().unwrap_or_default();
        }
    }
}

/// Hash of an inner node of the account tree from its four children, left to right.
pub fn hash_node(children: &[Scalar; 4]) -> Scalar {
    Poseidon::new_with_preimage(children, &NODE).hash()
}

#[cfg(test)]
mod tests {
    use ff::Field;

    use super::*;

    #[test]
    fn domains_of_equal_arity_give_different_digests() {
        let input = [Scalar::ZERO; 4];
        assert_ne!(hash_node(&input), hash_rollup_leaf(&input));
    }

    #[test]
    fn optimised_hash_equals_the_reference_permutation() {
        use neptune::poseidon::HashMode;
        let input: Vec<Scalar> = (1..=4).map(Scalar::from).collect();
        let mut reference = Poseidon::new_with_preimage(&input, &ROLLUP_LEAF);
        let fast = Poseidon::new_with_preimage(&input, &ROLLUP_LEAF).hash();
        assert_eq!(reference.hash_in_mode(HashMode::Correct), fast);
    }
}
