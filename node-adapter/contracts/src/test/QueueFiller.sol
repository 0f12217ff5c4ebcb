// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IRollupChain} from "../rollup/IRollupChain.sol";

/// @title  Fills a queue in few transactions; for the tests, which put this code in the bridge's place
contract QueueFiller {
    /// @notice Enters the same words `count` times.
    function fill(IRollupChain chain, uint256 count, uint256[5] calldata words) external {
        for (uint256 i = 0; i < count; ++i) chain.enqueue(words);
    }
}
