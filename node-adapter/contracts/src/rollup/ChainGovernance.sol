// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IRollupChain} from "./IRollupChain.sol";

/// @title  Who may do what to a chain beside its batches: governor, guardian, pauses
/// @notice Part of `RollupChain`. The governor is meant to be a `ChainTimelock`, whose delay gives everyone time to
///         leave; the guardian can only stop batches and deposits, for a limited time and not again soon. Neither can
///         stop the queue's clock, a halt, an exit or a claim.
abstract contract ChainGovernance is IRollupChain {
    /// @notice The times of the set-up, in seconds.
    struct Times {
        uint64 queueDelay;
        uint64 revertDelay;
        uint64 maxPause;
        uint64 pauseCooldown;
    }

    /// @inheritdoc IRollupChain
    address public governor;
    /// @notice May pause.
    address public guardian;
    uint48 internal _pausedUntil;
    uint48 internal _pauseAllowedFrom;
    /// @notice The times of the set-up.
    Times public times;

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    modifier onlyGuardian() {
        if (msg.sender != guardian) revert NotGuardian(msg.sender, guardian);
        _;
    }

    modifier whenNotPaused() {
        if (block.timestamp < _pausedUntil) revert ChainPaused(_pausedUntil);
        _;
    }

    /// @inheritdoc IRollupChain
    function pause(uint64 duration) external onlyGuardian {
        if (duration > times.maxPause || block.timestamp < _pauseAllowedFrom) {
            revert PauseRefused(duration, times.maxPause, _pauseAllowedFrom);
        }
        _pausedUntil = uint48(block.timestamp + duration);
        _pauseAllowedFrom = uint48(block.timestamp + duration + times.pauseCooldown);
        emit Paused(_pausedUntil);
    }

    /// @inheritdoc IRollupChain
    function unpause() external onlyGuardian {
        if (block.timestamp < _pausedUntil) {
            _pausedUntil = 0;
            _pauseAllowedFrom = uint48(block.timestamp + times.pauseCooldown);
        }
        emit Unpaused();
    }

    /// @inheritdoc IRollupChain
    function setGuardian(address guardian_) external onlyGovernor {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    /// @inheritdoc IRollupChain
    function setGovernor(address governor_) external onlyGovernor {
        _setGovernor(governor_);
    }

    /// @inheritdoc IRollupChain
    function pausedUntil() external view returns (uint64) {
        return block.timestamp < _pausedUntil ? _pausedUntil : 0;
    }

    /// @dev An entry of the queue waits queueDelay before anyone may halt. A pause takes at most half of that time, and
    ///      not twice from the same entry.
    function _setUpGovernance(Setup calldata setup) internal {
        if (setup.queueDelay == 0) revert BadSetup("queueDelay is 0");
        if (setup.maxPause > setup.queueDelay / 2) revert BadSetup("maxPause is more than half of queueDelay");
        if (setup.pauseCooldown < setup.queueDelay) revert BadSetup("pauseCooldown is below queueDelay");
        if (setup.queueDelay > 365 days || setup.pauseCooldown > 365 days || setup.revertDelay > 365 days) {
            revert BadSetup("a time is above a year");
        }
        times = Times(setup.queueDelay, setup.revertDelay, setup.maxPause, setup.pauseCooldown);
        guardian = setup.guardian;
        emit GuardianSet(setup.guardian);
        _setGovernor(setup.governor);
    }

    function _setGovernor(address governor_) private {
        if (governor_ == address(0)) revert BadSetup("the governor is the zero address");
        emit GovernorChanged(governor, governor_);
        governor = governor_;
    }
}
