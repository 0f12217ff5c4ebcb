// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {BoundedCall} from "../interop/BoundedCall.sol";
import {IRollupChain} from "../rollup/IRollupChain.sol";
import {Party} from "../rollup/Party.sol";
import {Record} from "../rollup/Record.sol";
import {Tail} from "./Crossings.sol";
import {Escrow} from "./Escrow.sol";
import {ICrossing} from "./ICrossing.sol";
import {ISharedBridge} from "./ISharedBridge.sol";
import {LaneHash} from "./LaneHash.sol";
import {Moves} from "./Moves.sol";

/// @title  The lanes between chains
/// @notice Part of `SharedBridge`. A send of an executed batch leaves its chain's escrow and enters the lane to another
///         chain; a take of an executed batch of that chain leaves the lane and enters the other escrow. Lanes are kept
///         as hashes, and what is taken must be the beginning of what was sent: another amount, token, owner, memo or
///         order is another hash.
///
///         No send stops its batch: what cannot go comes back at once. No recipient and no token stops a lane, since
///         nothing here moves a token but `collectBounced`; nor does a chain, since others are called with bounded gas,
///         nothing enters a lane that its chain could not take, and what it does not take goes back to its senders.
abstract contract LaneBook is Escrow, ReentrancyGuardTransient {
    /// @dev From when on anyone may give back what the other chain does not take.
    uint64 private constant BOUNCE_AFTER = 7 days;
    /// @dev Gas of a place for a recipient on another chain: its proxy, two words of storage, and as much again.
    uint256 private constant BOOK_GAS = 100_000;
    /// @dev Gas of an import that goes back into its chain: five words of storage, an event, and as much again.
    uint256 private constant ENQUEUE_GAS = 200_000;
    /// @dev What must be left beside that for a chain to get it (EIP-150: 1/64 is held back), and for the call itself.
    uint256 private constant SPARE_GAS = 20_000;
    uint256 private constant WORDS = 5;

    uint8 private constant NO_CHAIN = 1;
    uint8 private constant LANE_CLOSED = 2;
    uint8 private constant CHAIN_HALTED = 3;
    uint8 private constant NOT_LISTED = 4;
    uint8 private constant NO_ROOM = 5;
    uint8 private constant ACCOUNTS_FULL = 6;
    uint8 private constant FLOW = 7;
    uint8 private constant TO_BRIDGE = 8;
    uint8 private constant MALFORMED = 9;

    /// @dev Sends of a batch that follow each other in one lane and one token: storage is read and written once for all.
    struct Run {
        uint64 from;
        uint64 to;
        uint64 batch;
        uint8 reason;
        uint256 slot;
        uint256 slotThere;
        address token;
        address destination;
        uint256 room;
        uint256 total;
        uint64 before;
        uint64 count;
        bytes32 hash;
    }

    /// @dev One slot. How many entries went into all lanes to a chain, and how many of them bounced.
    struct Arrivals {
        uint64 sent;
        uint64 bounced;
    }

    /// @dev Whether several chains cross at once, and whether one of them is crossing now.
    bool private transient _together;
    bool private transient _crossing;
    mapping(uint64 from => mapping(uint64 to => Lane)) private _lanes;
    /// @dev One side each.
    mapping(uint64 chainId => mapping(uint64 other => bool)) private _opened;
    /// @inheritdoc ISharedBridge
    mapping(uint64 from => mapping(uint64 to => mapping(uint64 count => bytes32))) public checkpoint;
    /// @inheritdoc ISharedBridge
    mapping(uint64 from => mapping(uint64 to => mapping(address token => uint256))) public transit;
    /// @inheritdoc ISharedBridge
    mapping(address owner => mapping(address token => uint256)) public bounced;
    /// @inheritdoc ISharedBridge
    mapping(uint64 to => Arrivals) public arrivals;

    /// @inheritdoc ISharedBridge
    function cross(uint64 chainId, uint64 batch, uint256[] calldata records, Tail[] calldata tails) external {
        if (msg.sender != hub.chain(chainId)) revert NotTheChain(msg.sender, chainId);
        if (!_together) return _crossAlone(chainId, batch, records, tails);
        // Under the guard of `crossTogether`. A chain that is asked for a place or brought an import has no turn.
        if (_crossing) revert ReentrancyGuardReentrantCall();
        _crossing = true;
        _enter(chainId, batch, records);
        _crossing = false;
    }

    /// @inheritdoc ISharedBridge
    function crossTogether(bytes calldata data, Tail[] calldata tails) external nonReentrant {
        _together = true;
        ICrossing(msg.sender).onCross(data);
        _together = false;
        _settle(tails);
    }

    /// @inheritdoc ISharedBridge
    function setLane(uint64 chainId, uint64 other, bool open) external {
        address chainGovernor = _chain(chainId).governor();
        if (msg.sender != chainGovernor) revert NotGovernor(msg.sender, chainGovernor);
        if (other == chainId) revert LaneToItself(chainId);
        _opened[chainId][other] = open;
        emit LaneSet(chainId, other, open);
    }

    /// @inheritdoc ISharedBridge
    function bounce(uint64 from, uint64 to, LaneEntry[] calldata entries, Tail calldata tail) external nonReentrant {
        Lane storage lane_ = _lanes[from][to];
        uint64 index = lane_.taken;
        bytes32 hash = lane_.takenHash;
        for (uint256 i = 0; i < entries.length; ++i) {
            LaneEntry calldata e = entries[i];
            hash = LaneHash.next(hash, LaneHash.entry(e.token, e.amount, e.sender, e.recipient, e.memo));
        }
        lane_.taken = index + uint64(entries.length);
        lane_.takenHash = hash;
        arrivals[to].bounced += uint64(entries.length);
        uint64 openFrom = _requireTail(from, to, tail) + BOUNCE_AFTER;
        if (block.timestamp < openFrom && !_chain(to).halted()) revert BounceTooEarly(from, to, openFrom);
        address source = hub.chain(from);
        for (uint256 i = 0; i < entries.length; ++i) _giveBack(from, to, index + uint64(i), entries[i], source);
    }

    /// @inheritdoc ISharedBridge
    function collectBounced(address owner, address token, address to) external nonReentrant {
        _requireRecipient(owner, to);
        uint256 amount = bounced[owner][token];
        if (amount == 0) revert NothingToPay();
        bounced[owner][token] = 0;
        emit BouncedCollected(owner, token, to, amount);
        _payOut(token, amount, to, owner);
    }

    /// @inheritdoc ISharedBridge
    function lane(uint64 from, uint64 to) external view returns (Lane memory) {
        return _lanes[from][to];
    }

    /// @inheritdoc ISharedBridge
    function laneOpen(uint64 from, uint64 to) public view returns (bool) {
        return from == to || _opened[from][to] && _opened[to][from];
    }

    function _crossAlone(uint64 chainId, uint64 batch, uint256[] calldata records, Tail[] calldata tails)
        private
        nonReentrant
    {
        _enter(chainId, batch, records);
        _settle(tails);
    }

    /// @dev What a batch sends enters its lanes, and what it takes is folded onto what was taken. What is owed for that is
    ///      kept until `_settle`, since it may be sent by a batch that has its turn later.
    function _enter(uint64 chainId, uint64 batch, uint256[] calldata records) private {
        _sendAll(chainId, batch, records);
        _takeAll(chainId, records);
    }

    /// @dev Compares each lane with what was sent, and moves the amounts. What is sent may be what is taken in the same
    ///      batch, so the escrows are debited last.
    function _settle(Tail[] calldata tails) private {
        uint256 count = Moves.takes();
        uint256 last = 0;
        for (uint256 i = 0; i < count; ++i) {
            (uint64 from, uint64 to, uint256 slot, uint256 amount) = Moves.takeAt(i);
            uint256 lane_ = uint256(from) << 64 | to;
            // No chain has the id 0.
            if (lane_ != last) _requirePrefix(from, to, tails);
            last = lane_;
            _arrive(from, to, slot, amount);
        }
        count = Moves.debits();
        for (uint256 i = 0; i < count; ++i) {
            (uint64 chainId, uint256 slot, uint256 amount) = Moves.debitAt(i);
            _debit(chainId, slot, amount);
        }
        Moves.clear();
    }

    function _sendAll(uint64 chainId, uint64 batch, uint256[] calldata records) private {
        Run memory run;
        for (uint256 k = 0; k < records.length; k += WORDS) {
            uint256 w0 = records[k];
            if (Record.kind(w0) != Record.SEND) continue;
            uint64 to = Party.chain(records[k + 2]);
            uint256 slot = Record.token(w0);
            // No chain has the id 0, so the first send begins a run.
            if (to != run.to || slot != run.slot) {
                _end(run);
                run = _begin(chainId, to, batch, slot);
            }
            _send(run, records[k + 1], records[k + 2], Party.owner(records[k + 3]), records[k + 4]);
        }
        _end(run);
    }

    /// @dev Folds the takes onto what was taken before, and notes what came by which lane and in which token.
    function _takeAll(uint64 to, uint256[] calldata records) private {
        uint64 from = 0;
        uint64 count = 0;
        bytes32 hash = 0;
        uint256 slot = 0;
        uint256 total = 0;
        for (uint256 k = 0; k < records.length; k += WORDS) {
            uint256 w0 = records[k];
            if (Record.kind(w0) != Record.TAKE) continue;
            uint256 party = records[k + 3];
            uint64 source = Party.chain(party);
            if (source != from || Record.token(w0) != slot) {
                if (from != 0) Moves.addTake(from, to, slot, total);
                total = 0;
                slot = Record.token(w0);
            }
            if (source != from) {
                if (from != 0) _setTaken(from, to, count, hash);
                from = source;
                count = _lanes[from][to].taken;
                hash = _lanes[from][to].takenHash;
            }
            address recipient = Party.owner(records[k + 2]);
            bytes32 entry =
                LaneHash.entry(_token(to, slot), records[k + 1], Party.owner(party), recipient, records[k + 4]);
            hash = LaneHash.next(hash, entry);
            ++count;
            total += records[k + 1];
        }
        if (from == 0) return;
        _setTaken(from, to, count, hash);
        Moves.addTake(from, to, slot, total);
    }

    /// @dev Reads what all sends of a run need, and whether any of them can go.
    function _begin(uint64 from, uint64 to, uint64 batch, uint256 slot)
        private
        view
        returns (Run memory run)
    {
        run.from = from;
        run.to = to;
        run.batch = batch;
        run.slot = slot;
        run.token = tokenAt[from][slot];
        run.destination = hub.chain(to);
        Lane storage lane_ = _lanes[from][to];
        run.before = run.count = lane_.sent;
        run.hash = lane_.sentHash;
        // Nothing lists ETH.
        run.slotThere = run.token == address(0) ? 0 : _slotOf[to][run.token];
        // In the lane to itself the amount is in the escrow already.
        run.room = from == to ? type(uint256).max : LIMIT - 1 - escrow[to][run.slotThere] - reserved[to][run.slotThere];
        run.reason = _reason(run);
    }

    function _reason(Run memory run) private view returns (uint8) {
        if (run.destination == address(0)) return NO_CHAIN;
        if (!laneOpen(run.from, run.to)) return LANE_CLOSED;
        if (run.slot != 0 && run.slotThere == 0) return NOT_LISTED;
        return 0;
    }

    /// @dev The account is kept last: nothing is kept for what does not go.
    function _send(Run memory run, uint256 amount, uint256 party, address sender, uint256 memo) private {
        address recipient = Party.owner(party);
        uint8 reason = run.reason;
        if (reason == 0) {
            if (Party.inFlow(party)) reason = FLOW;
            // Such records never pass `commit`; a chain that is no `RollupChain` could have them.
            else if (recipient == address(0) || sender == address(0) || memo >> 248 != 0) reason = MALFORMED;
            else if (recipient == address(this)) reason = TO_BRIDGE;
            else if (amount > run.room) reason = NO_ROOM;
            else reason = _book(run, recipient);
        }
        if (reason != 0) {
            emit SendReturned(run.from, run.to, run.batch, reason, sender, amount);
            // The escrow does not move: the amount was a balance, and is a queue entry.
            if (amount != 0) IRollupChain(msg.sender).enqueue(_import(run.slot, amount, sender));
            return;
        }
        run.room -= amount;
        run.total += amount;
        run.hash = LaneHash.next(run.hash, LaneHash.entry(run.token, amount, sender, recipient, memo));
        emit Sent(run.from, run.to, run.count, run.token, amount, sender, recipient, memo, run.batch);
        ++run.count;
    }

    /// @dev Each run ends with a count of its own, so no checkpoint is ever written again.
    function _end(Run memory run) private {
        if (run.count == run.before) return;
        (uint64 from, uint64 to) = (run.from, run.to);
        Moves.addDebit(from, run.slot, run.total);
        transit[from][to][run.token] += run.total;
        reserved[to][run.slotThere] += run.total;
        arrivals[to].sent += run.count - run.before;
        _lanes[from][to].sent = run.count;
        _lanes[from][to].sentHash = run.hash;
        checkpoint[from][to][run.count] = LaneHash.checkpoint(run.hash, run.count, uint64(block.timestamp));
    }

    function _setTaken(uint64 from, uint64 to, uint64 count, bytes32 hash) private {
        _lanes[from][to].taken = count;
        _lanes[from][to].takenHash = hash;
    }

    /// @dev What was reserved comes in, and so there is room for it.
    function _arrive(uint64 from, uint64 to, uint256 slot, uint256 amount) private {
        if (amount == 0) return;
        transit[from][to][tokenAt[to][slot]] -= amount;
        reserved[to][slot] -= amount;
        escrow[to][slot] += amount;
    }

    /// @dev What is taken must be the beginning of what was sent.
    function _requirePrefix(uint64 from, uint64 to, Tail[] calldata tails) private view {
        Lane storage lane_ = _lanes[from][to];
        (uint64 taken, uint64 sent) = (lane_.taken, lane_.sent);
        if (taken > sent) revert TakeWithoutSend(from, to, taken, sent);
        if (taken == sent) {
            if (lane_.takenHash != lane_.sentHash) {
                revert LaneMismatch(from, to, taken, lane_.takenHash, lane_.sentHash);
            }
            return;
        }
        for (uint256 i = 0; i < tails.length; ++i) {
            if (tails[i].from == from && tails[i].to == to) {
                _requireTail(from, to, tails[i]);
                return;
            }
        }
        revert TailMissing(from, to, taken, sent);
    }

    /// @dev What is taken and what is said to follow make the lane as it was at a checkpoint, which is of `time`.
    function _requireTail(uint64 from, uint64 to, Tail calldata tail) private view returns (uint64 time) {
        bytes32 hash = _lanes[from][to].takenHash;
        uint256 count = _lanes[from][to].taken + tail.entries.length;
        for (uint256 i = 0; i < tail.entries.length; ++i) hash = LaneHash.next(hash, tail.entries[i]);
        if (hash != tail.laneHash || count != tail.count) {
            revert LaneMismatch(from, to, uint64(count), hash, tail.laneHash);
        }
        // What this block wrote has a time that nobody knew before.
        time = tail.time == 0 ? uint64(block.timestamp) : tail.time;
        bytes32 said = LaneHash.checkpoint(tail.laneHash, tail.count, time);
        if (tail.from != from || tail.to != to || checkpoint[from][to][tail.count] != said) {
            revert NoSuchCheckpoint(from, to, tail.count);
        }
    }

    /// @dev An import at the source, or, if that does not take it, what the sender may collect. An amount of 0 is neither.
    function _giveBack(uint64 from, uint64 to, uint64 index, LaneEntry calldata e, address source) private {
        uint256 slot = _slotOf[from][e.token];
        transit[from][to][e.token] -= e.amount;
        reserved[to][_slotOf[to][e.token]] -= e.amount;
        bool home = false;
        if (e.amount != 0 && _hasRoom(from, slot, e.amount)) {
            bytes memory entry = abi.encodeCall(IRollupChain.enqueue, (_import(slot, e.amount, e.sender)));
            (home,) = _ask(source, ENQUEUE_GAS, entry);
        }
        emit Bounced(from, to, index, e.token, e.amount, e.sender, home);
        if (home) escrow[from][slot] += e.amount;
        else bounced[e.sender][e.token] += e.amount;
    }

    function _import(uint256 slot, uint256 amount, address owner) private pure returns (uint256[5] memory) {
        return [Record.make(Record.IMPORT, 0, slot), amount, uint256(uint160(owner)), 0, 0];
    }

    /// @dev Keeps a place for the recipient, or says why there is none. The rest of the run does not ask a chain again that
    ///      is over or does not answer.
    function _book(Run memory run, address owner) private returns (uint8) {
        (, uint256 place) = _ask(run.destination, BOOK_GAS, abi.encodeCall(IRollupChain.book, (owner)));
        if (place == uint256(IRollupChain.Place.Kept)) return 0;
        if (place == uint256(IRollupChain.Place.Full)) return ACCOUNTS_FULL;
        return run.reason = CHAIN_HALTED;
    }

    /// @dev A chain is its governor's, who may make of it what does not answer, or takes all gas there is. Too little gas
    ///      for its answer is refused, or the caller could make sends and bounces end otherwise. The word is 0 without an
    ///      answer.
    function _ask(address chain, uint256 gasLimit, bytes memory question)
        private
        returns (bool answered, uint256 word)
    {
        if (gasleft() < gasLimit + SPARE_GAS) revert GasTooLow(gasleft(), gasLimit + SPARE_GAS);
        bytes memory answer;
        (answered, answer) = BoundedCall.call(chain, gasLimit, 0, question, 32);
        answered = answered && answer.length == 32;
        if (answered) word = uint256(bytes32(answer));
    }
}
