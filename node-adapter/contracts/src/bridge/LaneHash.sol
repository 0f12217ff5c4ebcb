// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The hashes of lanes
/// @notice PROTOCOL.md, "Lanes". Used by `LaneBook`.
library LaneHash {
    /// @notice keccak256(abi.encode(token, amount, sender, recipient, memo)); the token is zero for ETH.
    /// @dev    Here and below words are laid behind the memory in use, and it is not taken: a batch has hundreds of them.
    function entry(address token, uint256 amount, address sender, address recipient, uint256 memo)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, shr(96, shl(96, token)))
            mstore(add(m, 0x20), amount)
            mstore(add(m, 0x40), shr(96, shl(96, sender)))
            mstore(add(m, 0x60), shr(96, shl(96, recipient)))
            mstore(add(m, 0x80), memo)
            hash := keccak256(m, 0xa0)
        }
    }

    /// @notice keccak256(abi.encode(lane, entry_)): the lane with one more entry.
    function next(bytes32 lane, bytes32 entry_) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, lane)
            mstore(0x20, entry_)
            hash := keccak256(0x00, 0x40)
        }
    }

    /// @notice keccak256(abi.encode(lane, count, time)): a lane after sends of a batch.
    function checkpoint(bytes32 lane, uint64 count, uint64 time) internal pure returns (bytes32) {
        return keccak256(abi.encode(lane, count, time));
    }
}
