// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IChainHub} from "../rollup/IChainHub.sol";
import {ISharedBridge} from "./ISharedBridge.sol";

/// @title  What each chain holds, and how it comes in and goes out
/// @notice Part of `SharedBridge`. `escrow` is written before any token or ETH moves. Tokens are not trusted: what they
///         moved is measured, and an amount other than asked is a refusal.
abstract contract Escrow is ISharedBridge {
    using SafeERC20 for IERC20;

    /// @dev A chain's balances are below this, so that no credit overflows a cell of the circuit.
    uint256 private constant LIMIT = 1 << 96;
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
    mapping(uint64 chainId => mapping(address token => uint256)) private _slotOf;

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    /// @inheritdoc ISharedBridge
    /// @dev For good: another token in the slot would be paid to those who deposited the first.
    function setToken(uint64 chainId, uint256 slot, address token) external onlyGovernor {
        if (hub.chain(chainId) == address(0)) revert UnknownChain(chainId);
        if (
            slot == 0 || slot >= SLOTS || token.code.length == 0 || tokenAt[chainId][slot] != address(0)
                || _slotOf[chainId][token] != 0
        ) {
            revert TokenSlotRefused(chainId, slot, token);
        }
        tokenAt[chainId][slot] = token;
        _slotOf[chainId][token] = slot;
        emit TokenSet(chainId, slot, token);
    }

    /// @inheritdoc ISharedBridge
    function setHandler(address handler_) external onlyGovernor {
        handler = handler_;
        emit HandlerSet(handler_);
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

    /// @dev The token of a slot; zero for ETH.
    function _token(uint64 chainId, uint256 slot) internal view returns (address token) {
        token = tokenAt[chainId][slot];
        if (slot != 0 && token == address(0)) revert UnknownToken(chainId, slot);
    }

    /// @dev The slot of a token on a chain; `known` is false if it has none.
    function _slot(uint64 chainId, address token) internal view returns (bool known, uint256 slot) {
        slot = _slotOf[chainId][token];
        known = token == address(0) || slot != 0;
    }

    /// @dev Whether the chain may hold so much more.
    function _hasRoom(uint64 chainId, uint256 slot, uint256 amount) internal view returns (bool) {
        return amount < LIMIT && escrow[chainId][slot] + amount < LIMIT;
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

    /// @dev Takes a deposit from the caller.
    function _take(uint64 chainId, uint256 slot, uint256 amount) internal {
        address token = _token(chainId, slot);
        uint256 value = slot == 0 ? amount : 0;
        if (msg.value != value) revert WrongValue(msg.value, value);
        _credit(chainId, slot, amount);
        if (slot == 0) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        _requireMoved(token, IERC20(token).balanceOf(address(this)), before, amount);
    }

    /// @dev Pays from the chain's escrow.
    function _pay(uint64 chainId, uint256 slot, uint256 amount, address to) internal {
        address token = _token(chainId, slot);
        _debit(chainId, slot, amount);
        if (amount == 0) return;
        if (slot == 0) {
            (bool ok,) = to.call{value: amount}("");
            if (!ok) revert EtherRefused(to, amount);
            return;
        }
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransfer(to, amount);
        _requireMoved(token, before, IERC20(token).balanceOf(address(this)), amount);
    }

    function _requireMoved(address token, uint256 more, uint256 less, uint256 amount) private pure {
        uint256 moved = more >= less ? more - less : 0;
        if (moved != amount) revert TokenMovedOtherAmount(token, moved, amount);
    }
}
