// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The word that names who is at the other end of a send or a take
/// @notice PROTOCOL.md, "Record": owner + 2^160 chain + 2^224 leg + 2^232 flow. For words that `BatchHeader.check` has
///         passed. Used by `LaneBook`.
library Party {
    /// @notice Who owns the account there.
    function owner(uint256 word) internal pure returns (address) {
        return address(uint160(word));
    }

    /// @notice The chain that the account is on.
    function chain(uint256 word) internal pure returns (uint64) {
        return uint64(word >> 160);
    }

    /// @notice Whether it is a leg of a flow, and no message by itself.
    function inFlow(uint256 word) internal pure returns (bool) {
        return word >> 224 != 0;
    }
}
