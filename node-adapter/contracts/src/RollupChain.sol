// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IBatchVerifier} from "./IBatchVerifier.sol";
import {IRollupChain} from "./IRollupChain.sol";

/// @title  One rollup chain: its state root, and the rule by which it moves
/// @notice The root moves only by the next batch, from the current root, with a proof that the verifier accepts.
///
///         What binds the data. The proof fixes `dataCommitment`, the circuit's Poseidon commitment to the transfers. The
///         packed transfers travel in the calldata of the same transaction and their keccak-256 is recorded in
///         `lastBatchHash` and in the event. This contract does not check that the calldata opens the commitment: an
///         operator who publishes other bytes cannot take anyone's funds, but leaves users unable to rebuild the state.
///         Whoever follows the chain can detect it, by packing and committing again.
/// @dev    Commit, prove and execute are one internal function each, so that they can become transactions of their own.
contract RollupChain is IRollupChain {
    /// @notice The verifier has no code.
    error VerifierWithoutCode(address verifier);
    /// @notice The operator is the zero address.
    error ZeroOperator();
    /// @notice The genesis root is not a field element, so that no batch could ever start from it.
    error GenesisRootNotInField(uint256 root);

    /// @dev The order of the scalar field of BLS12-381.
    uint256 private constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    /// @notice Checks the proofs of this chain.
    IBatchVerifier public immutable verifier;
    /// @notice The only account that settles batches.
    address public immutable operator;
    /// @notice The rollup chain's id; in every proof, so that a batch of one chain is worth nothing on another.
    uint64 public immutable chainId;

    /// @inheritdoc IRollupChain
    uint64 public batchNumber;
    /// @inheritdoc IRollupChain
    uint256 public stateRoot;
    /// @inheritdoc IRollupChain
    bytes32 public lastBatchHash;

    /// @param verifier_   Checks the proofs.
    /// @param operator_   Settles the batches.
    /// @param chainId_    The rollup chain's id.
    /// @param genesisRoot The state root before batch 1.
    constructor(IBatchVerifier verifier_, address operator_, uint64 chainId_, uint256 genesisRoot) {
        if (address(verifier_).code.length == 0) revert VerifierWithoutCode(address(verifier_));
        if (operator_ == address(0)) revert ZeroOperator();
        if (genesisRoot >= R) revert GenesisRootNotInField(genesisRoot);
        verifier = verifier_;
        operator = operator_;
        chainId = chainId_;
        stateRoot = genesisRoot;
    }

    /// @inheritdoc IRollupChain
    function settle(Batch calldata batch, bytes calldata data, bytes calldata proof) external {
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        bytes32 dataHash = _commit(batch, data);
        _prove(batch, proof);
        _execute(batch, dataHash);
    }

    /// @dev The batch is the next one and starts where the chain stands. Numbers are compared first: a replay is named a
    ///      replay, although its old root is stale, too.
    function _commit(Batch calldata batch, bytes calldata data) private view returns (bytes32 dataHash) {
        uint64 last = batchNumber;
        if (batch.number <= last) revert BatchAlreadySettled(batch.number, last);
        if (batch.number != last + 1) revert BatchOutOfOrder(batch.number, last + 1);
        if (batch.oldRoot != stateRoot) revert StateRootMismatch(batch.oldRoot, stateRoot);
        dataHash = keccak256(data);
    }

    /// @dev Chain id and batch number share one public input, 64 bits each.
    function _prove(Batch calldata batch, bytes calldata proof) private view {
        uint256 header = uint256(chainId) << 64 | batch.number;
        verifier.verifyProof(proof, [batch.oldRoot, batch.newRoot, header, batch.dataCommitment]);
    }

    function _execute(Batch calldata batch, bytes32 dataHash) private {
        bytes32 batchHash =
            keccak256(abi.encode(lastBatchHash, batch.number, batch.newRoot, batch.dataCommitment, dataHash));
        batchNumber = batch.number;
        stateRoot = batch.newRoot;
        lastBatchHash = batchHash;
        emit BatchSettled(batch.number, batchHash, batch.oldRoot, batch.newRoot, batch.dataCommitment, dataHash);
    }
}
