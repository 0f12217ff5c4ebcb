// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {RollupChain} from "../rollup/RollupChain.sol";

/// @title  A later version of the chain, for the tests of upgrades
contract ChainV2 is RollupChain {
    /// @notice Which version this is.
    function version() external pure returns (uint256) {
        return 2;
    }
}
