// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {PoseidonConstants} from "./PoseidonConstants.sol";

/// @title  Poseidon over the scalar field of BLS12-381, four inputs
/// @notice The hash of the account tree, for state proofs after a halt. Same digests as
///         `crypto::poseidon` of carillon-protocol: a state of five elements that begins with the domain's tag and ends with the
///         digest in its second one.
library Poseidon {
    uint256 private constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    /// @notice Tag of NODE, an inner node of a tree of arity 4.
    uint256 internal constant NODE = 15;
    /// @notice Tag of LEAF, an account: custom domain 1.
    uint256 internal constant LEAF = 1 << 40;
    uint256 private constant HALF = PoseidonConstants.FULL_ROUNDS / 2;
    uint256 private constant LAST_HALF = HALF + PoseidonConstants.PARTIAL_ROUNDS;
    uint256 private constant ROUNDS = PoseidonConstants.FULL_ROUNDS + PoseidonConstants.PARTIAL_ROUNDS;

    /// @notice Reads the constants into memory, once for all hashes of a call.
    function load() internal pure returns (uint256 constants) {
        bytes memory words = PoseidonConstants.WORDS;
        assembly ("memory-safe") {
            constants := add(words, 32)
        }
    }

    /// @notice The digest of four field elements.
    /// @param  constants From `load`.
    /// @param  tag       The domain's tag.
    /// @param  inputs    The elements; a value not below r counts as its residue.
    function hash(uint256 constants, uint256 tag, uint256[4] memory inputs) internal pure returns (uint256 digest) {
        (uint256 rounds, uint256 half, uint256 lastHalf) = (ROUNDS, HALF, LAST_HALF);
        assembly ("memory-safe") {
            function fifth(x) -> y {
                let square := mulmod(x, x, R)
                y := mulmod(x, mulmod(square, square, R), R)
            }
            // One entry of the matrix product, below 2r: each product is below r, and 2r is below 2^256.
            function entry(row, a, b, c, d, e) -> sum {
                sum := add(
                    mulmod(mload(add(row, 128)), e, R),
                    addmod(
                        add(mulmod(mload(row), a, R), mulmod(mload(add(row, 32)), b, R)),
                        add(mulmod(mload(add(row, 64)), c, R), mulmod(mload(add(row, 96)), d, R)),
                        R
                    )
                )
            }
            let a := tag
            let b := mload(inputs)
            let c := mload(add(inputs, 32))
            let d := mload(add(inputs, 64))
            let e := mload(add(inputs, 96))
            let matrix := add(constants, mul(rounds, 160))
            for { let round := 0 } lt(round, rounds) { round := add(round, 1) } {
                a := fifth(addmod(a, mload(constants), R))
                b := addmod(b, mload(add(constants, 32)), R)
                c := addmod(c, mload(add(constants, 64)), R)
                d := addmod(d, mload(add(constants, 96)), R)
                e := addmod(e, mload(add(constants, 128)), R)
                if or(lt(round, half), iszero(lt(round, lastHalf))) {
                    b := fifth(b)
                    c := fifth(c)
                    d := fifth(d)
                    e := fifth(e)
                }
                let a2 := entry(matrix, a, b, c, d, e)
                let b2 := entry(add(matrix, 160), a, b, c, d, e)
                let c2 := entry(add(matrix, 320), a, b, c, d, e)
                let d2 := entry(add(matrix, 480), a, b, c, d, e)
                e := entry(add(matrix, 640), a, b, c, d, e)
                a := a2
                b := b2
                c := c2
                d := d2
                constants := add(constants, 160)
            }
            digest := mod(b, R)
        }
    }
}
