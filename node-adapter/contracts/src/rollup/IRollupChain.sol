// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Crossings, Tail} from "../bridge/Crossings.sol";
import {IBatchVerifier5} from "../verifier/IBatchVerifier5.sol";

/// @title  The Ethereum side of one rollup chain
/// @notice Implemented by `RollupChain`; called by the node's settlement module, by users, and by the bridge. Encodings
///         are those of PROTOCOL.md.
///
///         A batch goes through three states: committed (its public data are fixed), proved, executed (its root and its
///         messages count). `settle` does all three in one transaction.
interface IRollupChain {
    /// @notice What the operator publishes of a batch. The blob travels with the transaction.
    /// @param  shape     The circuit's shape number.
    /// @param  blobIndex Which blob of the transaction is B; 0 for a validium.
    /// @param  cH        The circuit's commitment to H.
    /// @param  cB        The circuit's commitment to B.
    /// @param  h         H: three words of header, five of each record.
    struct BatchData {
        uint32 shape;
        uint256 blobIndex;
        uint256 cH;
        uint256 cB;
        uint256[] h;
    }

    /// @notice What shows that a committed batch is right.
    /// @param  yB            The value of the blob's polynomial at the challenge z.
    /// @param  kzgCommitment The blob's KZG commitment, 48 bytes; empty for a validium.
    /// @param  kzgProof      The KZG proof of yB, 48 bytes; empty for a validium.
    /// @param  proof         The circuit's proof in the verifier's encoding; empty if `proveTogether` has accepted the
    ///                       statement in this transaction.
    struct BatchProof {
        uint256 yB;
        bytes kzgCommitment;
        bytes kzgProof;
        bytes proof;
    }

    /// @notice A committed batch. The chain keeps its hash alone; callers give the rest back.
    /// @param  number        The batch number, from 1.
    /// @param  shape         The circuit's shape number.
    /// @param  queueStart    Queue entries executed before the batch.
    /// @param  queueEnd      Queue entries executed after the batch.
    /// @param  committedAt   Time of the block that committed it.
    /// @param  oldRoot       The state root before.
    /// @param  newRoot       The state root after.
    /// @param  cH            The circuit's commitment to H.
    /// @param  cB            The circuit's commitment to B.
    /// @param  z             The challenge.
    /// @param  yH            H, as a polynomial, at z.
    /// @param  versionedHash The blob's versioned hash.
    /// @param  messageRoot   The root of the messages sent; zero if there are none.
    /// @param  crossings     keccak256 over the words of the sends, takes and returns, in order; zero if there are none.
    struct StoredBatch {
        uint64 number;
        uint32 shape;
        uint64 queueStart;
        uint64 queueEnd;
        uint64 committedAt;
        uint256 oldRoot;
        uint256 newRoot;
        uint256 cH;
        uint256 cB;
        uint256 z;
        uint256 yH;
        bytes32 versionedHash;
        bytes32 messageRoot;
        bytes32 crossings;
    }

    /// @notice Whether an owner has a place in the account tree: not on a chain that is over, whose answer is 0 as that of
    ///         a contract that answers nothing; nor, if he had none, in a tree that is full.
    enum Place {
        Halted,
        Kept,
        Full
    }

    /// @notice How far the chain is.
    struct Progress {
        uint64 committed;
        uint64 proved;
        uint64 executed;
        uint64 queueCommitted;
        uint64 queueExecuted;
        uint64 queueLength;
        bool halted;
    }

    /// @notice How a chain begins. The times are in seconds and fixed for good.
    /// @param  chainId         The rollup chain's id; in every public input, so that a batch of one chain is worth
    ///                         nothing on another.
    /// @param  hub             Where message roots go.
    /// @param  bridge          Who may put deposits and imports into the queue.
    /// @param  operator        Who commits batches.
    /// @param  operatorAccount The operator's account on the chain: where fees go.
    /// @param  governor        Who upgrades, behind a timelock.
    /// @param  guardian        Who may pause.
    /// @param  genesisRoot     The root of the empty state.
    /// @param  queueDelay      Age of the oldest queue entry from which anyone may halt the chain.
    /// @param  revertDelay     Age of a batch that is not executed from which anyone may revert it.
    /// @param  maxPause        The longest pause; shorter than queueDelay.
    /// @param  pauseCooldown   The shortest time from the end of a pause to the next one.
    /// @param  entryInterval   Seconds in which the operator executes one queue entry, at least, while any waits.
    /// @param  entryFee        Wei of a request for an exit; the surcharge of a long queue grows by it.
    /// @param  accounts        Leaves of the account tree.
    /// @param  validium        Whether B stays with the operator, for good: batches have no blob, nobody can rebuild the
    ///                         state without what the operator gives out, and an operator who withholds it blocks exits.
    struct Setup {
        uint64 chainId;
        address hub;
        address bridge;
        address operator;
        uint32 operatorAccount;
        address governor;
        address guardian;
        uint256 genesisRoot;
        uint64 queueDelay;
        uint64 revertDelay;
        uint64 maxPause;
        uint64 pauseCooldown;
        uint64 entryInterval;
        uint96 entryFee;
        uint32 accounts;
        bool validium;
    }

