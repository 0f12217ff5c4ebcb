// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title  Takes a token and gives two shares for one; for tests of bundles
contract ShareVault is ERC20 {
    using SafeERC20 for IERC20;

    /// @notice Nothing to deposit.
    error NothingDeposited();

    /// @notice What it takes; address 0 is ETH.
    IERC20 public immutable asset;

    constructor(IERC20 asset_) ERC20("Share", "SHARE") {
        asset = asset_;
    }

    /// @notice Takes `amount` of the asset from the caller, who has approved it, and gives shares.
    function deposit(uint256 amount) external {
        if (amount == 0) revert NothingDeposited();
        asset.safeTransferFrom(msg.sender, address(this), amount);
        _mint(msg.sender, 2 * amount);
    }

    /// @notice The same in ETH.
    function depositEther() external payable {
        if (msg.value == 0) revert NothingDeposited();
        _mint(msg.sender, 2 * msg.value);
    }

    /// @notice Gives shares for nothing: a listing needs some to try the token out.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
