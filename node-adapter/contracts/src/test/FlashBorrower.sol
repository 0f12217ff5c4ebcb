// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title  A receiver of flash loans that tries something while it holds the money; for tests of bundles
contract FlashBorrower {
    /// @notice Whether the last attempt succeeded, and what it answered.
    bool public innerSucceeded;
    bytes public innerAnswer;
    /// @notice How often it was called back.
    uint256 public calls;

    /// @notice What Aave's pool calls: makes the call in `params`, remembers its answer, and pays the loan back.
    function executeOperation(address asset, uint256 amount, uint256 premium, address, bytes calldata params)
        external
        returns (bool)
    {
        (address target, bytes memory data) = abi.decode(params, (address, bytes));
        ++calls;
        (innerSucceeded, innerAnswer) = target.call(data);
        IERC20(asset).approve(msg.sender, amount + premium);
        return true;
    }
}
