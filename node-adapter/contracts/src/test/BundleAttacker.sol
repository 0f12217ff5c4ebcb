// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  What a bundle may run into; for tests of bundles
contract BundleAttacker {
    /// @notice It always fails so.
    error Refused(uint256 code);

    /// @notice What the last inner call answered: whether it succeeded, and the start of its answer.
    bool public innerSucceeded;
    bytes public innerAnswer;

    receive() external payable {}

    /// @notice Fails with a reason.
    function refuse(uint256 code) external pure {
        revert Refused(code);
    }

    /// @notice Fails with `length` bytes of revert data.
    function bomb(uint256 length) external pure {
        assembly {
            revert(0, length)
        }
    }

    /// @notice Succeeds with `length` bytes.
    function flood(uint256 length) external pure {
        assembly {
            return(0, length)
        }
    }

    /// @notice Spends about `gasToBurn` gas.
    function burn(uint256 gasToBurn) external view {
        uint256 start = gasleft();
        while (start - gasleft() < gasToBurn) {}
    }

    /// @notice Spends all the gas it gets.
    function burnAll() external pure {
        assembly {
            invalid()
        }
    }

    /// @notice Makes any call and fails as it fails.
    function forward(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = target.call{value: msg.value}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }

    /// @notice Makes any call, remembers the answer and succeeds.
    function attempt(address target, bytes calldata data) external {
        (innerSucceeded, innerAnswer) = target.call(data);
    }
}
