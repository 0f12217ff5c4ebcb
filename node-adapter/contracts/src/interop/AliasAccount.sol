// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {BoundedCall} from "./BoundedCall.sol";
import {Call} from "./Bundle.sol";

/// @title  The account by which the owner of an L2 account acts on Ethereum
/// @notice Holds the funds of one owner of one chain and does what the interop handler says, which says only what the
///         owner signed on L2. There is one such account for each pair (chain, owner), created by `AliasFactory`.
///         It has no storage and no other way in: no initialiser, no upgrade, no delegate call, no second caller.
contract AliasAccount {
    /// @notice Only the interop handler may make this account act.
    error NotHandler(address caller, address handler);
    /// @notice Call `index` goes to `target` with data, and there is no contract: it would succeed and do nothing.
    error NoContract(uint256 index, address target);
    /// @notice Call `index` needs `value` wei, the account has `balance`.
    error NotEnoughEther(uint256 index, uint256 value, uint256 balance);
    /// @notice Call `index` to `target` reverted; `reason` is the start of its revert data.
    error CallFailed(uint256 index, address target, bytes reason);

    /// @dev Of a called contract's revert data, so much is kept.
    uint256 private constant REASON_LIMIT = 256;

    /// @notice The interop handler.
    address public immutable handler;
    /// @notice The rollup.
    uint64 public immutable chainId;
    /// @notice The owner of the funds here: the owner of an account on that rollup.
    address public immutable owner;

    constructor(address handler_, uint64 chainId_, address owner_) {
        handler = handler_;
        chainId = chainId_;
        owner = owner_;
    }

    /// @notice Takes ETH from anyone: withdrawals, refunds, results of calls.
    receive() external payable {}

    /// @notice Makes the calls in their order; the first that fails reverts all of them.
    /// @dev    What a call answers is not kept: contracts that answer `false` instead of reverting must be called
    ///         through something that checks. A call gets all gas that is left but 1/64.
    function run(Call[] calldata calls) external {
        if (msg.sender != handler) revert NotHandler(msg.sender, handler);
        for (uint256 i = 0; i < calls.length; ++i) {
            address target = calls[i].target;
            uint256 value = calls[i].value;
            bytes memory data = calls[i].data;
            if (data.length != 0 && target.code.length == 0) revert NoContract(i, target);
            if (value > address(this).balance) revert NotEnoughEther(i, value, address(this).balance);
            (bool ok, bytes memory reason) = BoundedCall.call(target, gasleft(), value, data, REASON_LIMIT);
            if (!ok) revert CallFailed(i, target, reason);
        }
    }
}
