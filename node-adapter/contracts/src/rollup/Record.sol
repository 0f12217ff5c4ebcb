// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The first word of a record, and the kinds of operations
/// @notice The one place for the numbers of PROTOCOL.md, "Operations" and "Record":
///         word 0 = kind + 2^4 account + 2^28 token. Used by all that read records.
library Record {
    uint256 internal constant TRANSFER = 1;
    uint256 internal constant DEPOSIT = 2;
    uint256 internal constant WITHDRAW = 3;
    uint256 internal constant BUNDLE = 4;
    uint256 internal constant IMPORT = 5;
    uint256 internal constant SET_KEY = 6;
    uint256 internal constant EXIT = 7;
    uint256 internal constant SEND = 8;
    uint256 internal constant TAKE = 9;
    uint256 internal constant RETURN = 10;

    /// @dev Bits of the word.
    uint256 internal constant BITS = 34;
    /// @dev The kind and the token, without the account.
    uint256 internal constant KIND_AND_TOKEN = 0x3f000000f;
    uint256 private constant ACCOUNT_AT = 4;
    uint256 private constant TOKEN_AT = 28;

    /// @notice The word of a record of this kind for a token and an account.
    function make(uint256 kind_, uint256 account_, uint256 token_) internal pure returns (uint256) {
        return kind_ | account_ << ACCOUNT_AT | token_ << TOKEN_AT;
    }

    /// @notice The kind.
    function kind(uint256 word0) internal pure returns (uint256) {
        return word0 & 0xf;
    }

    /// @notice The account.
    function account(uint256 word0) internal pure returns (uint256) {
        return word0 >> ACCOUNT_AT & 0xffffff;
    }

    /// @notice The slot of the token; of a word that has no more than its bits.
    function token(uint256 word0) internal pure returns (uint256) {
        return word0 >> TOKEN_AT;
    }
}
