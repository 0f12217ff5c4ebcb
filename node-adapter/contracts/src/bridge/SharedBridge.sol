// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {IChainHub} from "../rollup/IChainHub.sol";
import {IRollupChain} from "../rollup/IRollupChain.sol";
import {Record} from "../rollup/Record.sol";
import {ISharedBridge} from "./ISharedBridge.sol";
import {LaneBook} from "./LaneBook.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title  The bridge of all chains
/// @notice Deposits go in through a chain's queue, payments come out by messages of executed batches. Each way out is
///         used once: a message by its place (chain, batch, k), a cell of a halted chain by its place in the state, a
///         queue entry of a halted chain by its index. Each is marked as used before anything is paid.
/// @dev    Behind a proxy; the governor upgrades.
contract SharedBridge is LaneBook, Initializable, UUPSUpgradeable {
    /// @notice Computes roots from state proofs, and keys from key proofs.
    StateVerifier public immutable stateVerifier;

    /// @dev One bit for each message of a batch.
    mapping(uint64 chainId => mapping(uint64 batch => mapping(uint256 group => uint256))) private _used;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 account => mapping(uint256 token => bool))) public cellExited;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint64 index => bool)) public entryRecovered;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 root => bool)) public stateRootKept;

    /// @dev The logic contract itself is never a bridge.
    constructor(StateVerifier stateVerifier_) {
        stateVerifier = stateVerifier_;
        _disableInitializers();
    }

    /// @notice Sets the bridge up. Called once, with the creation of the proxy.
    function initialize(IChainHub hub_, address governor_) external initializer {
        hub = hub_;
        _setGovernor(governor_);
    }

    /// @inheritdoc ISharedBridge
    function deposit(uint64 chainId, uint256 token, uint256 amount, address owner, uint256[] calldata keyProof)
        external
        payable
        nonReentrant
        returns (uint64 index)
    {
        IRollupChain chain = _chain(chainId);
        if (chain.halted()) revert ChainHalted(chainId);
        uint64 pausedUntil = chain.pausedUntil();
        if (pausedUntil != 0) revert ChainPaused(chainId, pausedUntil);
        if (amount == 0 || owner == address(0)) revert EmptyDeposit();
        // The bridge itself can sign nothing and claim nothing: such a deposit would be lost.
        if (owner == address(this)) revert RecipientCannotClaim(uint256(uint160(owner)));
        uint256 keyX;
        uint256 keyY;
        if (keyProof.length != 0) {
            if (msg.sender != owner) revert KeyNotFromOwner(msg.sender, owner);
            (keyX, keyY) = stateVerifier.keyOf(keyProof);
        }
        _take(chainId, token, amount, chain.depositFee());
        index = chain.enqueue([Record.make(Record.DEPOSIT, 0, token), amount, uint256(uint160(owner)), keyX, keyY]);
        emit Deposited(chainId, token, owner, amount, index);
    }

    /// @inheritdoc ISharedBridge
    function claim(Message calldata message, address to) external nonReentrant {
        uint256 kind = _kind(message);
        if (kind != Record.WITHDRAW && kind != Record.EXIT) revert WrongMessageKind(kind);
        if (_cannotClaim(message.words[2])) revert RecipientCannotClaim(message.words[2]);
        address recipient = _address(message.words[2]);
        _requireRecipient(recipient, to);
        _use(message);
        emit Claimed(message.chainId, message.batch, message.k, to, message.words[1]);
        _pay(message.chainId, _slotOfMessage(message), message.words[1], to, recipient);
    }

    /// @inheritdoc ISharedBridge
    function claimBundle(Message calldata message, address to) external nonReentrant {
        _requireBundleFromHandler(message);
        _use(message);
        emit BundleClaimed(message.chainId, message.batch, message.k, to, message.words[1]);
        _pay(message.chainId, _slotOfMessage(message), message.words[1], to, _address(message.words[3]));
    }

    /// @inheritdoc ISharedBridge
    /// @dev Back into the chain the escrow does not move: the amount is a claim before and a queue entry after. The tip
    ///      leaves it, last of all.
    function returnBundle(Message calldata message, uint256 tip, address to) external nonReentrant {
        _requireBundleFromHandler(message);
        _use(message);
        uint256 amount = message.words[1] - tip;
        uint256 slot = _slotOfMessage(message);
        address owner = _address(message.words[3]);
        emit BundleReturned(message.chainId, message.batch, message.k, owner, amount);
        if (amount != 0) {
            IRollupChain chain = _chain(message.chainId);
            if (chain.halted()) {
                _pay(message.chainId, slot, amount, owner, owner);
            } else {
                chain.enqueue([Record.make(Record.IMPORT, 0, slot), amount, uint256(uint160(owner)), 0, 0]);
            }
        }
        if (tip != 0) _pay(message.chainId, slot, tip, to, owner);
    }

    /// @inheritdoc ISharedBridge
    /// @dev Here and not in the chain, which moves its root with every batch and would pay for a list of them each time.
    function keepStateRoot(uint64 chainId) external returns (uint64 batch, uint256 root) {
        IRollupChain chain = _chain(chainId);
        root = chain.stateRoot();
        batch = chain.progress().executed;
        stateRootKept[chainId][root] = true;
        emit StateRootKept(chainId, batch, root);
    }

    /// @inheritdoc ISharedBridge
    /// @dev The owner of an account never changes, so any executed state names the right one.
    function reclaim(Message calldata message, StateProof calldata proof, address to) external nonReentrant {
        uint256 kind = _kind(message);
        if (kind != Record.WITHDRAW) revert WrongMessageKind(kind);
        uint256 recipient = message.words[2];
        if (!_cannotClaim(recipient)) revert RecipientCanClaim(_address(recipient));
        uint256 account = _accountOfMessage(message);
        if (proof.account != account) revert WrongAccount(proof.account, account);
        address owner = _ownerEver(message.chainId, proof);
        if (owner == address(0)) revert NothingToPay();
        _requireRecipient(owner, to);
        _use(message);
        emit Claimed(message.chainId, message.batch, message.k, to, message.words[1]);
        _pay(message.chainId, _slotOfMessage(message), message.words[1], to, owner);
    }

    /// @inheritdoc ISharedBridge
    function exit(uint64 chainId, StateProof calldata proof, address to) external nonReentrant {
        IRollupChain chain = _chain(chainId);
        if (!chain.halted()) revert ChainNotHalted(chainId);
        address owner = _ownerNow(chain, proof);
        if (owner == address(0) || proof.balance == 0) revert NothingToPay();
        _requireRecipient(owner, to);
        if (cellExited[chainId][proof.account][proof.token]) revert AlreadyExited(chainId, proof.account, proof.token);
        cellExited[chainId][proof.account][proof.token] = true;
        emit Exited(chainId, proof.account, proof.token, to, proof.balance);
        _pay(chainId, proof.token, proof.balance, to, owner);
    }

    /// @inheritdoc ISharedBridge
    function recover(uint64 chainId, uint64 index, uint256[5] calldata words, address to) external nonReentrant {
        IRollupChain chain = _chain(chainId);
        IRollupChain.Progress memory progress = chain.progress();
        if (!progress.halted) revert ChainNotHalted(chainId);
        if (index < progress.queueExecuted || index >= progress.queueLength) {
            revert EntryNotOpen(index, progress.queueExecuted, progress.queueLength);
        }
        bytes32 hash = keccak256(abi.encode(chain.queueHash(index), words));
        if (hash != chain.queueHash(index + 1)) revert EntryMismatch(index);
        if (words[1] == 0) revert NothingToPay(); // an exit that was asked for
        if (entryRecovered[chainId][index]) revert AlreadyRecovered(chainId, index);
        entryRecovered[chainId][index] = true;
        address owner = _address(words[2]);
        _requireRecipient(owner, to);
        emit Recovered(chainId, index, to, words[1]);
        _pay(chainId, Record.token(words[0]), words[1], to, owner);
    }

    /// @inheritdoc ISharedBridge
    function messageUsed(uint64 chainId, uint64 batch, uint256 k) public view returns (bool) {
        return _used[chainId][batch][k >> 8] >> (k & 0xff) & 1 != 0;
    }

    /// @dev Checks that the message was sent and is not used, and marks it.
    function _use(Message calldata message) private {
        (uint64 chainId, uint64 batch, uint256 k) = (message.chainId, message.batch, message.k);
        hub.verifyMessage(chainId, batch, k, message.words, message.path, message.position);
        if (messageUsed(chainId, batch, k)) revert MessageUsed(chainId, batch, k);
        _used[chainId][batch][k >> 8] |= 1 << (k & 0xff);
    }

    function _requireBundleFromHandler(Message calldata message) private view {
        if (!isHandler[msg.sender]) revert NotHandler(msg.sender, handler);
        uint256 kind = _kind(message);
        if (kind != Record.BUNDLE) revert WrongMessageKind(kind);
    }

    /// @dev The owner of an account of the chain's last executed state, whose balances count.
    function _ownerNow(IRollupChain chain, StateProof calldata proof) private view returns (address) {
        uint256 root = stateVerifier.rootOf(proof);
        uint256 expected = chain.stateRoot();
        if (root != expected) revert StateProofInvalid(root, expected);
        return _ownerOf(proof);
    }

    /// @dev The owner of an account of the last executed state, or of one that was kept: of these only the owner counts.
    function _ownerEver(uint64 chainId, StateProof calldata proof) private view returns (address) {
        uint256 root = stateVerifier.rootOf(proof);
        uint256 expected = _chain(chainId).stateRoot();
        if (root != expected && !stateRootKept[chainId][root]) revert StateProofInvalid(root, expected);
        return _ownerOf(proof);
    }

    function _ownerOf(StateProof calldata proof) private pure returns (address) {
        return address(uint160(proof.header >> 32));
    }

    /// @dev Nobody can call for these, and the bridge pays nothing to itself.
    function _cannotClaim(uint256 recipient) private view returns (bool) {
        return recipient == 0 || recipient >> 160 != 0 || recipient == uint256(uint160(address(this)));
    }

    function _accountOfMessage(Message calldata message) private pure returns (uint256) {
        return Record.account(message.words[0]);
    }

    function _kind(Message calldata message) private pure returns (uint256) {
        return Record.kind(message.words[0]);
    }

    function _slotOfMessage(Message calldata message) private pure returns (uint256) {
        return Record.token(message.words[0]);
    }

    function _address(uint256 word) private pure returns (address) {
        if (word >> 160 != 0) revert NotAnAddress(word);
        return address(uint160(word));
    }

    function _authorizeUpgrade(address) internal view override onlyGovernor {}
}
