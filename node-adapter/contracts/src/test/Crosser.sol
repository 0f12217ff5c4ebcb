// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Tail} from "../bridge/Crossings.sol";
import {ICrossing} from "../bridge/ICrossing.sol";
import {ISharedBridge} from "../bridge/ISharedBridge.sol";
import {Call} from "../interop/Bundle.sol";

/// @title  Lets chains cross at once and calls whatever it is told to meanwhile; for the tests
contract Crosser is ICrossing {
    /// @notice The calls are made when the bridge calls back.
    function start(ISharedBridge bridge, Call[] calldata calls, Tail[] calldata tails) external {
        bridge.crossTogether(abi.encode(calls), tails);
    }

    /// @notice Makes the calls; the first that fails ends it, with its own words.
    function onCross(bytes calldata data) external {
        Call[] memory calls = abi.decode(data, (Call[]));
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool ok, bytes memory reason) = calls[i].target.call{value: calls[i].value}(calls[i].data);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(reason, 0x20), mload(reason))
                }
            }
        }
    }
}
