// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title  The governor: whatever it does was announced long enough before for everyone to leave
/// @notice OpenZeppelin's timelock with a delay that is fixed for good and longer than the queue's delay plus an exit
///         window: who asks for an exit when an upgrade is announced is served, or halts the chain and leaves, before
///         it takes effect. Anyone may execute what is due.
contract ChainTimelock is TimelockController {
    /// @notice The delay leaves no time to leave.
    error DelayTooShort(uint256 delay, uint256 queueDelay, uint256 exitWindow);
    /// @notice The delay is fixed.
    error DelayFixed();

    /// @param delay      From announcement to effect, in seconds.
    /// @param queueDelay The queue delay of the chains that it governs; the longest.
    /// @param exitWindow Time to leave after a halt.
    /// @param proposers  Who announces and cancels.
    constructor(uint256 delay, uint256 queueDelay, uint256 exitWindow, address[] memory proposers)
        TimelockController(delay, proposers, new address[](1), address(0))
    {
        if (delay <= queueDelay + exitWindow) revert DelayTooShort(delay, queueDelay, exitWindow);
    }

    /// @notice Refused: the delay is fixed.
    function updateDelay(uint256) public pure override {
        revert DelayFixed();
    }
}
