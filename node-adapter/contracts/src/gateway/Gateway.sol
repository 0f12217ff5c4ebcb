// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Tail} from "../bridge/Crossings.sol";
import {ICrossing} from "../bridge/ICrossing.sol";
import {ISharedBridge} from "../bridge/ISharedBridge.sol";
import {IChainHub} from "../rollup/IChainHub.sol";
import {IGateway} from "./IGateway.sol";

/// @title  Settles batches of many chains in one transaction
/// @notice Has no owner, no funds, no storage, and no right that others lack: the verifiers remember what was proved, the
///         chains ask them and look for their operators' signatures, the bridge compares the lanes. Whoever writes another
///         one can do the same beside it.
contract Gateway is IGateway, ICrossing {
    /// @notice The register of chains.
    IChainHub public immutable hub;
    /// @notice Where the lanes are.
    ISharedBridge public immutable bridge;

    constructor(IChainHub hub_, ISharedBridge bridge_) {
        hub = hub_;
        bridge = bridge_;
    }

    /// @inheritdoc IGateway
    function settleMany(Fold[] calldata folds, Item[] calldata items, Tail[] calldata tails) external {
        for (uint256 i = 0; i < folds.length; ++i) folds[i].verifier.proveTogether(folds[i].proofs, folds[i].inputs);
        bridge.crossTogether(abi.encode(items), tails);
        emit SettledMany(items.length);
    }

    /// @inheritdoc ICrossing
    function onCross(bytes calldata data) external {
        if (msg.sender != address(bridge)) revert NotBridge(msg.sender, address(bridge));
        Item[] memory items = abi.decode(data, (Item[]));
        for (uint256 i = 0; i < items.length; ++i) {
            uint64 chainId = items[i].chainId;
            address chain = hub.chain(chainId);
            if (chain == address(0)) revert UnknownChain(i, chainId);
            bytes[] memory steps = items[i].steps;
            for (uint256 k = 0; k < steps.length; ++k) {
                (bool ok, bytes memory reason) = chain.call(steps[k]);
                if (!ok) revert StepRefused(i, chainId, k, reason);
            }
        }
    }
}
