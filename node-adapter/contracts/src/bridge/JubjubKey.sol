// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISharedBridge} from "./ISharedBridge.sol";

/// @title  Is this a key? Points of Jubjub's prime-order subgroup, shown by three doublings
/// @notice The circuit does not check the subgroup of a deposited key, so L1 does: the caller shows P, 2P, 4P and 8P. P
///         is on the curve -x^2 + y^2 = 1 + d x^2 y^2, whose order is 8 times a prime; so 8P lies in the prime-order
///         subgroup, and if it is not the identity it is a key. No inversion: each doubling is checked, not computed.
library JubjubKey {
    uint256 private constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    /// @dev d = -10240/10241 (Zcash protocol specification, 5.4.9.3).
    uint256 private constant D = 0x2a9318e74bfa2b48f5fd9207e6bd7fd4292d7f6d37579d2601065fd6d6343eb1;

    /// @notice Returns the key 8P; reverts with the step that is wrong: 0 length or range, 1 P not on the curve, 2 to 4
    ///         the doublings, 5 the identity.
    /// @param  points P, 2P, 4P, 8P as x, y pairs.
    function check(uint256[] calldata points) internal pure returns (uint256 x, uint256 y) {
        if (points.length != 8) revert ISharedBridge.KeyProofInvalid(0);
        for (uint256 i = 0; i < 8; ++i) {
            if (points[i] >= R) revert ISharedBridge.KeyProofInvalid(0);
        }
        (x, y) = (points[0], points[1]);
        uint256 xx = mulmod(x, x, R);
        uint256 yy = mulmod(y, y, R);
        if (addmod(yy, R - xx, R) != addmod(1, mulmod(D, mulmod(xx, yy, R), R), R)) {
            revert ISharedBridge.KeyProofInvalid(1);
        }
        for (uint256 i = 2; i < 8; i += 2) {
            if (!_isDouble(x, y, points[i], points[i + 1])) revert ISharedBridge.KeyProofInvalid(1 + i / 2);
            (x, y) = (points[i], points[i + 1]);
        }
        if (x == 0) revert ISharedBridge.KeyProofInvalid(5);
    }

    /// @dev For (x, y) on the curve: x' (y^2 - x^2) = 2 x y and y' (2 - y^2 + x^2) = y^2 + x^2. Both factors on the
    ///      left are never zero (1 + d x^2 y^2 and 1 - d x^2 y^2, and d is not a square), so x' and y' are the only
    ///      solutions.
    function _isDouble(uint256 x, uint256 y, uint256 x2, uint256 y2) private pure returns (bool) {
        uint256 xx = mulmod(x, x, R);
        uint256 yy = mulmod(y, y, R);
        uint256 difference = addmod(yy, R - xx, R);
        uint256 product = mulmod(x, y, R);
        return mulmod(x2, difference, R) == addmod(product, product, R)
            && mulmod(y2, addmod(2, R - difference, R), R) == addmod(yy, xx, R);
    }
}
