// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The register of rollup chains and of the messages that their batches sent
/// @notice Implemented by `ChainHub`. Chains write the message roots of their executed batches; the bridge and the
///         interop handler ask whether a message was sent.
interface IChainHub {
    /// @notice A chain was registered. It stays: another contract can never take its id.
    event ChainRegistered(uint64 indexed chainId, address indexed chain);
    /// @notice A batch with messages was executed.
    event MessageRootRecorded(uint64 indexed chainId, uint64 indexed batch, bytes32 root);
    /// @notice The governor changed.
    event GovernorChanged(address indexed from, address indexed to);

    /// @notice The key by which a chain signs its receipts and what it says of its lanes. Zeros: it has none.
    event ReceiptKeySet(uint64 indexed chainId, uint256 x, uint256 y);

    /// @notice Only the governor registers chains.
    error NotGovernor(address caller, address governor);
    /// @notice The id already belongs to a chain.
    error ChainAlreadyRegistered(uint64 chainId, address chain);
    /// @notice Nothing is registered under this id.
    error UnknownChain(uint64 chainId);
    /// @notice The contract does not say that it is this chain.
    error NotThatChain(address chain, uint64 chainId);
    /// @notice Only the chain's operator says which key signs its receipts.
    error NotTheOperator(address caller, address operator);
    /// @notice Only the chain itself records its message roots.
    error NotTheChain(address caller, uint64 chainId);
    /// @notice The batch already has a message root.
    error MessageRootAlreadyRecorded(uint64 chainId, uint64 batch);
    /// @notice The batch is not executed, or sent no messages.
    error NoMessages(uint64 chainId, uint64 batch);
    /// @notice The path does not lead from this message to the batch's message root.
    error MessageNotInBatch(uint64 chainId, uint64 batch, uint256 k);
    /// @notice The position does not fit the length of the path.
    error PositionOutOfRange(uint256 position, uint256 pathLength);

    /// @notice The contract of a chain; zero if there is none.
    function chain(uint64 chainId) external view returns (address);

    /// @notice The message root of an executed batch; zero if it is not executed or sent no messages.
    function messageRoot(uint64 chainId, uint64 batch) external view returns (bytes32);

    /// @notice Says by which key the chain signs its receipts: a point of Jubjub, which whoever checks a signature
    ///         checks, too. Zeros take the key back. Called by the chain's operator.
    function setReceiptKey(uint64 chainId, uint256 x, uint256 y) external;

    /// @notice That key; zeros if there is none.
    function receiptKey(uint64 chainId) external view returns (uint256 x, uint256 y);

    /// @notice Records the message root of an executed batch. Called by the chain.
    function recordMessageRoot(uint64 chainId, uint64 batch, bytes32 root) external;

    /// @notice Returns if, and only if, the batch sent this message; reverts with the reason otherwise. It says nothing
    ///         about whether the message was used: that is kept by the bridge.
    /// @param  chainId  The chain that sent it.
    /// @param  batch    The executed batch.
    /// @param  k        The index of the record in the batch.
    /// @param  words    The five words of the record.
    /// @param  path     The Merkle path, from the leaf up.
    /// @param  position The position of the leaf in the tree.
    /// @return leaf     keccak256(abi.encode(chainId, batch, k, words)): the message's name, never the same twice.
    function verifyMessage(
        uint64 chainId,
        uint64 batch,
        uint256 k,
        uint256[5] calldata words,
        bytes32[] calldata path,
        uint256 position
    ) external view returns (bytes32 leaf);
}
