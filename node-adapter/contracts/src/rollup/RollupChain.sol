// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Crossings, Tail} from "../bridge/Crossings.sol";
import {ISharedBridge} from "../bridge/ISharedBridge.sol";
import {IBatchVerifier5} from "../verifier/IBatchVerifier5.sol";
import {BatchHeader} from "./BatchHeader.sol";
import {IChainHub} from "./IChainHub.sol";
import {IRollupChain} from "./IRollupChain.sol";
import {PointEvaluation} from "./PointEvaluation.sol";
import {PriorityQueue} from "./PriorityQueue.sol";
import {Record} from "./Record.sol";

/// @title  One rollup chain: its state root, and the rule by which it moves
/// @notice The root moves only by the next batch, from the last root, with a proof that the shape's verifier accepts.
///         The proof's public inputs are computed here from what was published: H in calldata, B in the blob. So
///         whoever has the calldata and the blob has everything that the proof is about, and can rebuild the state.
/// @dev    Behind a proxy; the governor upgrades, and nobody upgrades a halted chain.
contract RollupChain is PriorityQueue, Initializable, UUPSUpgradeable {
    uint256 private constant R = BatchHeader.R;
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant SETTLE_TYPE = keccak256("Settle(uint64 number,uint32 shape,uint256 z,uint64 deadline)");
    bytes32 private constant NAME = keccak256("Carillon");
    bytes32 private constant SCHEME = keccak256("1");

    /// @notice Who commits batches.
    address public operator;
    /// @notice The operator's account on the chain.
    uint32 public operatorAccount;
    /// @inheritdoc IRollupChain
    uint64 public chainId;
    /// @notice Where message roots go.
    IChainHub public hub;
    /// @inheritdoc IRollupChain
    bool public validium;
    /// @dev The root after the last committed batch, while one is not executed.
    uint256 private _pendingRoot;
    /// @inheritdoc IRollupChain
    mapping(uint64 number => bytes32) public batchHash;
    /// @inheritdoc IRollupChain
    mapping(uint32 shape => IBatchVerifier5) public verifier;

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        _;
    }

    /// @dev The logic contract itself is never a chain.
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets the chain up. Called once, with the creation of the proxy.
    function initialize(Setup calldata setup) external initializer {
        if (setup.chainId == 0) revert BadSetup("the chain id is 0");
        if (setup.genesisRoot >= R) revert BadSetup("the genesis root is not a field element");
        if (setup.hub.code.length == 0) revert BadSetup("the hub has no code");
        if (setup.bridge.code.length == 0) revert BadSetup("the bridge has no code");
        chainId = setup.chainId;
        hub = IChainHub(setup.hub);
        bridge = setup.bridge;
        validium = setup.validium;
        stateRoot = setup.genesisRoot;
        _setUpGovernance(setup);
        _setUpQueue(setup);
        _setOperator(setup.operator, setup.operatorAccount);
    }

    /// @inheritdoc IRollupChain
    function commit(BatchData calldata batch) external onlyOperator whenNotHalted whenNotPaused {
        (StoredBatch memory stored,) = _read(batch);
        bytes32 hash = keccak256(abi.encode(stored));
        batchHash[stored.number] = hash;
        _pendingRoot = stored.newRoot;
        _counters.committed = uint48(stored.number);
        _counters.queueCommitted = uint48(stored.queueEnd);
        emit BatchCommitted(stored.number, hash, stored.versionedHash);
    }

    /// @inheritdoc IRollupChain
    /// @dev Anyone may prove a batch before a transaction that proves and executes it: that must not stop it.
    function prove(StoredBatch calldata stored, BatchProof calldata proof) external whenNotHalted whenNotPaused {
        if (stored.number <= _counters.proved) return _requireStored(stored);
        if (stored.number != _counters.proved + 1) revert NotNext(stored.number, _counters.proved + 1);
        _requireStored(stored);
        _verify(stored, proof);
        _counters.proved = uint48(stored.number);
        emit BatchProved(stored.number);
    }

    /// @inheritdoc IRollupChain
    function execute(StoredBatch calldata stored, Crossings calldata crossings)
        external
        whenNotHalted
        whenNotPaused
    {
        Counters memory counters = _counters;
        if (stored.number != counters.executed + 1 || stored.number > counters.proved) {
            revert NotNext(stored.number, counters.proved > counters.executed ? counters.executed + 1 : 0);
        }
        _requireStored(stored);
        uint256[] memory records = crossings.records;
        bytes32 found = BatchHeader.crossingsHash(records);
        if (found != stored.crossings) revert CrossingsMismatch(stored.number, found, stored.crossings);
        delete batchHash[stored.number];
        _counters.executed = uint48(stored.number);
        _counters.queueExecuted = uint48(stored.queueEnd);
        _execute(stored, records, crossings.tails);
    }

    /// @inheritdoc IRollupChain
    function settle(BatchData calldata batch, BatchProof calldata proof, Tail[] calldata tails) external onlyOperator {
        (StoredBatch memory stored, uint256[] memory crossings) = _readAlone(batch);
        _settle(stored, proof, crossings, tails);
    }

    /// @inheritdoc IRollupChain
    function settleFor(
        BatchData calldata batch,
        BatchProof calldata proof,
        Tail[] calldata tails,
        uint64 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        (StoredBatch memory stored, uint256[] memory crossings) = _readAlone(batch);
        bytes32 domainHash = keccak256(abi.encode(DOMAIN_TYPE, NAME, SCHEME, block.chainid, address(this)));
        bytes32 message = keccak256(abi.encode(SETTLE_TYPE, stored.number, stored.shape, stored.z, deadline));
        (address signer,,) =
            ECDSA.tryRecover(keccak256(abi.encodePacked(hex"1901", domainHash, message)), signature);
        if (signer != operator) revert NotOperator(signer, operator);
        _settle(stored, proof, crossings, tails);
    }

    /// @inheritdoc IRollupChain
    function revertBatches(StoredBatch calldata first) external whenNotHalted {
        Counters memory counters = _counters;
        if (first.number <= counters.executed) revert BatchExecutedAlready(first.number, counters.executed);
        _requireStored(first);
        uint64 openFrom = first.committedAt + times.revertDelay;
        if (msg.sender != operator && block.timestamp < openFrom) revert RevertTooEarly(openFrom);
        for (uint64 number = first.number; number <= counters.committed; ++number) delete batchHash[number];
        uint48 kept = uint48(first.number - 1);
        emit BatchesReverted(kept, counters.committed);
        _pendingRoot = first.oldRoot;
        _counters.committed = kept;
        if (counters.proved > kept) _counters.proved = kept;
        _counters.queueCommitted = uint48(first.queueStart);
    }

    /// @inheritdoc IRollupChain
    function setVerifier(uint32 shape, IBatchVerifier5 verifier_) external onlyGovernor whenQueueServed {
        if (address(verifier_) != address(0) && address(verifier_).code.length == 0) {
            revert BadSetup("the verifier has no code");
        }
        verifier[shape] = verifier_;
        emit VerifierSet(shape, address(verifier_));
    }

    /// @inheritdoc IRollupChain
    function setOperator(address operator_, uint32 operatorAccount_) external onlyGovernor whenQueueServed {
        _setOperator(operator_, operatorAccount_);
    }

    /// @inheritdoc IRollupChain
    function collectFees(address to) external onlyOperator returns (uint256 amount) {
        return _collectFees(to);
    }

    /// @inheritdoc IRollupChain
    function progress() external view returns (Progress memory) {
        Counters memory c = _counters;
        return Progress(
            c.committed, c.proved, c.executed, c.queueCommitted, c.queueExecuted, _queueLength, c.halted
        );
    }

    /// @inheritdoc IRollupChain
    /// @dev Made anew each time: after a fork of L1 that changes its chain id, only one side takes this chain's batches.
    function domain() public view returns (uint128) {
        return uint128(uint256(keccak256(abi.encode(block.chainid, hub, chainId))));
    }

    /// @inheritdoc IRollupChain
    function committedRoot() public view returns (uint256) {
        return _counters.committed == _counters.executed ? stateRoot : _pendingRoot;
    }

    /// @dev The next batch of a chain that has none in between.
    function _readAlone(BatchData calldata batch)
        private
        view
        whenNotHalted
        whenNotPaused
        returns (StoredBatch memory, uint256[] memory)
    {
        Counters memory counters = _counters;
        if (counters.committed != counters.executed) revert BatchesPending(counters.committed, counters.executed);
        return _read(batch);
    }

    /// @dev The next batch, checked against the chain. Numbers are compared first: a replay is named a replay, although
    ///      its old root is stale, too.
    function _read(BatchData calldata batch)
        private
        view
        returns (StoredBatch memory stored, uint256[] memory crossings)
    {
        uint256[] calldata h = batch.h;
        BatchHeader.Fields memory header = BatchHeader.fields(h);
        Counters memory counters = _counters;
        uint256 expected = domain();
        if (header.domain != expected) revert WrongDomain(header.domain, expected);
        if (header.number <= counters.committed) revert BatchAlreadyCommitted(header.number, counters.committed);
        if (header.number != counters.committed + 1) revert BatchOutOfOrder(header.number, counters.committed + 1);
        if (header.operatorAccount != operatorAccount) {
            revert WrongOperatorAccount(header.operatorAccount, operatorAccount);
        }
        if (h[1] != committedRoot()) revert StateRootMismatch(h[1], committedRoot());
        // The commitments stand behind H in the numbering of words.
        if (batch.cH >= R) revert WordNotInField(h.length, batch.cH);
        if (batch.cB >= R) revert WordNotInField(h.length + 1, batch.cB);

        stored.number = header.number;
        stored.shape = batch.shape;
        stored.queueStart = counters.queueCommitted;
        stored.committedAt = uint64(block.timestamp);
        stored.oldRoot = h[1];
        stored.newRoot = h[2];
        stored.cH = batch.cH;
        stored.cB = batch.cB;
        bool withBlob = !validium;
        if (withBlob) stored.versionedHash = blobhash(batch.blobIndex);
        if (withBlob ? stored.versionedHash == 0 : batch.blobIndex != 0) revert NoBlob(batch.blobIndex);
        stored.z = BatchHeader.challenge(h, batch.cH, batch.cB, stored.versionedHash);
        stored.yH = BatchHeader.evaluate(h, stored.z);
        (stored.queueEnd, stored.messageRoot, crossings) = _readRecords(h, header.number, counters.queueCommitted);
        stored.crossings = BatchHeader.crossingsHash(crossings);
    }

    function _readRecords(uint256[] calldata h, uint64 number, uint64 queueStart)
        private
        view
        returns (uint64 queueEnd, bytes32 messageRoot, uint256[] memory crossings)
    {
        if (h.length == 3) return (queueStart, 0, crossings);
        BatchHeader.check(h);
        uint64 entries;
        bytes32 hash;
        (entries, hash, messageRoot, crossings) = BatchHeader.records(h, chainId, number, queueHash[queueStart]);
        queueEnd = queueStart + entries;
        if (queueEnd > _queueLength) revert QueueOverrun(queueEnd, _queueLength);
        if (hash != queueHash[queueEnd]) revert QueueMismatch(queueStart, queueEnd, hash, queueHash[queueEnd]);
    }

    function _verify(StoredBatch memory stored, BatchProof calldata proof) private view {
        if (!validium) {
            PointEvaluation.check(stored.versionedHash, stored.z, proof.yB, proof.kzgCommitment, proof.kzgProof);
        } else if (proof.kzgCommitment.length + proof.kzgProof.length != 0) {
            revert KzgLength(proof.kzgCommitment.length, proof.kzgProof.length);
        }
        IBatchVerifier5 check = verifier[stored.shape];
        if (address(check) == address(0)) revert UnknownShape(stored.shape);
        uint256[5] memory inputs = [stored.cH, stored.cB, stored.z, stored.yH, proof.yB];
        if (proof.proof.length != 0) check.verifyProof(proof.proof, inputs);
        else if (!check.provedNow(inputs)) revert ProofMissing(stored.number);
    }

    function _settle(
        StoredBatch memory stored,
        BatchProof calldata proof,
        uint256[] memory crossings,
        Tail[] calldata tails
    ) private {
        _verify(stored, proof);
        uint48 number = uint48(stored.number);
        uint48 queueEnd = uint48(stored.queueEnd);
        _counters = Counters(number, number, number, queueEnd, queueEnd, false);
        emit BatchCommitted(stored.number, keccak256(abi.encode(stored)), stored.versionedHash);
        emit BatchProved(stored.number);
        _execute(stored, crossings, tails);
    }

    function _execute(StoredBatch memory stored, uint256[] memory crossings, Tail[] calldata tails) private {
        stateRoot = stored.newRoot;
        emit BatchExecuted(stored.number, stored.newRoot, stored.messageRoot, stored.queueEnd);
        if (stored.messageRoot != 0) hub.recordMessageRoot(chainId, stored.number, stored.messageRoot);
        if (crossings.length != 0) ISharedBridge(bridge).cross(chainId, stored.number, crossings, tails);
    }

    function _requireStored(StoredBatch calldata stored) private view {
        bytes32 expected = batchHash[stored.number];
        bytes32 found = keccak256(abi.encode(stored));
        if (expected == 0 || found != expected) revert StoredBatchMismatch(stored.number, found, expected);
    }

    function _setOperator(address operator_, uint32 operatorAccount_) private {
        if (operator_ == address(0)) revert BadSetup("the operator is the zero address");
        if (operatorAccount_ >= _accounts()) revert BadSetup("the operator's account does not exist");
        operator = operator_;
        operatorAccount = operatorAccount_;
        emit OperatorSet(operator_, operatorAccount_);
    }

    /// @dev A halted chain is frozen: what its users leave with cannot be changed any more.
    function _authorizeUpgrade(address) internal view override onlyGovernor whenNotHalted whenQueueServed {}
}
