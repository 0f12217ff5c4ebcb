// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {GhoLikeToken} from "./GhoLikeToken.sol";

/// @title  What the minter calls of a lending pool
/// @notice Two functions of Aave v3's pool.
interface ISupplyPool {
    /// @notice Supplies tokens of the caller for `onBehalfOf`.
    function supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode) external;
    /// @notice Takes out what the caller supplied.
    function withdraw(address asset, uint256 amount, address to) external returns (uint256);
}

/// @title  A facilitator that puts what it mints into a pool, and nowhere else
/// @notice The pool lends it; until it does, the minter can take it back and burn it.
contract DirectMinter {
    /// @notice Tokens came into being and went into the pool.
    event MintedAndSupplied(uint256 amount);
    /// @notice Tokens came back from the pool and are no more.
    event WithdrawnAndBurnt(uint256 amount);

    /// @notice Only the manager may do this.
    error NotManager(address caller);

    /// @notice The token, of which this is a facilitator.
    GhoLikeToken public immutable token;
    /// @notice The pool.
    ISupplyPool public immutable pool;
    /// @notice Decides how much there is.
    address public immutable manager;

    constructor(GhoLikeToken token_, ISupplyPool pool_, address manager_) {
        token = token_;
        pool = pool_;
        manager = manager_;
    }

    modifier onlyManager() {
        if (msg.sender != manager) revert NotManager(msg.sender);
        _;
    }

    /// @notice Mints under this facilitator's cap and supplies all of it.
    function mintAndSupply(uint256 amount) external onlyManager {
        token.mint(address(this), amount);
        token.approve(address(pool), amount);
        pool.supply(address(token), amount, address(this), 0);
        emit MintedAndSupplied(amount);
    }

    /// @notice Takes out of the pool what is not lent, and burns it.
    function withdrawAndBurn(uint256 amount) external onlyManager {
        pool.withdraw(address(token), amount, address(this));
        token.burn(amount);
        emit WithdrawnAndBurnt(amount);
    }
}