    /// @notice The batch's public data are fixed.
    event BatchCommitted(uint64 indexed number, bytes32 indexed batchHash, bytes32 versionedHash);
    /// @notice The batch is proved.
    event BatchProved(uint64 indexed number);
    /// @notice The batch is final: its root, its messages and its queue entries count.
    event BatchExecuted(uint64 indexed number, uint256 newRoot, bytes32 messageRoot, uint64 queueEnd);
    /// @notice The batches after `lastKept`, up to `lastReverted`, are committed no more.
    event BatchesReverted(uint64 indexed lastKept, uint64 lastReverted);
    /// @notice An entry came into the queue; `words` are as PROTOCOL.md, "L1 queue".
    event QueueEntry(uint64 indexed index, uint256[5] words, bytes32 queueHash);
    /// @notice The operator took the fees of executed exits.
    event FeesCollected(address indexed to, uint256 amount);
    /// @notice The fee of an exit that was never executed went back.
    event FeeRefunded(uint64 indexed index, address indexed to, uint256 amount);
    /// @notice The chain is over: what is not executed is void, and everyone leaves by state proof.
    event Halted(uint64 indexed oldestEntry, uint64 enqueuedAt, uint256 stateRoot);
    /// @notice The chain takes no deposits and no batches until `until`.
    event Paused(uint64 until);
    /// @notice The pause is over.
    event Unpaused();
    /// @notice Batches of this shape are checked by this verifier; the zero address refuses them.
    event VerifierSet(uint32 indexed shape, address verifier);
    /// @notice Batches are committed by another key, and fees go to its account.
    event OperatorSet(address indexed operator, uint32 operatorAccount);
    /// @notice Pauses are called by another key.
    event GuardianSet(address indexed guardian);
    /// @notice The governor changed.
    event GovernorChanged(address indexed from, address indexed to);

    /// @notice Only the operator commits batches.
    error NotOperator(address caller, address operator);
    /// @notice Only the governor may do this.
    error NotGovernor(address caller, address governor);
    /// @notice Only the guardian pauses.
    error NotGuardian(address caller, address guardian);
    /// @notice Only the bridge puts deposits and imports into the queue.
    error NotBridge(address caller, address bridge);
    /// @notice The set-up is not sound.
    error BadSetup(string reason);
    /// @notice The chain is halted for good.
    error ChainHalted();
    /// @notice The chain is not halted.
    error ChainNotHalted();
    /// @notice The chain is paused.
    error ChainPaused(uint64 until);
    /// @notice The pause is too long, or comes too early after the last one.
    error PauseRefused(uint64 duration, uint64 longest, uint64 allowedFrom);

