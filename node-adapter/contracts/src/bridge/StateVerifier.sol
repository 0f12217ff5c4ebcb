// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISharedBridge} from "./ISharedBridge.sol";
import {JubjubKey} from "./JubjubKey.sol";
import {Poseidon} from "./Poseidon.sol";

/// @title  From one cell of the state to the root that it belongs to, and from a key proof to the key
/// @notice Pure computation, in a contract of its own because the constants fill half a contract. Called by
///         `SharedBridge`, which compares the root and knows what is to be paid.
contract StateVerifier {
    uint256 private constant TOKEN_LEVELS = 3;
    uint256 private constant ACCOUNT_LEVELS = 12;

    /// @notice The root of the state in which the account has this header and this balance.
    function rootOf(ISharedBridge.StateProof calldata proof) external pure returns (uint256 root) {
        if (
            proof.account >> 24 != 0 || proof.token >> 6 != 0 || proof.balance >> 96 != 0 || proof.header >> 192 != 0
        ) {
            revert ISharedBridge.StateProofRange();
        }
        uint256 constants = Poseidon.load();
        uint256 node = proof.balance;
        for (uint256 level = 0; level < TOKEN_LEVELS; ++level) {
            uint256 i = 3 * level;
            uint256[3] memory siblings = [proof.tokenPath[i], proof.tokenPath[i + 1], proof.tokenPath[i + 2]];
            node = _parent(constants, node, proof.token >> (2 * level) & 3, siblings);
        }
        node = Poseidon.hash(constants, Poseidon.LEAF, [proof.keyX, proof.keyY, proof.header, node]);
        for (uint256 level = 0; level < ACCOUNT_LEVELS; ++level) {
            uint256 i = 3 * level;
            uint256[3] memory siblings = [proof.accountPath[i], proof.accountPath[i + 1], proof.accountPath[i + 2]];
            node = _parent(constants, node, proof.account >> (2 * level) & 3, siblings);
        }
        return node;
    }

    /// @notice The key that a deposit shows; reverts if it is none (`JubjubKey`).
    function keyOf(uint256[] calldata points) external pure returns (uint256 x, uint256 y) {
        return JubjubKey.check(points);
    }

    /// @dev The node above four children, of which one is known and three are siblings in order.
    function _parent(uint256 constants, uint256 node, uint256 place, uint256[3] memory siblings)
        private
        pure
        returns (uint256)
    {
        uint256[4] memory children;
        for (uint256 i = 0; i < 4; ++i) {
            children[i] = i == place ? node : siblings[i < place ? i : i - 1];
        }
        return Poseidon.hash(constants, Poseidon.NODE, children);
    }
}
