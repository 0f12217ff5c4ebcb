// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IBatchVerifier} from "./IBatchVerifier.sol";

/// @title  Groth16 over BLS12-381 by the EIP-2537 precompiles, for one verifying key of four public inputs
/// @notice Checks e(A, B) = e(alpha, beta) * e(x, gamma) * e(C, delta) with x = ic[0] + sum inputs[i] * ic[i + 1]
///         (Groth, EUROCRYPT 2016), in the form e(A, B) * e(alpha, -beta) * e(x, -gamma) * e(C, -delta) = 1, so that one
///         call of the pairing precompile decides.
/// @dev    Points are EIP-2537's: a G1 point is x, y; a G2 point is x.c0, x.c1, y.c0, y.c1; a coordinate is 64 bytes, big
///         endian, the upper 16 zero; the point at infinity is all zeros. The precompiles refuse every point that is not on
///         the curve, and MSM and PAIRING every point outside the prime-order subgroup, so no point is checked here.
///
///         The key is checked, negated and stored once by the constructor: as the code of a data contract, laid out exactly
///         as the verification wants it in memory, so that reading it is one cold EXTCODECOPY (2,600 gas + 3 per word)
///         and not 48 cold storage slots.
///
///         Groth16 proofs can be re-randomised by anyone: a proof is evidence, never an identifier. Replay is the caller's
///         business (`RollupChain` compares batch numbers).
contract Groth16Verifier is IBatchVerifier {
    /// @notice The verifying key has the wrong length; `expected` bytes are alpha, beta, gamma, delta, ic[0..4].
    error KeyLength(uint256 length, uint256 expected);
    /// @notice The verifying key holds the point at infinity at byte `offset`: such a key proves false statements.
    error KeyPointAtInfinity(uint256 offset);
    /// @notice The data contract of the key could not be created (not enough gas).
    error KeyNotStored();
    /// @notice The proof has the wrong length; `expected` bytes are A (G1), B (G2), C (G1).
    error ProofLength(uint256 length, uint256 expected);
    /// @notice Public input `index` is not below the group order.
    error InputNotInField(uint256 index, uint256 value);
    /// @notice The precompile refused its points (not a field element, not on the curve, not in the subgroup), had too
    ///         little gas, or does not exist on this chain (it came with the Prague hard fork).
    error PrecompileFailed(address precompile);
    /// @notice The points are well formed and the pairing equation does not hold.
    error ProofInvalid();

    /// @dev The order r of the groups: the field of the public inputs.
    uint256 private constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    /// @dev The field prime p of the coordinates, in the two words of an EIP-2537 coordinate.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @dev EIP-2537 precompiles, and the exact gas of the calls made here ("Gas schedule" of the EIP). A failed
    ///      precompile takes all the gas it was given, so it is given what it needs and no more.
    uint256 private constant G1ADD = 0x0b;
    uint256 private constant G1MSM = 0x0c;
    uint256 private constant PAIRING = 0x0f;
    uint256 private constant G1ADD_GAS = 375;
    uint256 private constant G1MSM_4_GAS = 38_256; // 4 * 12,000 * 797 / 1000
    uint256 private constant G1MSM_5_GAS = 45_840; // 5 * 12,000 * 764 / 1000
    uint256 private constant PAIRING_3_GAS = 135_500; // 3 * 32,600 + 37,700
    uint256 private constant PAIRING_4_GAS = 168_100; // 4 * 32,600 + 37,700

    uint256 private constant PROOF_LENGTH = 512;
    uint256 private constant KEY_LENGTH = 128 + 3 * 256 + 5 * 128;

    /// @dev Memory of a verification, relative to its start. Everything below AB is the stored key, with holes for the
    ///      scalars, C and x. The sum of the inputs is written into C's hole, because it lies behind ic[0] where G1ADD
    ///      wants it, before C itself is needed. From C on, the memory is PAIRING's input.
    uint256 private constant MSM = 0; // four times: ic[i + 1], scalar
    uint256 private constant IC0 = 640;
    uint256 private constant C = 768;
    uint256 private constant NEG_DELTA = 896;
    uint256 private constant X = 1152;
    uint256 private constant NEG_GAMMA = 1280;
    uint256 private constant ALPHA = 1536;
    uint256 private constant NEG_BETA = 1664;
    uint256 private constant AB = 1920;
    uint256 private constant PAIRING_4_LENGTH = 1536;

    /// @notice The contract whose code, behind a leading STOP, is the prepared verifying key.
    address public immutable keyStore;
    /// @notice keccak-256 of the verifying key as given to the constructor: which circuit and which set-up this is.
    bytes32 public immutable keyHash;

    /// @param key The verifying key: alpha (G1), beta, gamma, delta (G2), ic[0..4] (G1), in EIP-2537 encoding.
    constructor(bytes memory key) {
        if (key.length != KEY_LENGTH) revert KeyLength(key.length, KEY_LENGTH);
        keyHash = keccak256(key);
        _checkKey(key);
        keyStore = _store(_prepare(key));
    }

    /// @inheritdoc IBatchVerifier
    /// @dev `proof` is A (G1), B (G2), C (G1): 512 bytes.
    function verifyProof(bytes calldata proof, uint256[4] calldata inputs) external view {
        if (proof.length != PROOF_LENGTH) revert ProofLength(proof.length, PROOF_LENGTH);
        for (uint256 i = 0; i < 4; ++i) {
            if (inputs[i] >= R) revert InputNotInField(i, inputs[i]);
        }
        address store = keyStore;
        uint256 failed;
        uint256 accepted;
        assembly ("memory-safe") {
            let m := mload(0x40) // scratch space beyond the last allocation
            extcodecopy(store, m, 1, AB)
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mstore(add(m, add(mul(i, 160), 128)), calldataload(add(inputs, mul(i, 32))))
            }
            // `and` evaluates its right side first. An answer has its exact length: a chain without the precompile
            // answers with nothing, successfully.
            if iszero(
                and(eq(returndatasize(), 128), staticcall(G1MSM_4_GAS, G1MSM, add(m, MSM), 640, add(m, C), 128))
            ) { failed := G1MSM }
            if iszero(
                and(eq(returndatasize(), 128), staticcall(G1ADD_GAS, G1ADD, add(m, IC0), 256, add(m, X), 128))
            ) { failed := G1ADD }
            calldatacopy(add(m, C), add(proof.offset, 384), 128)
            calldatacopy(add(m, AB), proof.offset, 384)
            if iszero(failed) {
                if iszero(
                    and(
                        eq(returndatasize(), 32),
                        staticcall(PAIRING_4_GAS, PAIRING, add(m, C), PAIRING_4_LENGTH, 0x00, 0x20)
                    )
                ) { failed := PAIRING }
                accepted := mload(0x00)
            }
        }
        if (failed != 0) revert PrecompileFailed(address(uint160(failed)));
        if (accepted != 1) revert ProofInvalid();
    }

    /// @dev Refuses infinity anywhere in the key and lets the precompiles check every point's curve and subgroup.
    function _checkKey(bytes memory key) private view {
        bytes memory pairs = new bytes(3 * 384);
        bytes memory terms = new bytes(5 * 160);
        _requireFinite(key, 0, 128);
        for (uint256 i = 0; i < 3; ++i) {
            _requireFinite(key, 128 + 256 * i, 256);
            _copy(pairs, 384 * i, key, 0, 128);
            _copy(pairs, 384 * i + 128, key, 128 + 256 * i, 256);
        }
        for (uint256 i = 0; i < 5; ++i) {
            _requireFinite(key, 896 + 128 * i, 128);
            _copy(terms, 160 * i, key, 896 + 128 * i, 128);
            terms[160 * i + 159] = 0x01;
        }
        _requireAnswer(PAIRING, PAIRING_3_GAS, pairs, 32);
        _requireAnswer(G1MSM, G1MSM_5_GAS, terms, 128);
    }

    /// @dev On a chain without the precompiles the answer is empty, and the contract cannot be deployed.
    function _requireAnswer(uint256 precompile, uint256 gasNeeded, bytes memory points, uint256 length) private view {
        address target = address(uint160(precompile));
        (bool ok, bytes memory answer) = target.staticcall{gas: gasNeeded}(points);
        if (!ok || answer.length != length) revert PrecompileFailed(target);
    }

    function _requireFinite(bytes memory key, uint256 offset, uint256 length) private pure {
        for (uint256 i = 0; i < length; i += 32) {
            if (_word(key, offset + i) != 0) return;
        }
        revert KeyPointAtInfinity(offset);
    }

    /// @dev Lays the key out as the verification's memory, with beta, gamma and delta negated.
    function _prepare(bytes memory key) private pure returns (bytes memory prepared) {
        prepared = new bytes(AB);
        _copy(prepared, ALPHA, key, 0, 128);
        _copyNegated(prepared, NEG_BETA, key, 128);
        _copyNegated(prepared, NEG_GAMMA, key, 384);
        _copyNegated(prepared, NEG_DELTA, key, 640);
        _copy(prepared, IC0, key, 896, 128);
        for (uint256 i = 0; i < 4; ++i) {
            _copy(prepared, MSM + 160 * i, key, 1024 + 128 * i, 128);
        }
    }

    /// @dev Copies a G2 point with y negated. A zero coordinate stays zero; p would not be canonical.
    function _copyNegated(bytes memory to, uint256 position, bytes memory from, uint256 offset) private pure {
        _copy(to, position, from, offset, 128);
        for (uint256 i = 128; i < 256; i += 64) {
            uint256 high = _word(from, offset + i);
            uint256 low = _word(from, offset + i + 32);
            if (high != 0 || low != 0) {
                unchecked {
                    high = P_HIGH - high - (low > P_LOW ? 1 : 0);
                    low = P_LOW - low;
                }
            }
            _setWord(to, position + i, high);
            _setWord(to, position + i + 32, low);
        }
    }

    /// @dev Creates a contract whose code is STOP followed by `data`. Init code: PUSH2 length, DUP1, PUSH1 10,
    ///      PUSH0, CODECOPY, PUSH0, RETURN; ten bytes.
    function _store(bytes memory data) private returns (address store) {
        bytes memory init =
            abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a5f395ff300", data);
        assembly ("memory-safe") {
            store := create(0, add(init, 32), mload(init))
        }
        if (store == address(0)) revert KeyNotStored();
    }

    function _copy(bytes memory to, uint256 position, bytes memory from, uint256 offset, uint256 length) private pure {
        for (uint256 i = 0; i < length; i += 32) {
            _setWord(to, position + i, _word(from, offset + i));
        }
    }

    /// @dev Only called with offsets inside `data`; the constructor checks the one length that comes from outside.
    function _word(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }

    function _setWord(bytes memory data, uint256 offset, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 32), offset), word)
        }
    }
}
