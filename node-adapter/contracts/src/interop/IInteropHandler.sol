// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISharedBridge} from "../bridge/ISharedBridge.sol";
import {AliasFactory} from "./AliasFactory.sol";
import {Bundle, Call} from "./Bundle.sol";

/// @title  Runs the bundles that users of rollups signed on L2
/// @notice A bundle's way ends in one of three outcomes, once: executed, failed (the amount is back on L2), cancelled
///         (the same). See `contracts/src/interop/README.md`.
interface IInteropHandler {
    /// @notice What became of a message.
    enum Outcome {
        /// Nothing yet.
        None,
        /// Withdrawal, all calls and the return happened.
        Executed,
        /// The run failed and was undone; the amount went back.
        Failed,
        /// The deadline passed, or the bundle could never run here; the amount went back.
        Cancelled
    }

    /// @notice A bundle ran.
    event BundleExecuted(
        uint64 indexed chainId,
        uint64 indexed batch,
        uint256 indexed k,
        address owner,
        address account,
        uint256 bundleHash,
        uint256 sentBack
    );
    /// @notice A bundle's run failed and was undone. `reason` is the start of the revert data; empty most often means
    ///         that the run needed more than its gas limit.
    event BundleFailed(
        uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address owner, uint256 bundleHash, bytes reason
    );
    /// @notice A bundle was not run in time, or can never run here.
    event BundleCancelled(
        uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, uint256 owner, uint256 bundleHash
    );
    /// @notice Who ran a bundle was paid, in the token of its message; also if the run failed.
    event TipPaid(
        uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address to, address token, uint256 amount
    );
    /// @notice The amount of a failed or cancelled bundle went to the alias account, because the chain is halted and
    ///         takes nothing back.
    event PaidToAlias(uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address account);
    /// @notice The owner cannot show the bundle and wants its amount back; `cancelUnopened` gives it from `from` on.
    event CancelAnnounced(
        uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address owner, uint64 from
    );
    /// @notice The owner of an alias account used it after its chain was halted, or this handler removed.
    event OwnerRan(uint64 indexed chainId, address indexed owner, address account, uint256 calls);

    /// @notice The message is of another kind: only bundles (kind 4) end here.
    error NotABundle(uint256 kind);
    /// @notice The message has had its outcome.
    error AlreadyHandled(Outcome outcome);
    /// @notice keccak256(abi.encode(bundle)) >> 8 is not the word 2 of the message.
    error WrongBundleHash(uint256 hash, uint256 expected);
    /// @notice The bundle was signed for another rollup than the message comes from.
    error WrongChain(uint64 chainId, uint64 expected);
    /// @notice The bundle was signed for another Ethereum chain.
    error WrongL1Chain(uint256 l1ChainId, uint256 expected);
    /// @notice The bundle was signed for another handler.
    error WrongHandler(address handler, address expected);
    /// @notice The owner in the bundle is not the owner of the L2 account that signed it (word 3 of the message).
    error WrongOwner(address owner, uint256 expected);
    /// @notice The bundle's time is over; `cancel` returns its amount.
    error DeadlinePassed(uint64 deadline, uint256 time);
    /// @notice The bundle can still run; `cancel` works after its deadline.
    error DeadlineNotPassed(uint64 deadline, uint256 time);
    /// @notice The transaction must leave `needed` gas for the run and what follows it; `left` was left.
    error NotEnoughGas(uint256 left, uint256 needed);
    /// @notice The run failed, and the failure does not count: the caller is a contract, which could have brought it
    ///         about in the same transaction. A plain account may try again.
    error FailureNotFinal(bytes reason);
    /// @notice Only the handler itself may call this.
    error NotSelf(address caller);
    /// @notice The alias account holds less than the bundle promises to send back.
    error ReturnTooSmall(uint256 balance, uint256 minAmount);
    /// @notice The owner has announced this already.
    error AlreadyAnnounced(uint64 since);
    /// @notice The owner has not announced this (`announceCancel`).
    error NotAnnounced();
    /// @notice Until then the bundle may still be shown and run.
    error CancelTooEarly(uint64 from);
    /// @notice The bridge accepts this handler: its alias accounts do what bundles say.
    error HandlerAccepted();
    /// @notice The chain's fee for a deposit is as much as there is to send back.
    error ReturnEatenByFee(uint256 balance, uint256 fee);
    /// @notice Owners use their alias accounts directly only after the chain was halted.
    error ChainNotHalted(uint64 chainId);
    /// @notice The state proof does not lead to the chain's last executed root.
    error StateProofInvalid(uint256 root, uint256 expected);
    /// @notice The account that the proof shows belongs to another owner.
    error NotOwner(address caller, uint256 owner);
    /// @notice The tip is more than the message withdraws: the bundle can never run, and `cancel` works at once.
    error TipAboveAmount(uint256 tip, uint256 amount);
    /// @notice After the calls, the alias account holds less than the tip.
    error TipSpent(uint256 balance, uint256 tip);
    /// @notice The token moved another amount than the tip to whoever ran the bundle. Nothing has happened.
    error TipNotPaid(address token, uint256 tip);
    /// @notice The chain has no token in this slot.
    error UnknownReturnToken(uint64 chainId, uint8 token);

    /// @notice Runs a bundle. Anyone may call; the transaction needs 64/63 of the bundle's gas limit and
    ///         `GAS_AFTER_RUN` behind the checks. If the run fails for the bundle's own reasons, it is undone and the
    ///         amount goes back to the owner on L2. The caller gets the bundle's tip in both cases.
    function execute(ISharedBridge.Message calldata message, Bundle calldata bundle) external;

    /// @notice Returns the amount of a bundle to its owner on L2: after the deadline, or at any time if the bundle
    ///         can never run (other chain, other L1 chain, other owner, a handler that is not accepted, a tip above the
    ///         amount). Anyone may call; nobody gets a tip.
    function cancel(ISharedBridge.Message calldata message, Bundle calldata bundle) external;

    /// @notice Begins to take back the amount of a bundle that nobody can show: what was signed is lost, or its hash is
    ///         of nothing. For the owner (word 3).
    function announceCancel(ISharedBridge.Message calldata message) external;

    /// @notice Returns the amount of a bundle to its owner on L2, `CANCEL_DELAY` after `announceCancel`, without the
    ///         bundle. For the owner.
    function cancelUnopened(ISharedBridge.Message calldata message) external;

    /// @notice Makes calls from the caller's alias account when the bridge accepts this handler no more. No proof is
    ///         needed: the address of an alias account is made of its owner's.
    function runRetired(uint64 chainId, Call[] calldata calls) external;

    /// @notice Makes calls from the caller's alias account after the chain was halted: for the owner of an account in
    ///         the last executed state, shown by a state proof.
    function runAsOwner(uint64 chainId, ISharedBridge.StateProof calldata proof, Call[] calldata calls) external;

    /// @notice What became of a message.
    function outcome(uint64 chainId, uint64 batch, uint256 k) external view returns (Outcome);

    /// @notice Creates the alias accounts.
    function factory() external view returns (AliasFactory);

    /// @notice When the owner announced that a message be cancelled without its bundle; 0 if never.
    function announcedAt(uint64 chainId, uint64 batch, uint256 k) external view returns (uint64);

    /// @notice From `announceCancel` to `cancelUnopened`, in seconds.
    function CANCEL_DELAY() external view returns (uint64);

    /// @notice Gas that must be left for what follows a run: the return of the amount and its records.
    function GAS_AFTER_RUN() external view returns (uint256);
}
