// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {ISharedBridge} from "../bridge/ISharedBridge.sol";
import {StateVerifier} from "../bridge/StateVerifier.sol";
import {IChainHub} from "../rollup/IChainHub.sol";
import {IRollupChain} from "../rollup/IRollupChain.sol";
import {Record} from "../rollup/Record.sol";
import {AliasAccount} from "./AliasAccount.sol";
import {AliasFactory} from "./AliasFactory.sol";
import {BoundedCall} from "./BoundedCall.sol";
import {Bundle, Call, Return} from "./Bundle.sol";
import {IInteropHandler} from "./IInteropHandler.sol";

/// @title  Runs bundles: withdrawal, calls and return in one transaction, all or nothing
/// @notice The owner of an L2 account signs a bundle on L2; the rollup's proof makes of it a message of an executed
///         batch. Anyone may bring message and bundle here. The amount goes to the owner's alias account, the alias
///         account makes the calls, and if the owner wants, its whole balance of one token goes back to L2.
/// @dev    Has no owner, no switch and no funds. It tells alias accounts what to call, and the bridge to pay a bundle's
///         amount to its alias account or to take it back. It calls nothing that a user names: the alias account does.
contract InteropHandler is IInteropHandler, ReentrancyGuard {
    /// @dev Of a failed run's revert data, so much is kept: enough for `AliasAccount.CallFailed` with its reason.
    uint256 private constant REASON_LIMIT = 512;

    /// @inheritdoc IInteropHandler
    uint256 public constant GAS_AFTER_RUN = 300_000;
    /// @inheritdoc IInteropHandler
    uint64 public constant CANCEL_DELAY = 7 days;
    /// @notice Which batches were executed, and what they sent.
    IChainHub public immutable hub;
    /// @notice Where the funds are.
    ISharedBridge public immutable bridge;
    /// @notice Computes roots from state proofs.
    StateVerifier public immutable stateVerifier;
    /// @inheritdoc IInteropHandler
    AliasFactory public immutable factory;

    /// @inheritdoc IInteropHandler
    mapping(uint64 chainId => mapping(uint64 batch => mapping(uint256 k => Outcome))) public outcome;
    /// @inheritdoc IInteropHandler
    mapping(uint64 chainId => mapping(uint64 batch => mapping(uint256 k => uint64))) public announcedAt;

    constructor(IChainHub hub_, ISharedBridge bridge_, StateVerifier stateVerifier_) {
        hub = hub_;
        bridge = bridge_;
        stateVerifier = stateVerifier_;
        factory = new AliasFactory();
    }

    /// @inheritdoc IInteropHandler
    /// @dev The run is a call of this contract to itself with exactly the bundle's gas limit: how much gas the caller
    ///      sent cannot change its outcome. A caller could still bring about a failure from inside a contract that the
    ///      bundle uses (while its lock is held) or between two trades of its own, so failures count only when a plain
    ///      account called directly.
    function execute(ISharedBridge.Message calldata message, Bundle calldata bundle) external nonReentrant {
        uint256 hash = _checkBundle(message, bundle);
        if (bundle.chainId != message.chainId) revert WrongChain(bundle.chainId, message.chainId);
        if (bundle.l1ChainId != block.chainid) revert WrongL1Chain(bundle.l1ChainId, block.chainid);
        if (bundle.handler != address(this)) revert WrongHandler(bundle.handler, address(this));
        if (_word(bundle.owner) != message.words[3]) revert WrongOwner(bundle.owner, message.words[3]);
        if (block.timestamp > bundle.deadline) revert DeadlinePassed(bundle.deadline, block.timestamp);
        if (bundle.tip > message.words[1]) revert TipAboveAmount(bundle.tip, message.words[1]);

        _setOutcome(message, Outcome.Executed);
        address account = factory.ensure(message.chainId, bundle.owner);
        bytes memory data = abi.encodeCall(this.run, (message, bundle, account));
        uint256 needed = uint256(bundle.gasLimit) + bundle.gasLimit / 63 + GAS_AFTER_RUN;
        if (gasleft() < needed) revert NotEnoughGas(gasleft(), needed);
        (bool ok, bytes memory answer) = BoundedCall.call(address(this), bundle.gasLimit, 0, data, REASON_LIMIT);
        if (ok) {
            uint256 sentBack = abi.decode(answer, (uint256));
            emit BundleExecuted(message.chainId, message.batch, message.k, bundle.owner, account, hash, sentBack);
            _payTip(message, bundle.tip, account);
            return;
        }
        // A plain account has no code, also none by EIP-7702.
        if (msg.sender != tx.origin || msg.sender.code.length != 0) revert FailureNotFinal(answer);
        _setOutcome(message, Outcome.Failed);
        emit BundleFailed(message.chainId, message.batch, message.k, bundle.owner, hash, answer);
        _giveBack(message, bundle.tip);
    }

    /// @inheritdoc IInteropHandler
    /// @dev    A bundle that was signed for another handler is that one's while the bridge accepts it.
    function cancel(ISharedBridge.Message calldata message, Bundle calldata bundle) external nonReentrant {
        uint256 hash = _checkBundle(message, bundle);
        bool canRun = bundle.chainId == message.chainId && bundle.l1ChainId == block.chainid
            && bridge.isHandler(bundle.handler) && _word(bundle.owner) == message.words[3]
            && bundle.tip <= message.words[1];
        if (canRun && block.timestamp <= bundle.deadline) revert DeadlineNotPassed(bundle.deadline, block.timestamp);
        _cancel(message, hash);
    }

    /// @inheritdoc IInteropHandler
    /// @dev    The time comes from L1 and begins where everyone sees it, so that whoever has the bundle can still run it.
    function announceCancel(ISharedBridge.Message calldata message) external nonReentrant {
        _checkMessage(message);
        _requireOwner(message);
        uint64 since = announcedAt[message.chainId][message.batch][message.k];
        if (since != 0) revert AlreadyAnnounced(since);
        since = uint64(block.timestamp);
        announcedAt[message.chainId][message.batch][message.k] = since;
        emit CancelAnnounced(message.chainId, message.batch, message.k, msg.sender, since + CANCEL_DELAY);
    }

    /// @inheritdoc IInteropHandler
    function cancelUnopened(ISharedBridge.Message calldata message) external nonReentrant {
        _checkMessage(message);
        _requireOwner(message);
        uint64 since = announcedAt[message.chainId][message.batch][message.k];
        if (since == 0) revert NotAnnounced();
        if (block.timestamp < since + CANCEL_DELAY) revert CancelTooEarly(since + CANCEL_DELAY);
        _cancel(message, message.words[2]);
    }

    /// @inheritdoc IInteropHandler
    /// @dev The proof may open any cell of any account of the caller; the balance is not looked at.
    function runAsOwner(uint64 chainId, ISharedBridge.StateProof calldata proof, Call[] calldata calls)
        external
        nonReentrant
    {
        IRollupChain chain = IRollupChain(hub.chain(chainId));
        if (address(chain) == address(0)) revert IChainHub.UnknownChain(chainId);
        if (!chain.halted()) revert ChainNotHalted(chainId);
        uint256 root = stateVerifier.rootOf(proof);
        uint256 expected = chain.stateRoot();
        if (root != expected) revert StateProofInvalid(root, expected);
        uint256 owner = proof.header >> 32;
        if (owner != _word(msg.sender)) revert NotOwner(msg.sender, owner);
        address account = factory.ensure(chainId, msg.sender);
        emit OwnerRan(chainId, msg.sender, account, calls.length);
        AliasAccount(payable(account)).run(calls);
    }

    /// @inheritdoc IInteropHandler
    function runRetired(uint64 chainId, Call[] calldata calls) external nonReentrant {
        if (bridge.isHandler(address(this))) revert HandlerAccepted();
        address account = factory.ensure(chainId, msg.sender);
        emit OwnerRan(chainId, msg.sender, account, calls.length);
        AliasAccount(payable(account)).run(calls);
    }

    /// @notice The run of a bundle: withdrawal, calls, return. Called by `execute` alone.
    /// @dev    A call of its own, so that a failure undoes all of it and nothing else. The tip is left in the alias
    ///         account and paid after the run: who is paid could make the payment fail, and must not make the run fail by it.
    /// @return sentBack What went back to L2.
    function run(ISharedBridge.Message calldata message, Bundle calldata bundle, address account)
        external
        returns (uint256 sentBack)
    {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        bridge.claimBundle(message, account);
        AliasAccount(payable(account)).run(bundle.calls);
        if (bundle.hasReturn) {
            uint256 kept = bundle.ret.token == Record.token(message.words[0]) ? bundle.tip : 0;
            sentBack = _sendBack(message.chainId, bundle.owner, account, bundle.ret, kept);
        }
        if (bundle.tip != 0) {
            uint256 held = _balance(_tokenOf(message), account);
            if (held < bundle.tip) revert TipSpent(held, bundle.tip);
        }
    }

    /// @dev Whether the message is a bundle's, was sent, is unused, and belongs to this bundle.
    /// @return hash The bundle's hash, 248 bits.
    function _checkBundle(ISharedBridge.Message calldata message, Bundle calldata bundle)
        private
        view
        returns (uint256 hash)
    {
        _checkMessage(message);
        hash = uint256(keccak256(abi.encode(bundle))) >> 8;
        if (hash != message.words[2]) revert WrongBundleHash(hash, message.words[2]);
    }

    /// @dev Whether the message is a bundle's, was sent and is unused, here and by other handlers.
    function _checkMessage(ISharedBridge.Message calldata message) private view {
        uint256 kind = Record.kind(message.words[0]);
        if (kind != Record.BUNDLE) revert NotABundle(kind);
        Outcome had = outcome[message.chainId][message.batch][message.k];
        if (had != Outcome.None) revert AlreadyHandled(had);
        hub.verifyMessage(
            message.chainId, message.batch, message.k, message.words, message.path, message.position
        );
        if (bridge.messageUsed(message.chainId, message.batch, message.k)) {
            revert ISharedBridge.MessageUsed(message.chainId, message.batch, message.k);
        }
    }

    function _requireOwner(ISharedBridge.Message calldata message) private view {
        if (message.words[3] != _word(msg.sender)) revert NotOwner(msg.sender, message.words[3]);
    }

    function _cancel(ISharedBridge.Message calldata message, uint256 hash) private {
        _setOutcome(message, Outcome.Cancelled);
        emit BundleCancelled(message.chainId, message.batch, message.k, message.words[3], hash);
        _giveBack(message, 0);
    }

    /// @dev The alias account pays the tip to the caller of `execute`. After the run, with nothing caught: a tip that
    ///      cannot be paid undoes the transaction, so that nobody can use his own payment to bring about a failure.
    function _payTip(ISharedBridge.Message calldata message, uint256 tip, address account) private {
        if (tip == 0) return;
        address token = _tokenOf(message);
        uint256 before = _balance(token, account);
        Call[] memory calls = new Call[](1);
        calls[0] = token == address(0)
            ? Call(msg.sender, tip, "")
            : Call(token, 0, abi.encodeCall(IERC20.transfer, (msg.sender, tip)));
        emit TipPaid(message.chainId, message.batch, message.k, msg.sender, token, tip);
        AliasAccount(payable(account)).run(calls);
        if (before != _balance(token, account) + tip) revert TipNotPaid(token, tip);
    }

    /// @dev The token that a message withdraws; zero is ETH.
    function _tokenOf(ISharedBridge.Message calldata message) private view returns (address) {
        return bridge.tokenAt(message.chainId, Record.token(message.words[0]));
    }

    function _balance(address token, address account) private view returns (uint256) {
        return token == address(0) ? account.balance : IERC20(token).balanceOf(account);
    }

    /// @dev The alias account deposits its whole balance of a token, but `kept`, for its owner. While the chain's queue is long it pays
    ///      the deposit's fee from its ETH.
    function _sendBack(uint64 chainId, address owner, address account, Return calldata ret, uint256 kept)
        private
        returns (uint256 balance)
    {
        address token = bridge.tokenAt(chainId, ret.token);
        if (token == address(0) && ret.token != 0) revert UnknownReturnToken(chainId, ret.token);
        balance = _balance(token, account);
        if (balance < kept) revert TipSpent(balance, kept);
        balance -= kept;
        uint256 fee = 0;
        if (balance != 0) fee = IRollupChain(hub.chain(chainId)).depositFee();
        uint256 value = fee;
        if (ret.token == 0 && balance != 0) {
            if (balance <= fee) revert ReturnEatenByFee(balance, fee);
            value = balance;
            balance -= fee;
        }
        if (balance < ret.minAmount) revert ReturnTooSmall(balance, ret.minAmount);
        if (balance == 0) return 0;
        Call[] memory calls = new Call[](ret.token == 0 ? 1 : 2);
        if (ret.token != 0) calls[0] = Call(token, 0, abi.encodeCall(IERC20.approve, (address(bridge), balance)));
        calls[calls.length - 1] = Call(
            address(bridge),
            value,
            abi.encodeCall(ISharedBridge.deposit, (chainId, ret.token, balance, owner, new uint256[](0)))
        );
        AliasAccount(payable(account)).run(calls);
    }

    /// @dev The amount of a message that did not run: the tip to the caller, the rest back to the owner on L2. A halted
    ///      chain takes nothing back, so the amount goes to the alias account, which the owner controls from then on
    ///      (`runAsOwner`), and the tip is paid from there: the work was the same, and who may do it must not be worse
    ///      off because the chain ended in between.
    function _giveBack(ISharedBridge.Message calldata message, uint256 tip) private {
        if (!IRollupChain(hub.chain(message.chainId)).halted()) {
            if (tip != 0) {
                emit TipPaid(message.chainId, message.batch, message.k, msg.sender, _tokenOf(message), tip);
            }
            bridge.returnBundle(message, tip, msg.sender);
            return;
        }
        // The circuit puts an address into word 3: the owner of the L2 account.
        address account = factory.ensure(message.chainId, address(uint160(message.words[3])));
        emit PaidToAlias(message.chainId, message.batch, message.k, account);
        bridge.claimBundle(message, account);
        _payTip(message, tip, account);
    }

    function _setOutcome(ISharedBridge.Message calldata message, Outcome what) private {
        outcome[message.chainId][message.batch][message.k] = what;
    }

    function _word(address account) private pure returns (uint256) {
        return uint160(account);
    }
}
