// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The question a rollup chain asks about every batch: is this statement proved?
/// @notice Implemented by `Groth16Verifier`, one contract for each circuit shape; called by `RollupChain`. Kept apart
///         so that the proof system can change without touching the chain.
interface IBatchVerifier5 {
    /// @notice Returns if, and only if, `proof` proves the statement `inputs`; reverts otherwise. It never returns
    ///         false: a caller cannot forget to look at the answer, and gas estimation sees a refusal as what it is.
    /// @param  proof  The proof in the verifier's own encoding.
    /// @param  inputs The public inputs C_H, C_B, z, y_H, y_B (PROTOCOL.md), each a canonical field element.
    function verifyProof(bytes calldata proof, uint256[5] calldata inputs) external view;

    /// @notice Returns if, and only if, every proof proves its statement; reverts otherwise. Cheaper for each proof
    ///         than `verifyProof`, and as strict: a false batch passes with a probability below 2^-127.
    /// @param  proofs The proofs.
    /// @param  inputs The public inputs, `inputs[i]` of `proofs[i]`.
    function verifyBatch(bytes[] calldata proofs, uint256[5][] calldata inputs) external view;

    /// @notice `verifyBatch`, and remembers the statements until the transaction ends. For whoever has several chains move
    ///         at once: each then asks here, and trusts nobody for it.
    function proveTogether(bytes[] calldata proofs, uint256[5][] calldata inputs) external;

    /// @notice Whether `proveTogether` has accepted this statement in this transaction.
    function provedNow(uint256[5] calldata inputs) external view returns (bool);

    /// @notice keccak-256 of the verifying key: which circuit and which set-up this is.
    function keyHash() external view returns (bytes32);
}
