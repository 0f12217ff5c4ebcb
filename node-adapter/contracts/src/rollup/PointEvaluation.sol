// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IRollupChain} from "./IRollupChain.sol";

/// @title  What a blob's polynomial is at a point, by the precompile of EIP-4844
/// @notice Used by `RollupChain`. All inputs are checked before the call, and the answer after it, so that a refusal
///         has its reason and a chain without the precompile proves nothing.
library PointEvaluation {
    /// @dev The order of the scalar field of BLS12-381: BLS_MODULUS of the EIP.
    uint256 private constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 private constant FIELD_ELEMENTS_PER_BLOB = 4096;
    address private constant POINT_EVALUATION = address(0x0a);
    uint256 private constant POINT_EVALUATION_GAS = 50_000;

    /// @notice Returns if the blob with this versioned hash is y at z; reverts otherwise.
    function check(bytes32 versionedHash, uint256 z, uint256 y, bytes calldata commitment, bytes calldata proof)
        internal
        view
    {
        if (commitment.length != 48 || proof.length != 48) {
            revert IRollupChain.KzgLength(commitment.length, proof.length);
        }
        // 0x01 and the lower 31 bytes of SHA-256 of the commitment (EIP-4844, "kzg_to_versioned_hash").
        bytes32 found = bytes32(uint256(sha256(commitment)) & type(uint248).max | uint256(1) << 248);
        if (found != versionedHash) revert IRollupChain.NotTheBlobsCommitment(found, versionedHash);
        (bool ok, bytes memory answer) = POINT_EVALUATION.staticcall{gas: POINT_EVALUATION_GAS}(
            abi.encodePacked(versionedHash, z, y, commitment, proof)
        );
        if (ok && answer.length == 64) {
            (uint256 elements, uint256 modulus) = abi.decode(answer, (uint256, uint256));
            if (elements == FIELD_ELEMENTS_PER_BLOB && modulus == R) return;
        }
        revert IRollupChain.PointEvaluationFailed(versionedHash, z, y);
    }
}
