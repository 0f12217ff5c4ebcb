// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  A price that is set by hand
/// @notice For the demo and the tests: what a lending pool's oracle reads, with 8 decimals, where a feed would be.
contract PriceSource {
    /// @notice The price changed.
    event AnswerSet(int256 answer);

    /// @notice Only the one who created it may set the price.
    error NotSetter(address caller);

    /// @notice Who sets the price.
    address public immutable setter;
    /// @notice Price of one whole token in dollars, with 8 decimals.
    int256 public latestAnswer;

    constructor(int256 answer) {
        setter = msg.sender;
        _set(answer);
    }

    /// @notice Sets the price.
    function set(int256 answer) external {
        if (msg.sender != setter) revert NotSetter(msg.sender);
        _set(answer);
    }

    function _set(int256 answer) private {
        latestAnswer = answer;
        emit AnswerSet(answer);
    }
}
