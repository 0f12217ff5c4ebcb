// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  Calls to contracts that nobody vouches for
/// @notice Solidity's own call copies everything that the callee answers into the caller's memory, and the caller pays
///         for that memory: a callee that answers with a megabyte starves whoever called it. Here at most `limit` bytes
///         are copied. Used by `AliasAccount` for the calls of a bundle, by `InteropHandler` for its run, and by
///         `LaneBook` for questions to chains.
library BoundedCall {
    /// @notice Calls `target` and copies at most `limit` bytes of the answer.
    /// @param  gasLimit The most gas that the callee gets; the EVM holds back 1/64 of what is left (EIP-150).
    /// @return ok       Whether the call succeeded; a call to an address without code does.
    /// @return answer   The first `limit` bytes of the answer, or of the reason of the revert.
    function call(address target, uint256 gasLimit, uint256 value, bytes memory data, uint256 limit)
        internal
        returns (bool ok, bytes memory answer)
    {
        uint256 length;
        assembly ("memory-safe") {
            ok := call(gasLimit, target, value, add(data, 32), mload(data), 0, 0)
            length := returndatasize()
        }
        if (length > limit) length = limit;
        answer = new bytes(length);
        assembly ("memory-safe") {
            returndatacopy(add(answer, 32), 0, length)
        }
    }

    /// @notice Reverts with `reason` as it is.
    function bubble(bytes memory reason) internal pure {
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}
