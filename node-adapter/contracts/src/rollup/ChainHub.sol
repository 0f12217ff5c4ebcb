// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IChainHub} from "./IChainHub.sol";
import {IRollupChain} from "./IRollupChain.sol";

/// @notice What the hub asks of a chain beside its id.
interface IOperated {
    /// @notice Who commits batches.
    function operator() external view returns (address);
}

/// @title  The register of rollup chains and of their batches' message roots
/// @notice Not upgradeable and small: the bridge trusts what stands here. An id belongs to one contract for good, and a
///         message root is written once.
contract ChainHub is IChainHub {
    /// @notice Who registers chains.
    address public governor;
    /// @inheritdoc IChainHub
    mapping(uint64 chainId => address) public chain;
    /// @inheritdoc IChainHub
    mapping(uint64 chainId => mapping(uint64 batch => bytes32)) public messageRoot;

    /// @dev The coordinates of each chain's key; zeros for none.
    mapping(uint64 chainId => uint256[2]) private _receiptKey;

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    /// @param governor_ Registers chains.
    constructor(address governor_) {
        governor = governor_;
        emit GovernorChanged(address(0), governor_);
    }

    /// @notice Registers a chain under its id.
    function register(uint64 chainId, address chain_) external onlyGovernor {
        if (chain[chainId] != address(0)) revert ChainAlreadyRegistered(chainId, chain[chainId]);
        if (chain_.code.length == 0 || IRollupChain(chain_).chainId() != chainId) revert NotThatChain(chain_, chainId);
        chain[chainId] = chain_;
        emit ChainRegistered(chainId, chain_);
    }

    /// @notice Hands the governor's rights over.
    function setGovernor(address governor_) external onlyGovernor {
        emit GovernorChanged(governor, governor_);
        governor = governor_;
    }

    /// @inheritdoc IChainHub
    function setReceiptKey(uint64 chainId, uint256 x, uint256 y) external {
        address chain_ = chain[chainId];
        if (chain_ == address(0)) revert UnknownChain(chainId);
        address operator = IOperated(chain_).operator();
        if (msg.sender != operator) revert NotTheOperator(msg.sender, operator);
        _receiptKey[chainId] = [x, y];
        emit ReceiptKeySet(chainId, x, y);
    }

    /// @inheritdoc IChainHub
    function receiptKey(uint64 chainId) external view returns (uint256 x, uint256 y) {
        (x, y) = (_receiptKey[chainId][0], _receiptKey[chainId][1]);
    }

    /// @inheritdoc IChainHub
    function recordMessageRoot(uint64 chainId, uint64 batch, bytes32 root) external {
        if (msg.sender != chain[chainId]) revert NotTheChain(msg.sender, chainId);
        if (messageRoot[chainId][batch] != 0) revert MessageRootAlreadyRecorded(chainId, batch);
        messageRoot[chainId][batch] = root;
        emit MessageRootRecorded(chainId, batch, root);
    }

    /// @inheritdoc IChainHub
    /// @dev The depth of a batch's tree is not kept, so a path of another length must not find a collision: a leaf
    ///      hashes eight words and a node two, so no leaf is a node, and no node a leaf.
    function verifyMessage(
        uint64 chainId,
        uint64 batch,
        uint256 k,
        uint256[5] calldata words,
        bytes32[] calldata path,
        uint256 position
    ) external view returns (bytes32 leaf) {
        bytes32 root = messageRoot[chainId][batch];
        if (root == 0) revert NoMessages(chainId, batch);
        if (path.length > 32 || position >> path.length != 0) revert PositionOutOfRange(position, path.length);
        leaf = keccak256(abi.encode(chainId, batch, k, words));
        bytes32 node = leaf;
        for (uint256 i = 0; i < path.length; ++i) {
            node = position >> i & 1 == 0 ? _hashPair(node, path[i]) : _hashPair(path[i], node);
        }
        if (node != root) revert MessageNotInBatch(chainId, batch, k);
    }

    function _hashPair(bytes32 left, bytes32 right) private pure returns (bytes32 node) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            node := keccak256(0x00, 0x40)
        }
    }
}
