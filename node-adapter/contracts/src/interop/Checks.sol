// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title  What is read of a lending pool
/// @notice The one function of Aave v3's pool that `Checks` calls.
interface ILendingPool {
    /// @notice Collateral, debt and what may still be borrowed in the pool's base currency; liquidation threshold and loan
    ///         to value in hundredths of a percent; the health factor with 18 decimals, the largest number without a debt.
    function getUserAccountData(address user)
        external
        view
        returns (
            uint256 collateral,
            uint256 debt,
            uint256 available,
            uint256 threshold,
            uint256 loanToValue,
            uint256 healthFactor
        );
}

/// @title  Conditions that an owner signs as calls of a bundle
/// @notice A check that does not hold reverts with its figures, so the bundle fails as a whole. Stateless, and for everyone:
///         each function only reads. Where an account is asked for, zero is the caller, which in a bundle is the alias
///         account.
contract Checks {
    /// @notice The account's health factor in the pool is below the floor.
    error HealthFactorTooLow(address pool, address account, uint256 healthFactor, uint256 least);
    /// @notice The account holds less than it must; token zero is ETH.
    error BalanceTooSmall(address token, address account, uint256 balance, uint256 least);
    /// @notice The block is later than the last one that counts.
    error TooLate(uint256 time, uint256 last);
    /// @notice `spender` may still take the account's tokens.
    error AllowanceLeft(address token, address account, address spender, uint256 allowance);

    /// @notice The health factor of an account in a pool of Aave v3 is at least `least` (18 decimals).
    function healthFactor(address pool, address account, uint256 least) external view {
        account = _account(account);
        (,,,,, uint256 factor) = ILendingPool(pool).getUserAccountData(account);
        if (factor < least) revert HealthFactorTooLow(pool, account, factor, least);
    }

    /// @notice An account holds at least `least` units of a token.
    function tokenBalance(address token, address account, uint256 least) external view {
        account = _account(account);
        uint256 balance = IERC20(token).balanceOf(account);
        if (balance < least) revert BalanceTooSmall(token, account, balance, least);
    }

    /// @notice An account holds at least `least` wei.
    function etherBalance(address account, uint256 least) external view {
        account = _account(account);
        if (account.balance < least) revert BalanceTooSmall(address(0), account, account.balance, least);
    }

    /// @notice The block's time is `last` (Unix time) or earlier.
    function notAfter(uint256 last) external view {
        if (block.timestamp > last) revert TooLate(block.timestamp, last);
    }

    /// @notice No approval of the account for `spender` is left.
    function noAllowance(address token, address account, address spender) external view {
        account = _account(account);
        uint256 allowance = IERC20(token).allowance(account, spender);
        if (allowance != 0) revert AllowanceLeft(token, account, spender, allowance);
    }

    function _account(address account) private view returns (address) {
        return account == address(0) ? msg.sender : account;
    }
}
