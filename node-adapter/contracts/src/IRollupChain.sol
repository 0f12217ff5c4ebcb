// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The Ethereum side of one rollup chain
/// @notice Implemented by `RollupChain`; called by the node's settlement module.
interface IRollupChain {
    /// @notice What one batch claims: applying the transfers that `dataCommitment` commits to takes the state from
    ///         `oldRoot` to `newRoot`. Roots and commitment are elements of the scalar field of BLS12-381.
    struct Batch {
        uint64 number;
        uint256 oldRoot;
        uint256 newRoot;
        uint256 dataCommitment;
    }

    /// @notice A batch is final: committed, proved and executed.
    /// @param  number         The batch number, from 1, without gaps.
    /// @param  batchHash      The link of the chain of batches, see `lastBatchHash`.
    /// @param  oldRoot        The state root before.
    /// @param  newRoot        The state root after.
    /// @param  dataCommitment The proof's commitment to the batch's data.
    /// @param  dataHash       keccak-256 of the packed transfers as they stand in the calldata.
    event BatchSettled(
        uint64 indexed number,
        bytes32 indexed batchHash,
        uint256 oldRoot,
        uint256 newRoot,
        uint256 dataCommitment,
        bytes32 dataHash
    );

    /// @notice Only the operator settles batches.
    error NotOperator(address caller, address operator);
    /// @notice The batch is already settled: a replay.
    error BatchAlreadySettled(uint64 number, uint64 lastSettled);
    /// @notice The batch is not the next one.
    error BatchOutOfOrder(uint64 number, uint64 expected);
    /// @notice The batch does not start from the chain's state.
    error StateRootMismatch(uint256 oldRoot, uint256 expected);

    /// @notice Commits, proves and executes the next batch in one call; reverts with the reason if anything is wrong, and
    ///         with the verifier's reason if the proof is.
    /// @param  batch The claim.
    /// @param  data  The packed transfers.
    /// @param  proof The proof of the claim, in the verifier's encoding.
    function settle(Batch calldata batch, bytes calldata data, bytes calldata proof) external;

    /// @notice The number of the last settled batch; 0 before the first.
    function batchNumber() external view returns (uint64);

    /// @notice The state root after the last settled batch.
    function stateRoot() external view returns (uint256);

    /// @notice The hash of the last settled batch:
    ///         `keccak256(abi.encode(previousHash, number, newRoot, dataCommitment, dataHash))`, 0 before the first. It
    ///         fixes the whole history, so that an archive of the batches can be checked against this one word.
    function lastBatchHash() external view returns (bytes32);
}
