// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ISharedBridge} from "./ISharedBridge.sol";

/// @title  Is this a token whose balances move by transfers alone, and in full?
/// @notice Asked once, when a token is listed. It finds what one transaction can find: fees of transfers in either
///         direction (also those taken from the sender), and the ways in which tokens with balances that move by
///         themselves show what they keep instead of balances. What a token does later is measured at each transfer.
library TokenProbe {
    using SafeERC20 for IERC20;

    /// @notice Units moved in and back. Large enough that a fee of a millionth is seen.
    uint256 internal constant PROBE = 1_000_000;
    /// @dev For each question. Answers come from a few storage slots, through a proxy or two.
    uint256 private constant ASK_GAS = 100_000;

    /// @notice Returns if nothing speaks against the token; the caller of the bridge lends the units.
    function check(address token) internal {
        _refuseIfMoving(token, "scaledBalanceOf(address)");
        _refuseIfMoving(token, "sharesOf(address)");
        _refuseIfMoving(token, "gonsForBalance(uint256)");
        _refuseIfMoving(token, "rebasingCreditsPerToken()");

        IERC20 erc20 = IERC20(token);
        uint256 held = erc20.balanceOf(address(this));
        uint256 lent = erc20.balanceOf(msg.sender);
        uint256 allowed = erc20.allowance(msg.sender, address(this));
        if (lent < PROBE || allowed < PROBE) revert ISharedBridge.TokenProbeMissing(token, PROBE, lent, allowed);
        erc20.safeTransferFrom(msg.sender, address(this), PROBE);
        if (erc20.balanceOf(address(this)) != held + PROBE || erc20.balanceOf(msg.sender) != lent - PROBE) {
            revert ISharedBridge.TokenRefused(token, "a transfer to the bridge moves another amount");
        }
        erc20.safeTransfer(msg.sender, PROBE);
        if (erc20.balanceOf(address(this)) != held || erc20.balanceOf(msg.sender) != lent) {
            revert ISharedBridge.TokenRefused(token, "a transfer from the bridge moves another amount");
        }
    }

    /// @dev The functions by which aTokens, stETH, AMPL, sOHM and OUSD show that they keep shares, not balances.
    function _refuseIfMoving(address token, string memory question) private view {
        bytes memory data = abi.encodePacked(bytes4(keccak256(bytes(question))), uint256(1));
        (bool ok, bytes memory answer) = token.staticcall{gas: ASK_GAS}(data);
        if (ok && answer.length == 32) {
            revert ISharedBridge.TokenRefused(token, string.concat("its balances move by themselves: it has ", question));
        }
    }
}
