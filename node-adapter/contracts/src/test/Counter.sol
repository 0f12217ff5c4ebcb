// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  Counts for each caller; for tests of bundles
contract Counter {
    /// @notice How often, by whom.
    mapping(address caller => uint256) public count;
    /// @notice Wei received, from whom.
    mapping(address caller => uint256) public paid;

    /// @notice Counts the caller and keeps what it pays.
    function increment() external payable {
        ++count[msg.sender];
        paid[msg.sender] += msg.value;
    }
}