    /// @notice H does not have the length that its header says.
    error HeaderLength(uint256 words, uint256 records);
    /// @notice A word of H, or a commitment, is not below the order of the field.
    error WordNotInField(uint256 index, uint256 value);
    /// @notice H is of another chain, or of a chain with the same id elsewhere (`domain`).
    error WrongDomain(uint256 domain, uint256 expected);
    /// @notice H names another account for the fees.
    error WrongOperatorAccount(uint256 account, uint32 expected);
    /// @notice The batch is committed already: a replay.
    error BatchAlreadyCommitted(uint64 number, uint64 last);
    /// @notice The batch is not the next one.
    error BatchOutOfOrder(uint64 number, uint64 expected);
    /// @notice The batch does not start from the root of the last committed one.
    error StateRootMismatch(uint256 oldRoot, uint256 expected);
    /// @notice `settle` is for a chain without batches in between.
    error BatchesPending(uint64 committed, uint64 executed);
    /// @notice The record's first word is not kind + 2^4 account + 2^28 token.
    error RecordMalformed(uint256 record, uint256 word);
    /// @notice Records are of kinds 2 to 9.
    error RecordKind(uint256 record, uint256 kind);
    /// @notice Returns, and takes of a leg of a flow, are not served yet.
    error FlowsNotServed(uint256 record, uint256 kind);
    /// @notice The words of a send or a take are not those of a party, an owner, and a memo below 2^248.
    error CrossingWords(uint256 record, uint256 w2, uint256 w3, uint256 w4);
    /// @notice These are not the sends and takes of the batch.
    error CrossingsMismatch(uint64 number, bytes32 found, bytes32 expected);
    /// @notice The record's amount is not below 2^96.
    error RecordAmount(uint256 record, uint256 amount);
    /// @notice Word 2 of a withdrawal is no address, or word 2 of a bundle is not below 2^248.
    error RecordWord(uint256 record, uint256 word);
    /// @notice The batch claims more queue entries than there are.
    error QueueOverrun(uint64 end, uint64 length);
    /// @notice The batch's deposits, imports and exits are not the next entries of the queue.
    error QueueMismatch(uint64 start, uint64 end, bytes32 found, bytes32 expected);
    /// @notice The transaction carries no such blob; or the chain is a validium, which has none, and the index is not 0.
    error NoBlob(uint256 blobIndex);
    /// @notice The batch came without a proof, and nobody proved its statement in this transaction.
    error ProofMissing(uint64 number);
    /// @notice The operator's signature was good until `deadline`.
    error SignatureExpired(uint64 deadline);
    /// @notice No verifier for batches of this shape.
    error UnknownShape(uint32 shape);
    /// @notice The batch given back is not the one that was committed.
    error StoredBatchMismatch(uint64 number, bytes32 found, bytes32 expected);
    /// @notice The batch is not the next to be proved or executed.
    error NotNext(uint64 number, uint64 expected);
    /// @notice A KZG commitment or proof has 48 bytes.
    error KzgLength(uint256 commitment, uint256 proof);
    /// @notice The KZG commitment is not the blob's.
    error NotTheBlobsCommitment(bytes32 found, bytes32 versionedHash);
    /// @notice The point evaluation precompile refused: the blob's polynomial is not yB at z.
    error PointEvaluationFailed(bytes32 versionedHash, uint256 z, uint256 yB);
    /// @notice Executed batches stay.
    error BatchExecutedAlready(uint64 number, uint64 executed);
    /// @notice Only the operator reverts a batch as young as this.
    error RevertTooEarly(uint64 from);
    /// @notice There is no such account or token slot.
    error NoSuchCell(uint256 account, uint256 token);
    /// @notice The queue is empty, or this entry is not overdue: executed, not there, or before its deadline.
    error NothingOverdue(uint64 entry, uint64 overdueFrom);
    /// @notice The caller has asked for the exit of this cell, and the entry still waits.
    error ExitAlreadyOpen(uint64 index);
    /// @notice A request for an exit costs `fee` wei now (`exitFee`); what is above comes back.
    error FeeTooLow(uint256 sent, uint256 fee);
    /// @notice Every account of the tree has an owner: deposits of new owners cannot be executed.
    error AccountsFull(uint32 owners);
    /// @notice Entries that have waited longer than queueDelay come before any change of rules.
    error QueueBehind(uint64 oldestEntry, uint64 enqueuedAt);
    /// @notice The entry was executed, or is not in the queue.
    error EntryNotOpen(uint64 index, uint64 executed, uint64 length);
    /// @notice These words are not the entry's, or it is no exit.
    error EntryMismatch(uint64 index);
    /// @notice The fee went back already.
    error FeeAlreadyRefunded(uint64 index);
    /// @notice Only the one who is paid may send the payment elsewhere.
    error NotRecipient(address caller, address recipient);
    /// @notice The ETH could not be paid.
    error EtherRefused(address to, uint256 amount);

    /// @notice Fixes the public data of the next batch. For the operator.
    function commit(BatchData calldata batch) external;

    /// @notice Proves the next committed batch; one that is proved stays so. For anyone: a proof is a proof.
    function prove(StoredBatch calldata stored, BatchProof calldata proof) external;

    /// @notice Executes the next proved batch. For anyone.
    function execute(StoredBatch calldata stored, Crossings calldata crossings) external;

    /// @notice Commits, proves and executes the next batch. For the operator, when no batch is in between.
    /// @param  tails As in `Crossings`.
    function settle(BatchData calldata batch, BatchProof calldata proof, Tail[] calldata tails) external;

    /// @notice `settle` for anyone who has the operator's signature for this batch, as a gateway that settles many chains.
    /// @param  deadline  Last second (Unix time) in which the signature counts.
    /// @param  signature EIP-712: domain ("Carillon", "1", L1's chain id, this chain), Settle(uint64 number,uint32
    ///                   shape,uint256 z,uint64 deadline), z the challenge, which names all public data of the batch.
    function settleFor(
        BatchData calldata batch,
        BatchProof calldata proof,
        Tail[] calldata tails,
        uint64 deadline,
        bytes calldata signature
    ) external;

    /// @notice Takes `first` and all later batches back. For the operator; for anyone when `first` is older than
    ///         revertDelay. Executed batches stay.
    function revertBatches(StoredBatch calldata first) external;

