// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {BatchHeader} from "./BatchHeader.sol";
import {ChainGovernance} from "./ChainGovernance.sol";
import {IRollupChain} from "./IRollupChain.sol";

/// @title  The queue of deposits, imports and exits, and its clock
/// @notice Part of `RollupChain`. Entries are kept as a chain of hashes; batches must take them in order. If the oldest
///         entry waits longer than queueDelay, anyone may end the chain, whatever operator, guardian and governor want.
abstract contract PriorityQueue is ChainGovernance {
    uint256 private constant ACCOUNTS = 1 << 24;
    uint256 private constant TOKENS = 64;
    uint256 private constant EXIT = 7;

    /// @dev One slot: everything that a settlement moves, beside the root.
    struct Counters {
        uint48 committed;
        uint48 proved;
        uint48 executed;
        uint48 queueCommitted;
        uint48 queueExecuted;
        bool halted;
    }

    Counters internal _counters;
    uint64 internal _queueLength;
    /// @notice Who may put deposits and imports into the queue.
    address public bridge;
    /// @inheritdoc IRollupChain
    uint256 public stateRoot;
    /// @inheritdoc IRollupChain
    mapping(uint64 index => bytes32) public queueHash;
    /// @inheritdoc IRollupChain
    mapping(uint64 index => uint64) public enqueuedAt;

    modifier whenNotHalted() {
        if (_counters.halted) revert ChainHalted();
        _;
    }

    /// @inheritdoc IRollupChain
    /// @dev Not stopped by a pause: only deposits are, and the bridge looks for that.
    function enqueue(uint256[5] calldata words) external whenNotHalted returns (uint64 index) {
        if (msg.sender != bridge) revert NotBridge(msg.sender, bridge);
        return _enqueue(words);
    }

    /// @inheritdoc IRollupChain
    function requestExit(uint256 account, uint256 token) external whenNotHalted returns (uint64 index) {
        if (account >= ACCOUNTS || token >= TOKENS) revert NoSuchCell(account, token);
        uint256 w0 = EXIT | account << 3 | token << 27;
        return _enqueue([w0, 0, uint256(uint160(msg.sender)), 0, 0]);
    }

    /// @inheritdoc IRollupChain
    function halt() external whenNotHalted {
        uint64 oldest = _counters.queueExecuted;
        uint64 from = haltableFrom();
        if (from == 0 || block.timestamp < from) revert NothingOverdue(oldest, from);
        _counters.halted = true;
        emit Halted(oldest, enqueuedAt[oldest], stateRoot);
    }

    /// @inheritdoc IRollupChain
    function halted() external view returns (bool) {
        return _counters.halted;
    }

    /// @inheritdoc IRollupChain
    function haltableFrom() public view returns (uint64) {
        uint64 oldest = _counters.queueExecuted;
        return oldest == _queueLength ? 0 : enqueuedAt[oldest] + times.queueDelay + 1;
    }

    function _enqueue(uint256[5] memory w) private returns (uint64 index) {
        index = _queueLength;
        bytes32 hash = BatchHeader.next(queueHash[index], w[0], w[1], w[2], w[3], w[4]);
        queueHash[index + 1] = hash;
        enqueuedAt[index] = uint64(block.timestamp);
        _queueLength = index + 1;
        emit QueueEntry(index, w, hash);
    }
}
