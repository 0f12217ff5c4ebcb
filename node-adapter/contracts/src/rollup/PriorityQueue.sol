// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {BatchHeader} from "./BatchHeader.sol";
import {ChainGovernance} from "./ChainGovernance.sol";
import {IRollupChain} from "./IRollupChain.sol";
import {Record} from "./Record.sol";

/// @title  The queue of deposits, imports and exits, its clock and its price
/// @notice Part of `RollupChain`. Entries are kept as a chain of hashes; batches must take them in order. If an entry
///         waits beyond its deadline, anyone may end the chain, whatever operator, guardian and governor want.
///
///         Nobody else can end it: an operator that executes one entry each entryInterval while any waits, but for half
///         of queueDelay in all (a pause, an outage, the making of proofs), meets every deadline, however many entries
///         are thrown at it. Entry i, with b before it, is executed by then within half of queueDelay and (b + 1)
///         intervals of its arrival, and is not due before. A long queue makes later entries wait, so its price rises.
///
///         Only entries that can be executed come in: an account of the tree for each owner, one cell of the tree for
///         each exit.
abstract contract PriorityQueue is ChainGovernance {
    uint256 private constant MOST_ACCOUNTS = 1 << 24;
    uint256 private constant TOKENS = 64;
    /// @dev The surcharge begins when more wait than the operator executes in a twentieth of queueDelay, and grows by one
    ///      entry fee with each as many.
    uint256 private constant FREE_PART = 20;

    /// @dev One slot: everything that a settlement moves, beside the root.
    struct Counters {
        uint48 committed;
        uint48 proved;
        uint48 executed;
        uint48 queueCommitted;
        uint48 queueExecuted;
        bool halted;
    }

    /// @dev One slot. `exits` counts the exits among the entries up to this one.
    struct Entry {
        uint48 enqueuedAt;
        uint48 due;
        uint48 exits;
        bool refunded;
    }

    /// @dev One slot.
    struct Terms {
        uint32 entryInterval;
        uint96 entryFee;
        uint32 accounts;
        uint32 owners;
    }

    Counters internal _counters;
    uint64 internal _queueLength;
    /// @dev Executed exits whose fees the operator has collected.
    uint64 private _feesCollected;
    Terms private _terms;
    /// @notice Who may put deposits and imports into the queue.
    address public bridge;
    /// @inheritdoc IRollupChain
    uint256 public stateRoot;
    /// @inheritdoc IRollupChain
    mapping(uint64 index => bytes32) public queueHash;
    mapping(uint64 index => Entry) private _entries;
    /// @dev The index of the last exit asked for, plus one.
    mapping(address caller => mapping(uint256 cell => uint64)) private _lastExit;
    /// @inheritdoc IRollupChain
    mapping(address owner => bool) public ownerBooked;

    modifier whenNotHalted() {
        if (_counters.halted) revert ChainHalted();
        _;
    }

    /// @dev Whoever asks for an exit when a change of rules is announced is served before it, also if others throw
    ///      entries at the queue to move its deadlines.
    modifier whenQueueServed() {
        _requireQueueServed();
        _;
    }

    /// @inheritdoc IRollupChain
    /// @dev Not stopped by a pause: only deposits are, and the bridge looks for that. The owner of an import has an
    ///      account: its operation was signed with that account's key, which came with a deposit to it.
    function enqueue(uint256[5] calldata words) external whenNotHalted returns (uint64 index) {
        if (msg.sender != bridge) revert NotBridge(msg.sender, bridge);
        if (!_book(address(uint160(words[2])))) revert AccountsFull(_terms.owners);
        return _enqueue(words, 0);
    }

    /// @inheritdoc IRollupChain
    function book(address owner) external returns (Place place) {
        if (msg.sender != bridge) revert NotBridge(msg.sender, bridge);
        if (_counters.halted) return Place.Halted;
        return _book(owner) ? Place.Kept : Place.Full;
    }

    /// @inheritdoc IRollupChain
    function requestExit(uint256 account, uint256 token) external payable whenNotHalted returns (uint64 index) {
        if (account >= _terms.accounts || token >= TOKENS) revert NoSuchCell(account, token);
        uint256 w0 = Record.make(Record.EXIT, account, token);
        uint64 last = _lastExit[msg.sender][w0];
        if (last > _counters.queueExecuted) revert ExitAlreadyOpen(last - 1);
        uint256 surcharge = depositFee();
        uint256 fee = _terms.entryFee + surcharge;
        if (msg.value < fee) revert FeeTooLow(msg.value, fee);
        index = _enqueue([w0, 0, uint256(uint160(msg.sender)), 0, 0], 1);
        _lastExit[msg.sender][w0] = index + 1;
        _send(address(0), surcharge);
        _send(msg.sender, msg.value - fee);
    }

    /// @inheritdoc IRollupChain
    function refundFee(uint64 index, uint256[5] calldata words, address to) external {
        if (!_counters.halted) revert ChainNotHalted();
        if (!_isOpen(index)) revert EntryNotOpen(index, _counters.queueExecuted, _queueLength);
        bytes32 hash = BatchHeader.next(queueHash[index], words[0], words[1], words[2], words[3], words[4]);
        if (hash != queueHash[index + 1] || Record.kind(words[0]) != Record.EXIT) revert EntryMismatch(index);
        if (_entries[index].refunded) revert FeeAlreadyRefunded(index);
        _entries[index].refunded = true;
        address owner = address(uint160(words[2]));
        if (to != owner && msg.sender != owner) revert NotRecipient(msg.sender, owner);
        emit FeeRefunded(index, to, _terms.entryFee);
        _send(to, _terms.entryFee);
    }

    /// @inheritdoc IRollupChain
    function halt() external {
        haltOver(_counters.queueExecuted);
    }

    /// @inheritdoc IRollupChain
    function haltOver(uint64 index) public whenNotHalted {
        uint64 from = _isOpen(index) ? dueAt(index) + 1 : 0;
        if (from == 0 || block.timestamp < from) revert NothingOverdue(index, from);
        _counters.halted = true;
        emit Halted(index, _entries[index].enqueuedAt, stateRoot);
    }

    /// @inheritdoc IRollupChain
    function halted() external view returns (bool) {
        return _counters.halted;
    }

    /// @inheritdoc IRollupChain
    function exitFee() external view returns (uint256) {
        return _terms.entryFee + depositFee();
    }

    /// @inheritdoc IRollupChain
    function depositFee() public view returns (uint256) {
        uint256 waiting = _queueLength - _counters.queueExecuted;
        uint256 free = times.queueDelay / (FREE_PART * _terms.entryInterval);
        if (waiting <= free) return 0;
        return uint256(_terms.entryFee) * (waiting - free) / (free == 0 ? 1 : free);
    }

    /// @inheritdoc IRollupChain
    function enqueuedAt(uint64 index) external view returns (uint64) {
        return _entries[index].enqueuedAt;
    }

    /// @inheritdoc IRollupChain
    function dueAt(uint64 index) public view returns (uint64) {
        return _entries[index].due;
    }

    /// @inheritdoc IRollupChain
    function haltableFrom() external view returns (uint64) {
        uint64 oldest = _counters.queueExecuted;
        return _isOpen(oldest) ? dueAt(oldest) + 1 : 0;
    }

    /// @inheritdoc IRollupChain
    function queueTerms() external view returns (uint64, uint256, uint32, uint32) {
        Terms storage terms = _terms;
        return (terms.entryInterval, terms.entryFee, terms.accounts, terms.owners);
    }

    /// @dev Half of queueDelay must hold at least one entry, or every entry would move the deadline.
    function _setUpQueue(Setup calldata setup) internal {
        if (setup.entryInterval == 0 || setup.entryInterval > setup.queueDelay / 2) {
            revert BadSetup("entryInterval is 0 or more than half of queueDelay");
        }
        // One account is the operator's.
        if (setup.accounts < 2 || setup.accounts > MOST_ACCOUNTS) revert BadSetup("accounts is not 2 to 2^24");
        _terms = Terms(uint32(setup.entryInterval), setup.entryFee, setup.accounts, 0);
    }

    function _accounts() internal view returns (uint32) {
        return _terms.accounts;
    }

    /// @dev Pays the fees of the exits that were executed since the last time.
    function _collectFees(address to) internal returns (uint256 amount) {
        uint64 executed = _counters.queueExecuted;
        uint64 exits = executed == 0 ? 0 : _entries[executed - 1].exits;
        amount = uint256(_terms.entryFee) * (exits - _feesCollected);
        _feesCollected = exits;
        emit FeesCollected(to, amount);
        _send(to, amount);
    }

    /// @dev Keeps an account of the tree for an owner; says whether there is one.
    function _book(address owner) private returns (bool) {
        if (ownerBooked[owner]) return true;
        uint32 owners = _terms.owners;
        if (owners + 1 >= _terms.accounts) return false;
        ownerBooked[owner] = true;
        _terms.owners = owners + 1;
        return true;
    }

    function _enqueue(uint256[5] memory w, uint48 exits) private returns (uint64 index) {
        index = _queueLength;
        bytes32 hash = BatchHeader.next(queueHash[index], w[0], w[1], w[2], w[3], w[4]);
        queueHash[index + 1] = hash;
        uint256 half = times.queueDelay / 2;
        uint256 work = (index - _counters.queueExecuted + 1) * uint256(_terms.entryInterval);
        uint256 due = block.timestamp + (times.queueDelay - half) + (work > half ? work : half);
        if (index != 0) exits += _entries[index - 1].exits;
        _entries[index] = Entry(uint48(block.timestamp), uint48(due), exits, false);
        _queueLength = index + 1;
        emit QueueEntry(index, w, hash);
    }

    function _isOpen(uint64 index) private view returns (bool) {
        return index >= _counters.queueExecuted && index < _queueLength;
    }

    function _requireQueueServed() private view {
        uint64 oldest = _counters.queueExecuted;
        uint64 since = _entries[oldest].enqueuedAt;
        if (_isOpen(oldest) && block.timestamp > since + times.queueDelay) revert QueueBehind(oldest, since);
    }

    function _send(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert EtherRefused(to, amount);
    }
}
