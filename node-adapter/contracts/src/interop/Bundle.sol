// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

// A bundle: what a user of a rollup has done on Ethereum with one signature on the rollup. The signature covers
// keccak256(abi.encode(Bundle)) >> 8, the word 2 of the bundle's record, so every field below is the user's own.

/// @notice One call made by the alias account.
struct Call {
    /// The contract, or an account that is paid.
    address target;
    /// Wei, out of the alias account's balance.
    uint256 value;
    /// Selector and arguments. Must be empty if there is no contract at `target`.
    bytes data;
}

/// @notice What goes back to the owner on the rollup after the calls: the alias account's whole balance of a token, but
///         the tip.
struct Return {
    /// Token slot of the rollup; 0 is ETH.
    uint8 token;
    /// The bundle fails if the balance is below this.
    uint96 minAmount;
}

/// @notice A bundle. All of it happens, or nothing.
struct Bundle {
    /// The rollup that the message comes from.
    uint64 chainId;
    /// EIP-155 number of the Ethereum chain that may run it.
    uint256 l1ChainId;
    /// The `InteropHandler` that may run it.
    address handler;
    /// The owner of the L2 account that signed it, and of the alias account that acts.
    address owner;
    /// Last second (Unix time) in which it may run. Later, anyone may have the amount returned.
    uint64 deadline;
    /// Gas for the whole run: withdrawal, calls and return. The run gets exactly this much.
    uint64 gasLimit;
    Call[] calls;
    bool hasReturn;
    /// All zeros if `hasReturn` is false.
    Return ret;
    /// For whoever runs it, out of the withdrawn amount and in its token; also if the run fails for good. At most the
    /// amount: the bundle could never run otherwise.
    uint96 tip;
}
