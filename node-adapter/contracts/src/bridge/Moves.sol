// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISharedBridge} from "./ISharedBridge.sol";

/// @title  What the batches of a transaction owe each other
/// @notice Two lists in transient storage (EIP-1153): amounts taken from lanes, and amounts that left an escrow. Used by
///         `LaneBook`, which empties both before its call ends. A move is one word: an amount of a record is below 2^96
///         and a batch has fewer than 2^16 records, so a sum has at most 112 bits.
library Moves {
    /// @dev Where the lists begin; the length is at the place itself, the words follow.
    uint256 private constant TAKES = uint256(keccak256("carillon.bridge.moves.takes"));
    uint256 private constant DEBITS = uint256(keccak256("carillon.bridge.moves.debits"));
    uint256 private constant AMOUNT = (1 << 112) - 1;

    /// @notice Notes that a chain took `amount` from a lane.
    function addTake(uint64 from, uint64 to, uint256 slot, uint256 amount) internal {
        _push(TAKES, (uint256(from) << 64 | to) << 120 | slot << 112 | _bounded(amount));
    }

    /// @notice Notes that a chain sent `amount` of the token in `slot`.
    function addDebit(uint64 chainId, uint256 slot, uint256 amount) internal {
        _push(DEBITS, uint256(chainId) << 120 | slot << 112 | _bounded(amount));
    }

    /// @notice How many takes there are.
    function takes() internal view returns (uint256) {
        return _read(TAKES);
    }

    /// @notice How many debits there are.
    function debits() internal view returns (uint256) {
        return _read(DEBITS);
    }

    /// @notice A take, in the order in which they came.
    function takeAt(uint256 index) internal view returns (uint64 from, uint64 to, uint256 slot, uint256 amount) {
        uint256 word = _read(TAKES + 1 + index);
        return (uint64(word >> 184), uint64(word >> 120), word >> 112 & 0xff, word & AMOUNT);
    }

    /// @notice A debit, in the order in which they came.
    function debitAt(uint256 index) internal view returns (uint64 chainId, uint256 slot, uint256 amount) {
        uint256 word = _read(DEBITS + 1 + index);
        return (uint64(word >> 120), word >> 112 & 0xff, word & AMOUNT);
    }

    /// @notice Empties both lists.
    function clear() internal {
        _write(TAKES, 0);
        _write(DEBITS, 0);
    }

    /// @dev What a `RollupChain` commits is always below; a chain that is none could write over the other fields.
    function _bounded(uint256 amount) private pure returns (uint256) {
        if (amount > AMOUNT) revert ISharedBridge.MoveTooLarge(amount);
        return amount;
    }

    function _push(uint256 list, uint256 word) private {
        uint256 length = _read(list) + 1;
        _write(list, length);
        _write(list + length, word);
    }

    function _read(uint256 place) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(place)
        }
    }

    function _write(uint256 place, uint256 word) private {
        assembly ("memory-safe") {
            tstore(place, word)
        }
    }
}
