// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Tail} from "../bridge/Crossings.sol";
import {ISharedBridge} from "../bridge/ISharedBridge.sol";

/// @title  What the governor of a chain may make of it; for the tests, which put this code in a chain's place
contract HostileChain {
    enum Mode {
        Answer,
        Refuse,
        BurnGas,
        AnswerNothing,
        AnswerMuch
    }

    /// @dev In a slot where no chain has its storage.
    bytes32 private constant MODE_AT = keccak256("HostileChain.mode");
    bytes32 private constant ID_AT = keccak256("HostileChain.id");

    /// @notice Chooses what `enqueue` does.
    function set(Mode mode) external {
        bytes32 slot = MODE_AT;
        assembly ("memory-safe") {
            sstore(slot, mode)
        }
    }

    /// @notice Calls the bridge as its batches do, with records that no `commit` has looked at.
    function cross(ISharedBridge bridge, uint64 chainId, uint64 batch, uint256[] calldata records) external {
        bridge.cross(chainId, batch, records, new Tail[](0));
    }

    /// @notice From now on `book` crosses under this id. Zero: it keeps no place; the greatest: every place.
    function crossWhenAsked(uint64 chainId) external {
        bytes32 slot = ID_AT;
        assembly ("memory-safe") {
            sstore(slot, chainId)
        }
    }

    /// @notice Keeps a place if it could cross meanwhile.
    function book(address) external returns (uint256 place) {
        bytes32 slot = ID_AT;
        uint64 chainId;
        assembly ("memory-safe") {
            chainId := sload(slot)
        }
        if (chainId == 0) return 0;
        if (chainId == type(uint64).max) return 1;
        bytes memory data = abi.encodeCall(ISharedBridge.cross, (chainId, 1, new uint256[](0), new Tail[](0)));
        (bool ok,) = msg.sender.call(data);
        return ok ? 1 : 0;
    }

    /// @notice Takes an import, or not.
    function enqueue(uint256[5] calldata) external view returns (uint64) {
        bytes32 slot = MODE_AT;
        Mode mode;
        assembly ("memory-safe") {
            mode := sload(slot)
        }
        if (mode == Mode.Refuse) revert("no");
        if (mode == Mode.BurnGas) while (true) {}
        assembly ("memory-safe") {
            if eq(mode, 3) { return(0, 0) }
            if eq(mode, 4) { return(0, 100000) }
        }
        return 7;
    }
}
