// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IBatchVerifier5} from "./IBatchVerifier5.sol";

/// @title  Groth16 over BLS12-381 by the EIP-2537 precompiles, for one verifying key of five public inputs
/// @notice Checks e(A, B) = e(alpha, beta) * e(x, gamma) * e(C, delta) with x = ic[0] + sum inputs[i] * ic[i + 1]
///         (Groth, EUROCRYPT 2016), in the form e(A, B) * e(alpha, -beta) * e(x, -gamma) * e(C, -delta) = 1, so that
///         one call of the pairing precompile decides.
/// @dev    Points are EIP-2537's: a G1 point is x, y; a G2 point is x.c0, x.c1, y.c0, y.c1; a coordinate is 64 bytes,
///         big endian, the upper 16 zero; the point at infinity is all zeros. The precompiles refuse every point that
///         is not on the curve, and MSM and PAIRING every point outside the prime-order subgroup, so no point is
///         checked here.
///
/// The key is checked, negated and stored once by the constructor: as the code of a data contract, laid out exactly as
///         the verification wants it in memory, so that reading it is one cold EXTCODECOPY (2,600 gas + 3 per word) and
///         not 52 cold storage slots.
///
/// Groth16 proofs can be re-randomised by anyone: a proof is evidence, never an identifier. Replay is the caller's
///         business (`RollupChain` compares batch numbers).
contract Groth16Verifier is IBatchVerifier5 {
    /// @notice The verifying key has the wrong length; `expected` bytes are alpha, beta, gamma, delta, ic[0..5].
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
    uint256 private constant G1MSM_1_GAS = 12_000;
    uint256 private constant G1MSM_5_GAS = 45_840; // 5 * 12,000 * 764 / 1000
    uint256 private constant G1MSM_6_GAS = 54_000; // 6 * 12,000 * 750 / 1000
    uint256 private constant PAIRING_3_GAS = 135_500; // 3 * 32,600 + 37,700
    uint256 private constant PAIRING_4_GAS = 168_100; // 4 * 32,600 + 37,700
    uint256 private constant PAIR_GAS = 32_600;
    /// @dev The EIP's discounts of G1MSM for 1 to 32 terms, in thousandths, 16 bits each, the first in the lowest bits.
    uint256 private constant DISCOUNT_1_TO_16 = 0x02a502aa02af02b402ba02c102c802cf02d802e202ee02fc031d035003b503e8;
    uint256 private constant DISCOUNT_17_TO_32 = 0x027302760278027b027d0280028202850288028b028e029202950299029d02a1;
    /// @dev The most proofs of one `verifyBatch`.
    uint256 private constant MAX_PROOFS = 32;

    uint256 private constant PROOF_LENGTH = 512;
    uint256 private constant KEY_LENGTH = 128 + 3 * 256 + 6 * 128;

    /// @dev Memory of a verification, relative to its start. Everything below AB is the stored key, with holes for the
    ///      scalars, C and x. The sum of the inputs is written into C's hole, because it lies behind ic[0] where G1ADD
    ///      wants it, before C itself is needed. From C on, the memory is PAIRING's input.
    uint256 private constant MSM = 0; // five times: ic[i + 1], scalar
    uint256 private constant IC0 = 800;
    uint256 private constant C = 928;
    uint256 private constant NEG_DELTA = 1056;
    uint256 private constant X = 1312;
    uint256 private constant NEG_GAMMA = 1440;
    uint256 private constant ALPHA = 1696;
    uint256 private constant NEG_BETA = 1824;
    uint256 private constant AB = 2080;
    uint256 private constant KEY_PAIRS_LENGTH = 1152; // C to NEG_BETA
    uint256 private constant PAIRING_4_LENGTH = 1536;

    /// @notice A batch has 1 to 32 proofs, and inputs for each.
    error BatchLength(uint256 proofs, uint256 inputs);

    /// @notice The contract whose code, behind a leading STOP, is the prepared verifying key.
    address public immutable keyStore;
    /// @inheritdoc IBatchVerifier5
    bytes32 public immutable keyHash;

    /// @param key The verifying key: alpha (G1), beta, gamma, delta (G2), ic[0..5] (G1), in EIP-2537 encoding.
    constructor(bytes memory key) {
        if (key.length != KEY_LENGTH) revert KeyLength(key.length, KEY_LENGTH);
        keyHash = keccak256(key);
        _checkKey(key);
        keyStore = _store(_prepare(key));
    }

    /// @inheritdoc IBatchVerifier5
    /// @dev `proof` is A (G1), B (G2), C (G1): 512 bytes.
    function verifyProof(bytes calldata proof, uint256[5] calldata inputs) external view {
        _verifyOne(proof, inputs);
    }

    function _verifyOne(bytes calldata proof, uint256[5] calldata inputs) private view {
        if (proof.length != PROOF_LENGTH) revert ProofLength(proof.length, PROOF_LENGTH);
        for (uint256 i = 0; i < 5; ++i) {
            if (inputs[i] >= R) revert InputNotInField(i, inputs[i]);
        }
        address store = keyStore;
        uint256 failed;
        uint256 accepted;
        assembly ("memory-safe") {
            let m := mload(0x40) // scratch space beyond the last allocation
            extcodecopy(store, m, 1, AB)
            for { let i := 0 } lt(i, 5) { i := add(i, 1) } {
                mstore(add(m, add(mul(i, 160), 128)), calldataload(add(inputs, mul(i, 32))))
            }
            // `and` evaluates its right side first. An answer has its exact length: a chain without the precompile
            // answers with nothing, successfully.
            if iszero(
                and(eq(returndatasize(), 128), staticcall(G1MSM_5_GAS, G1MSM, add(m, MSM), 800, add(m, C), 128))
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

    /// @inheritdoc IBatchVerifier5
    /// @dev Random linear combination: with s_0 = 1 and 128-bit factors s_i drawn from a hash of the key, all proofs
    ///      and all inputs, product of e(s_i A_i, B_i) * e(S alpha, -beta) * e(sum s_i x_i, -gamma) * e(sum s_i C_i,
    ///      -delta) = 1, S = sum s_i; n + 3 pairs. If the first equation alone is false, so is the product; if another
    ///      one is, at most one value of its factor in 2^128 makes the product 1.
    function verifyBatch(bytes[] calldata proofs, uint256[5][] calldata inputs) external view {
        _verifyAll(proofs, inputs);
    }

    /// @inheritdoc IBatchVerifier5
    /// @dev In transient storage, at the statement's hash: nothing else of this contract is there.
    function proveTogether(bytes[] calldata proofs, uint256[5][] calldata inputs) external {
        _verifyAll(proofs, inputs);
        for (uint256 i = 0; i < inputs.length; ++i) {
            bytes32 statement = keccak256(abi.encode(inputs[i]));
            assembly ("memory-safe") {
                tstore(statement, 1)
            }
        }
    }

    /// @inheritdoc IBatchVerifier5
    function provedNow(uint256[5] calldata inputs) external view returns (bool proved) {
        bytes32 statement = keccak256(abi.encode(inputs));
        assembly ("memory-safe") {
            proved := tload(statement)
        }
    }

    function _verifyAll(bytes[] calldata proofs, uint256[5][] calldata inputs) private view {
        uint256 n = proofs.length;
        if (n == 0 || n > MAX_PROOFS || n != inputs.length) revert BatchLength(n, inputs.length);
        if (n == 1) return _verifyOne(proofs[0], inputs[0]);
        for (uint256 i = 0; i < n; ++i) {
            if (proofs[i].length != PROOF_LENGTH) revert ProofLength(proofs[i].length, PROOF_LENGTH);
            for (uint256 j = 0; j < 5; ++j) {
                if (inputs[i][j] >= R) revert InputNotInField(j, inputs[i][j]);
            }
        }
        bytes32 seed = keccak256(abi.encode(keyHash, proofs, inputs));
        uint256 m = _loadKey(n);
        uint256 terms = m + AB + 384 * n;
        uint256 sum;
        for (uint256 i = 0; i < n; ++i) {
            uint256 factor = _factor(seed, i);
            sum += factor; // 32 numbers of 128 bits at most
            bytes calldata proof = proofs[i];
            uint256[5] calldata values = inputs[i];
            uint256 pair = m + AB + 384 * i;
            assembly ("memory-safe") {
                // The scalar of ic[j + 1] grows by factor * values[j].
                for { let j := 0 } lt(j, 5) { j := add(j, 1) } {
                    let at := add(m, add(mul(j, 160), 128))
                    mstore(at, addmod(mload(at), mulmod(factor, calldataload(add(values, mul(j, 32))), R), R))
                }
                calldatacopy(terms, proof.offset, 128)
                mstore(add(terms, 128), factor)
                calldatacopy(add(pair, 128), add(proof.offset, 128), 256)
            }
            if (i != 0) {
                _call(G1MSM, G1MSM_1_GAS, terms, 160, pair, 128);
            } else {
                assembly ("memory-safe") {
                    mcopy(pair, terms, 128) // factor 1; PAIRING checks the point
                }
            }
        }
        assembly ("memory-safe") {
            // ic[0] and its scalar lie behind the other five terms; the scalar in C's hole.
            mstore(add(m, C), sum)
            mcopy(terms, add(m, ALPHA), 128)
            mstore(add(terms, 128), sum)
        }
        _call(G1MSM, G1MSM_6_GAS, m, 960, m + X, 128);
        _call(G1MSM, G1MSM_1_GAS, terms, 160, m + ALPHA, 128);
        for (uint256 i = 0; i < n; ++i) {
            uint256 factor = _factor(seed, i);
            bytes calldata proof = proofs[i];
            assembly ("memory-safe") {
                let term := add(terms, mul(i, 160))
                calldatacopy(term, add(proof.offset, 384), 128)
                mstore(add(term, 128), factor)
            }
        }
        _call(G1MSM, _msmGas(n), terms, 160 * n, m + C, 128);
        _call(PAIRING, PAIRING_3_GAS + n * PAIR_GAS, m + C, KEY_PAIRS_LENGTH + 384 * n, terms, 32);
        uint256 accepted;
        assembly ("memory-safe") {
            accepted := mload(terms)
        }
        if (accepted != 1) revert ProofInvalid();
    }

    /// @dev Reserves the memory of a batch of n and reads the key into it, with all scalars zero.
    function _loadKey(uint256 n) private view returns (uint256 m) {
        address store = keyStore;
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore(0x40, add(m, add(AB, mul(n, 544)))) // 384 of pairs and 160 of terms for each
            extcodecopy(store, m, 1, AB)
        }
    }

    /// @dev 1 for the first proof, 128 bits for the others.
    function _factor(bytes32 seed, uint256 i) private pure returns (uint256 factor) {
        assembly ("memory-safe") {
            mstore(0x00, seed)
            mstore(0x20, i)
            factor := shr(128, keccak256(0x00, 0x40))
            if iszero(i) { factor := 1 }
        }
    }

    /// @dev Calls a precompile with exactly the gas it needs; the answer must have its exact length.
    function _call(uint256 target, uint256 gasNeeded, uint256 from, uint256 length, uint256 to, uint256 answer)
        private
        view
    {
        bool ok;
        assembly ("memory-safe") {
            // `and` evaluates its right side first.
            ok := and(
                eq(returndatasize(), answer),
                staticcall(gasNeeded, target, from, length, to, answer)
            )
        }
        if (!ok) revert PrecompileFailed(address(uint160(target)));
    }

    function _msmGas(uint256 n) private pure returns (uint256) {
        uint256 discounts = n <= 16 ? DISCOUNT_1_TO_16 : DISCOUNT_17_TO_32;
        uint256 discount = discounts >> (16 * ((n - 1) % 16)) & 0xffff;
        return n * G1MSM_1_GAS * discount / 1000;
    }

    /// @dev Refuses infinity anywhere in the key and lets the precompiles check every point's curve and subgroup.
    function _checkKey(bytes memory key) private view {
        bytes memory pairs = new bytes(3 * 384);
        bytes memory terms = new bytes(6 * 160);
        _requireFinite(key, 0, 128);
        for (uint256 i = 0; i < 3; ++i) {
            _requireFinite(key, 128 + 256 * i, 256);
            _copy(pairs, 384 * i, key, 0, 128);
            _copy(pairs, 384 * i + 128, key, 128 + 256 * i, 256);
        }
        for (uint256 i = 0; i < 6; ++i) {
            _requireFinite(key, 896 + 128 * i, 128);
            _copy(terms, 160 * i, key, 896 + 128 * i, 128);
            terms[160 * i + 159] = 0x01;
        }
        _requireAnswer(PAIRING, PAIRING_3_GAS, pairs, 32);
        _requireAnswer(G1MSM, G1MSM_6_GAS, terms, 128);
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
        for (uint256 i = 0; i < 5; ++i) {
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
