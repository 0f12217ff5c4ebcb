// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  A contract that runs bundles for their tips, and may refuse the money; for tests of bundles
contract TipTaker {
    /// @notice It takes no ETH now.
    error Refusing();

    /// @notice Whether it refuses ETH.
    bool public refusing;
    /// @notice What it does when ETH comes in: a call, whose success is remembered.
    address public target;
    bytes public data;
    bool public innerSucceeded;
    bytes public innerAnswer;

    receive() external payable {
        if (refusing) revert Refusing();
        if (target != address(0)) (innerSucceeded, innerAnswer) = target.call(data);
    }

    /// @notice Says whether it refuses ETH, and what it tries when it gets some.
    function arm(bool refusing_, address target_, bytes calldata data_) external {
        (refusing, target, data) = (refusing_, target_, data_);
    }

    /// @notice Makes a call and fails as it fails.
    function forward(address to, bytes calldata call_) external {
        (bool ok, bytes memory answer) = to.call(call_);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
