// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Tail} from "../bridge/Crossings.sol";
import {IBatchVerifier5} from "../verifier/IBatchVerifier5.sol";

/// @title  Settles batches of many chains in one transaction
/// @notice Implemented by `Gateway`.
interface IGateway {
    /// @notice Proofs of one key, which are checked together.
    /// @param  verifier The verifier of the key; of several chains, if they have the same.
    /// @param  proofs   1 to 32 proofs.
    /// @param  inputs   The public inputs of each.
    struct Fold {
        IBatchVerifier5 verifier;
        bytes[] proofs;
        uint256[5][] inputs;
    }

    /// @notice What is done on a chain, in order: `settleFor`; or `prove` and `execute` of a batch that is committed. In each,
    ///         the proof is empty and tails are, too.
    struct Item {
        uint64 chainId;
        bytes[] steps;
    }

    /// @notice That many chains have moved.
    event SettledMany(uint256 chains);

    /// @notice The hub knows no such chain.
    error UnknownChain(uint256 item, uint64 chainId);
    /// @notice The chain refused a step; `reason` is its revert data. Nothing has happened on any chain.
    error StepRefused(uint256 item, uint64 chainId, uint256 step, bytes reason);
    /// @notice Only the bridge calls this, in the course of `settleMany`.
    error NotBridge(address caller, address bridge);

    /// @notice Checks the proofs, then lets every item's chain take its steps, then has the bridge compare what was taken with
    ///         what was sent and move the amounts. All or nothing; what one batch takes another of the same call may send,
    ///         also in a circle. For anyone.
    /// @param  tails For each lane of which not all is taken, what follows.
    function settleMany(Fold[] calldata folds, Item[] calldata items, Tail[] calldata tails) external;
}