    /// @notice Asks for the whole balance of a cell to be paid to the caller, who must be the account's owner (the
    ///         circuit looks). The operator must serve it in time. Costs `exitFee`, which comes with the call; what is
    ///         above goes back to the caller. One request for each caller and cell at a time.
    function requestExit(uint256 account, uint256 token) external payable returns (uint64 index);

    /// @notice What a request for an exit costs now, in wei: the entry fee, which the operator gets when it has served
    ///         the request, and the surcharge, which is burnt.
    function exitFee() external view returns (uint256);

    /// @notice The surcharge now, in wei: 0 while few entries wait. Deposits pay it alone.
    function depositFee() external view returns (uint256);

    /// @notice Pays the entry fees of executed exits that were not collected yet. For the operator.
    function collectFees(address to) external returns (uint256 amount);

    /// @notice After a halt: pays the entry fee of an exit that was never executed back to its owner, who may name
    ///         another address. `words` are the entry's as in `QueueEntry`.
    function refundFee(uint64 index, uint256[5] calldata words, address to) external;

    /// @notice Puts a deposit or an import into the queue. For the bridge.
    function enqueue(uint256[5] calldata words) external returns (uint64 index);

    /// @notice Keeps a place in the account tree for an owner, if he has none. For the bridge.
    function book(address owner) external returns (Place place);

    /// @notice Ends the chain if the oldest queue entry is overdue. For anyone; cannot be undone.
    function halt() external;

    /// @notice The same for any entry that was not executed. One that came when the queue was short can be due before
    ///         an older one that came when it was long.
    function haltOver(uint64 index) external;

    /// @notice Stops deposits and batches for a limited time. For the guardian. Queue deadlines, halts, exits and
    ///         claims go on.
    function pause(uint64 duration) external;

    /// @notice Ends the pause. For the guardian.
    function unpause() external;

    /// @notice Sets the verifier of a shape. For the governor.
    function setVerifier(uint32 shape, IBatchVerifier5 verifier) external;

    /// @notice Sets who commits batches and which account gets the fees. For the governor.
    function setOperator(address operator, uint32 operatorAccount) external;

    /// @notice Sets who may pause. For the governor.
    function setGuardian(address guardian) external;

    /// @notice Hands the governor's rights over. For the governor.
    function setGovernor(address governor) external;

    /// @notice Who upgrades the chain, sets verifiers, operator and guardian, and opens lanes at the bridge.
    function governor() external view returns (address);

    /// @notice The rollup chain's id.
    function chainId() external view returns (uint64);

    /// @notice The state root after the last executed batch.
    function stateRoot() external view returns (uint256);

    /// @notice What signatures and H name: keccak(abi.encode(L1 chain id, hub, chain id)) mod 2^128. No two deployments
    ///         have the same.
    function domain() external view returns (uint128);

    /// @notice The root that the next batch to be committed must start from.
    function committedRoot() external view returns (uint256);

    /// @notice How far the chain is.
    function progress() external view returns (Progress memory);

    /// @notice Whether the chain is over.
    function halted() external view returns (bool);

    /// @notice Whether, and until when, the chain is paused; 0 if it is not.
    function pausedUntil() external view returns (uint64);

    /// @notice The hash of a committed batch that is not executed: keccak256(abi.encode(StoredBatch)); zero otherwise.
    function batchHash(uint64 number) external view returns (bytes32);

    /// @notice The hash over the first `index` entries of the queue.
    function queueHash(uint64 index) external view returns (bytes32);

    /// @notice When an entry came into the queue.
    function enqueuedAt(uint64 index) external view returns (uint64);

    /// @notice The last second in which an entry is in time. From its arrival, queueDelay; when more wait before it than
    ///         the operator executes in half of that at one each entryInterval, half of queueDelay and entryInterval
    ///         for each of them.
    function dueAt(uint64 index) external view returns (uint64);

    /// @notice From when on anyone may halt the chain for its oldest entry; 0 while nothing waits.
    function haltableFrom() external view returns (uint64);

    /// @notice What the queue promises and costs, the leaves of the account tree, and how many owners may have one:
    ///         as many as have deposited or were sent something, less than accounts (one is the operator's).
    function queueTerms()
        external
        view
        returns (uint64 entryInterval, uint256 entryFee, uint32 accounts, uint32 owners);

    /// @notice Whether a place in the account tree is kept for this owner.
    function ownerBooked(address owner) external view returns (bool);

    /// @notice Whether B stays with the operator, and batches have no blob. Never changes.
    function validium() external view returns (bool);

    /// @notice The verifier of a shape; zero if there is none.
    function verifier(uint32 shape) external view returns (IBatchVerifier5);
}
