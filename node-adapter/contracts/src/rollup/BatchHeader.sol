// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IRollupChain} from "./IRollupChain.sol";
import {Record} from "./Record.sol";

/// @title  H, the public data of a batch that travel in calldata
/// @notice Reads and checks the words of H, evaluates H at the challenge, and hashes its records into the queue and
///         into the message tree. Used by `RollupChain` alone; encodings are those of PROTOCOL.md, "Public data" and
///         "Record".
library BatchHeader {
    /// @dev The order of the scalar field of BLS12-381.
    uint256 internal constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 private constant HEADER_WORDS = 3;
    uint256 private constant RECORD_WORDS = 5;

    /// @notice What the header word says.
    struct Fields {
        uint256 domain;
        uint64 number;
        uint256 operatorAccount;
        uint256 records;
    }

    /// @notice Takes the header word apart and checks the length of H against its number of records.
    function fields(uint256[] calldata h) internal pure returns (Fields memory header) {
        if (h.length < HEADER_WORDS) revert IRollupChain.HeaderLength(h.length, 0);
        uint256 word = h[0];
        header.domain = uint128(word);
        header.number = uint64(word >> 128);
        header.operatorAccount = uint32(word >> 192);
        // All that is left: a bit above the 16 of the count is a count that no batch has.
        header.records = word >> 224;
        if (header.records > type(uint16).max || h.length != HEADER_WORDS + RECORD_WORDS * header.records) {
            revert IRollupChain.HeaderLength(h.length, header.records);
        }
    }

    /// @notice The challenge z = keccak(cH, cB, keccak(H), versionedHash) mod r: fixed by everything it tests.
    function challenge(uint256[] calldata h, uint256 cH, uint256 cB, bytes32 versionedHash)
        internal
        pure
        returns (uint256 z)
    {
        bytes32 hHash;
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, h.offset, mul(h.length, 32))
            hHash := keccak256(m, mul(h.length, 32))
        }
        z = uint256(keccak256(abi.encode(cH, cB, hHash, versionedHash))) % R;
    }

    /// @notice The sum of h[i] z^i, by Horner's rule; refuses words that are not below r, of which each residue would
    ///         have two forms.
    function evaluate(uint256[] calldata h, uint256 z) internal pure returns (uint256 y) {
        uint256 outside;
        assembly ("memory-safe") {
            for { let at := add(h.offset, mul(h.length, 32)) } gt(at, h.offset) {} {
                at := sub(at, 32)
                let word := calldataload(at)
                outside := or(outside, iszero(lt(word, R)))
                y := addmod(mulmod(y, z, R), word, R)
            }
        }
        if (outside == 0) return y;
        for (uint256 i = 0; i < h.length; ++i) {
            if (h[i] >= R) revert IRollupChain.WordNotInField(i, h[i]);
        }
    }

    /// @notice Checks the form of each record. What could never be claimed or run leaves no chain: a withdrawal without a
    ///         recipient, a bundle whose hash has more than 248 bits.
    /// @dev    The loop stops at the first record that is wrong; what is wrong with it is only looked for then, since a
    ///         batch has thousands of records and each costs gas here.
    function check(uint256[] calldata h) internal pure {
        uint256 k;
        uint256 count = (h.length - HEADER_WORDS) / RECORD_WORDS;
        assembly ("memory-safe") {
            let at := add(h.offset, mul(HEADER_WORDS, 0x20))
            for {} lt(k, count) {} {
                let w0 := calldataload(at)
                let wrong := or(shr(34, w0), shr(96, calldataload(add(at, 0x20))))
                // Kinds that have a record on L1: 2 to 9.
                let kind := and(w0, 0xf)
                switch kind
                case 0 { wrong := 1 }
                case 1 { wrong := 1 }
                case 3 {
                    // A withdrawal.
                    let w2 := calldataload(add(at, 0x40))
                    wrong := or(wrong, or(iszero(w2), shr(160, w2)))
                }
                // A bundle.
                case 4 { wrong := or(wrong, shr(248, calldataload(add(at, 0x40)))) }
                default {
                    if gt(kind, 7) {
                        // A send to a party, a take from one; the other word is an owner.
                        let party := calldataload(add(at, 0x40))
                        let owner := calldataload(add(at, 0x60))
                        switch kind
                        case 8 {}
                        case 9 {
                            let swapped := party
                            party := owner
                            owner := swapped
                        }
                        default { wrong := 1 }
                        wrong := or(wrong, or(iszero(owner), shr(160, owner)))
                        // The party's owner and chain; no leg, or, of a send, one of eight of a flow.
                        wrong := or(wrong, iszero(shl(96, party)))
                        wrong := or(wrong, iszero(and(shr(160, party), 0xffffffffffffffff)))
                        let leg := shr(224, party)
                        if leg { wrong := or(wrong, iszero(and(eq(kind, 8), eq(shr(3, leg), 32)))) }
                        wrong := or(wrong, shr(248, calldataload(add(at, 0x80))))
                    }
                }
                if wrong { break }
                k := add(k, 1)
                at := add(at, mul(RECORD_WORDS, 0x20))
            }
        }
        if (k == count) return;
        uint256 start = HEADER_WORDS + RECORD_WORDS * k;
        uint256 first = h[start];
        if (first >> Record.BITS != 0) revert IRollupChain.RecordMalformed(k, first);
        if (h[start + 1] >> 96 != 0) revert IRollupChain.RecordAmount(k, h[start + 1]);
        uint256 kind = Record.kind(first);
        if (kind < Record.DEPOSIT || kind > Record.RETURN) revert IRollupChain.RecordKind(k, kind);
        if (kind == Record.RETURN || kind == Record.TAKE && h[start + 3] >> 227 == 32) {
            revert IRollupChain.FlowsNotServed(k, kind);
        }
        if (kind >= Record.SEND) revert IRollupChain.CrossingWords(k, h[start + 2], h[start + 3], h[start + 4]);
        revert IRollupChain.RecordWord(k, h[start + 2]);
    }

    /// @notice Goes on with the queue's hash over deposits, imports and exits, and collects messages and what moves
    ///         between chains. For records that `check` has passed.
    /// @param  queueHash The hash of the queue before the batch.
    /// @return entries   How many queue entries the batch claims.
    /// @return hash      The hash of the queue after them.
    /// @return root      The message root; zero without messages.
    /// @return crossings The words of the sends, takes and returns.
    function records(uint256[] calldata h, uint64 chainId, uint64 number, bytes32 queueHash)
        internal
        pure
        returns (uint64 entries, bytes32 hash, bytes32 root, uint256[] memory crossings)
    {
        uint256 count = (h.length - HEADER_WORDS) / RECORD_WORDS;
        bytes32[] memory leaves = new bytes32[](count);
        uint256 messages = 0;
        uint256 crossing = 0;
        hash = queueHash;
        for (uint256 k = 0; k < count; ++k) {
            uint256 start = HEADER_WORDS + RECORD_WORDS * k;
            uint256 w0 = h[start];
            uint256 w1 = h[start + 1];
            uint256 kind = Record.kind(w0);
            if (kind == Record.DEPOSIT || kind == Record.IMPORT) {
                // The operator picks the account.
                hash = next(hash, w0 & Record.KIND_AND_TOKEN, w1, h[start + 2], h[start + 3], h[start + 4]);
                ++entries;
            } else if (kind == Record.EXIT) {
                // The state decides the amount.
                hash = next(hash, w0, 0, h[start + 2], h[start + 3], h[start + 4]);
                ++entries;
            } else if (kind >= Record.SEND) {
                ++crossing;
            }
            bool paid = kind == Record.WITHDRAW || kind == Record.EXIT;
            if (kind == Record.BUNDLE || paid && w1 != 0) {
                leaves[messages++] = _leaf(h, start, chainId, number, k);
            }
        }
        root = _merkleRoot(leaves, messages);
        if (crossing != 0) crossings = _crossings(h, crossing);
    }

    /// @notice What a batch keeps of its sends, takes and returns: the hash of their words, zero without any.
    function crossingsHash(uint256[] memory crossings) internal pure returns (bytes32 hash) {
        if (crossings.length == 0) return 0;
        assembly ("memory-safe") {
            hash := keccak256(add(crossings, 0x20), mul(mload(crossings), 0x20))
        }
    }

    /// @dev The words of the records of kinds 8 and above, of which there are `count`.
    function _crossings(uint256[] calldata h, uint256 count) private pure returns (uint256[] memory words) {
        words = new uint256[](RECORD_WORDS * count);
        assembly ("memory-safe") {
            let to := add(words, 0x20)
            let end := add(to, mul(count, 0xa0))
            for { let from := add(h.offset, mul(HEADER_WORDS, 0x20)) } lt(to, end) { from := add(from, 0xa0) } {
                if gt(and(calldataload(from), 0xf), 7) {
                    calldatacopy(to, from, 0xa0)
                    to := add(to, 0xa0)
                }
            }
        }
    }

    /// @notice The queue's hash after one more entry: of the old hash and the five words.
    /// @dev    Here and below words are laid behind the memory in use, and it is not taken: a new piece of memory for each
    ///         hash costs gas that grows with the square of the records.
    function next(bytes32 hash, uint256 w0, uint256 w1, uint256 w2, uint256 w3, uint256 w4)
        internal
        pure
        returns (bytes32 after_)
    {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, hash)
            mstore(add(m, 0x20), w0)
            mstore(add(m, 0x40), w1)
            mstore(add(m, 0x60), w2)
            mstore(add(m, 0x80), w3)
            mstore(add(m, 0xa0), w4)
            after_ := keccak256(m, 0xc0)
        }
    }

    /// @dev keccak256(abi.encode(chainId, batch, k, the five words of the record that begins at h[start])).
    function _leaf(uint256[] calldata h, uint256 start, uint64 chainId, uint64 batch, uint256 k)
        private
        pure
        returns (bytes32 leaf)
    {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, chainId)
            mstore(add(m, 0x20), batch)
            mstore(add(m, 0x40), k)
            calldatacopy(add(m, 0x60), add(h.offset, mul(start, 0x20)), 0xa0)
            leaf := keccak256(m, 0x100)
        }
    }

    /// @dev Folds level by level in place; beyond the last leaf stand zero words.
    function _merkleRoot(bytes32[] memory leaves, uint256 count) private pure returns (bytes32) {
        if (count == 0) return 0;
        uint256 width = 1;
        while (width < count) width *= 2;
        bytes32[] memory level = new bytes32[](width);
        for (uint256 i = 0; i < count; ++i) level[i] = leaves[i];
        while (width > 1) {
            width /= 2;
            for (uint256 i = 0; i < width; ++i) {
                bytes32 node;
                assembly ("memory-safe") {
                    node := keccak256(add(add(level, 0x20), mul(i, 0x40)), 0x40)
                }
                level[i] = node;
            }
        }
        return level[0];
    }
}
