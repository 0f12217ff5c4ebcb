// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IChainHub} from "../rollup/IChainHub.sol";
import {IRollupChain} from "../rollup/IRollupChain.sol";
import {ISharedBridge} from "./ISharedBridge.sol";
import {TokenProbe} from "./TokenProbe.sol";

/// @title  What each chain holds, and how it comes in and goes out
/// @notice Part of `SharedBridge`. `escrow` is written before any token or ETH moves. Tokens are not trusted: what they
///         moved is measured, and an amount other than asked is a refusal. A token whose balances shrink by themselves
///         is a loss of all who hold it here: nobody is paid in full while others would find nothing.
abstract contract Escrow is ISharedBridge {
    using SafeERC20 for IERC20;

    /// @dev A chain's balances are below this, so that no credit overflows a cell of the circuit.
    uint256 internal constant LIMIT = 1 << 96;
    uint256 private constant SLOTS = 64;

    /// @notice Sets tokens and the handler, and upgrades.
    address public governor;
    /// @inheritdoc ISharedBridge
    address public handler;
    /// @notice The register of chains and of their messages.
    IChainHub public hub;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 token => uint256)) public escrow;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 slot => address)) public tokenAt;
    mapping(uint64 chainId => mapping(address token => uint256)) internal _slotOf;
    /// @inheritdoc ISharedBridge
    mapping(address handler => bool) public isHandler;
    /// @inheritdoc ISharedBridge
    mapping(address token => uint256) public owed;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 slot => uint256)) public leastDeposit;
    /// @inheritdoc ISharedBridge
    mapping(address owner => mapping(address token => uint256)) public leastShare;
    /// @inheritdoc ISharedBridge
    mapping(uint64 chainId => mapping(uint256 slot => uint256)) public reserved;

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    /// @inheritdoc ISharedBridge
    /// @dev For good: another token in the slot would be paid to those who deposited the first.
    function setToken(uint64 chainId, uint256 slot, address token, uint256 least) external onlyGovernor {
        _chain(chainId);
        if (
            slot == 0 || slot >= SLOTS || token.code.length == 0 || tokenAt[chainId][slot] != address(0)
                || _slotOf[chainId][token] != 0
        ) {
            revert TokenSlotRefused(chainId, slot, token);
        }
        TokenProbe.check(token);
        tokenAt[chainId][slot] = token;
        _slotOf[chainId][token] = slot;
        emit TokenSet(chainId, slot, token);
        _setLeastDeposit(chainId, slot, least);
    }

    /// @inheritdoc ISharedBridge
    function setLeastDeposit(uint64 chainId, uint256 slot, uint256 least) external onlyGovernor {
        _token(chainId, slot);
        _setLeastDeposit(chainId, slot, least);
    }

    /// @inheritdoc ISharedBridge
    function acceptShare(address token, uint256 least) external {
        leastShare[msg.sender][token] = least;
        emit ShareAccepted(token, msg.sender, least);
    }

    /// @inheritdoc ISharedBridge
    function setHandler(address handler_) external onlyGovernor {
        handler = handler_;
        isHandler[handler_] = true;
        emit HandlerSet(handler_);
    }

    /// @inheritdoc ISharedBridge
    function removeHandler(address handler_) external onlyGovernor {
        if (!isHandler[handler_]) revert NotHandler(handler_, handler);
        isHandler[handler_] = false;
        if (handler == handler_) handler = address(0);
        emit HandlerRemoved(handler_);
    }

    /// @inheritdoc ISharedBridge
    function setGovernor(address governor_) external onlyGovernor {
        _setGovernor(governor_);
    }

    function _setGovernor(address governor_) internal {
        if (governor_ == address(0)) revert NotAnAddress(0);
        emit GovernorChanged(governor, governor_);
        governor = governor_;
    }

    function _setLeastDeposit(uint64 chainId, uint256 slot, uint256 least) private {
        leastDeposit[chainId][slot] = least;
        emit LeastDepositSet(chainId, slot, least);
    }

    /// @dev Anyone may have a payment sent to the one it is for; elsewhere only that one itself.
    function _requireRecipient(address recipient, address to) internal view {
        if (to != recipient && msg.sender != recipient) revert NotRecipient(msg.sender, recipient);
    }

    function _chain(uint64 chainId) internal view returns (IRollupChain chain) {
        chain = IRollupChain(hub.chain(chainId));
        if (address(chain) == address(0)) revert UnknownChain(chainId);
    }

    /// @dev The token of a slot; zero for ETH.
    function _token(uint64 chainId, uint256 slot) internal view returns (address token) {
        token = tokenAt[chainId][slot];
        if (slot != 0 && token == address(0)) revert UnknownToken(chainId, slot);
    }

    /// @dev Whether the chain may hold so much more, when all that is on its way has come in.
    function _hasRoom(uint64 chainId, uint256 slot, uint256 amount) internal view returns (bool) {
        return amount < LIMIT && escrow[chainId][slot] + reserved[chainId][slot] + amount < LIMIT;
    }

    function _credit(uint64 chainId, uint256 slot, uint256 amount) internal {
        uint256 held = escrow[chainId][slot];
        if (!_hasRoom(chainId, slot, amount)) revert EscrowFull(chainId, slot, held, amount);
        escrow[chainId][slot] = held + amount;
    }

    function _debit(uint64 chainId, uint256 slot, uint256 amount) internal {
        uint256 held = escrow[chainId][slot];
        if (amount > held) revert EscrowTooSmall(chainId, slot, held, amount);
        escrow[chainId][slot] = held - amount;
    }

    /// @dev Takes a deposit from the caller, and burns the fee of a long queue. What was sent above both goes back.
    function _take(uint64 chainId, uint256 slot, uint256 amount, uint256 fee) internal {
        address token = _token(chainId, slot);
        if (amount < leastDeposit[chainId][slot]) revert DepositTooSmall(amount, leastDeposit[chainId][slot]);
        uint256 value = fee + (slot == 0 ? amount : 0);
        // With nothing to pay in ETH, whoever sends some is mistaken about the call.
        if (msg.value < value || value == 0 && msg.value != 0) revert WrongValue(msg.value, value);
        _credit(chainId, slot, amount);
        if (slot != 0) {
            uint256 before = IERC20(token).balanceOf(address(this));
            // The newcomer would share a loss that is not his.
            if (before < owed[token]) revert TokenShort(token, before, owed[token]);
            owed[token] += amount;
            IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
            uint256 then = IERC20(token).balanceOf(address(this));
            uint256 moved = then >= before ? then - before : 0;
            if (moved != amount) revert TokenMovedOtherAmount(token, moved, amount);
        }
        _payEther(address(0), fee);
        _payEther(msg.sender, msg.value - value);
    }

    /// @dev Pays from the chain's escrow; `owner` is the one whose amount it is, wherever it goes.
    function _pay(uint64 chainId, uint256 slot, uint256 amount, address to, address owner) internal {
        address token = _token(chainId, slot);
        _debit(chainId, slot, amount);
        _payOut(token, amount, to, owner);
    }

    /// @dev Pays what is in no escrow any more.
    function _payOut(address token, uint256 amount, address to, address owner) internal {
        if (token == address(0)) return _payEther(to, amount);
        if (amount == 0) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        uint256 paid = _share(token, before, amount, owner);
        owed[token] -= amount;
        IERC20(token).safeTransfer(to, paid);
        uint256 left = IERC20(token).balanceOf(address(this));
        // More than asked may go, as when a token rounds, from what the bridge does not owe.
        uint256 moved = before >= left ? before - left : 0;
        if (moved < paid || moved > paid && left < owed[token]) revert TokenMovedOtherAmount(token, moved, paid);
    }

    /// @dev What there is for an amount: all of it, or its part of a balance that is too small for everyone. Rounded down,
    ///      so that those who come later never get a smaller part.
    function _share(address token, uint256 held, uint256 amount, address owner) private returns (uint256 paid) {
        uint256 total = owed[token];
        if (held >= total) return amount;
        uint256 least = leastShare[owner][token];
        if (least == 0 || held * 1e18 / total < least) revert TokenShort(token, held, total);
        paid = amount * held / total;
        emit PaidShare(token, owner, amount, paid);
    }

    function _payEther(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert EtherRefused(to, amount);
    }
}
