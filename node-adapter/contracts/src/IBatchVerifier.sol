// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The question a rollup chain asks about every batch: is this statement proved?
/// @notice Implemented by `Groth16Verifier`; called by `RollupChain`. Kept apart so that the proof system can change
///         without touching the chain.
interface IBatchVerifier {
    /// @notice Returns if, and only if, `proof` proves the statement `inputs`; reverts otherwise. It never returns false:
    ///         a caller cannot forget to look at the answer, and gas estimation sees a refusal as what it is.
    /// @param  proof  The proof in the verifier's own encoding.
    /// @param  inputs The public inputs, each a canonical field element: old state root, new state root,
    ///                `chainId * 2^64 + batchNumber`, data commitment.
    function verifyProof(bytes calldata proof, uint256[4] calldata inputs) external view;
}
