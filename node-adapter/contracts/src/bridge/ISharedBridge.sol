// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Tail} from "./Crossings.sol";

/// @title  The escrow of every chain's ETH and tokens
/// @notice Implemented by `SharedBridge`; called by users and by the interop handler. `escrow(chain, token)` is what
///         the chain may pay out: it rises with deposits and imports and falls with claims, exits and refunds, and is
///         never negative.
interface ISharedBridge {
    /// @notice A message that a batch sent, with its place in the batch's message tree (`IChainHub.verifyMessage`).
    struct Message {
        uint64 chainId;
        uint64 batch;
        uint256 k;
        uint256[5] words;
        bytes32[] path;
        uint256 position;
    }

    /// @notice A cell, opened against the last executed root; for `reclaim` also one that was kept. Paths hold the three
    ///         siblings of each level, from the leaf up, in the order of their places.
    /// @param  account     The account index.
    /// @param  token       The token slot.
    /// @param  balance     The balance of the cell.
    /// @param  keyX        The account's key.
    /// @param  keyY        The account's key.
    /// @param  header      nonce + 2^32 owner.
    /// @param  tokenPath   3 * 3 siblings.
    /// @param  accountPath 12 * 3 siblings.
    struct StateProof {
        uint256 account;
        uint256 token;
        uint256 balance;
        uint256 keyX;
        uint256 keyY;
        uint256 header;
        uint256[9] tokenPath;
        uint256[36] accountPath;
    }

    /// @notice What stands in a lane, in the order of the sends.
    /// @param  token     The token; zero for ETH.
    /// @param  amount    Below 2^96, may be 0.
    /// @param  sender    Who owned the account that sent it; what comes back is his.
    /// @param  recipient Who owns the account that it is for.
    /// @param  memo      Word 4 of the send.
    struct LaneEntry {
        address token;
        uint256 amount;
        address sender;
        address recipient;
        uint256 memo;
    }

    /// @notice A lane from one chain to another, or to itself: how many entries went in and out, and the hashes over
    ///         them. What was taken is always the beginning of what was sent.
    struct Lane {
        uint64 sent;
        uint64 taken;
        bytes32 sentHash;
        bytes32 takenHash;
    }

    /// @notice Amounts in events are in the token's smallest unit.
    event Deposited(
        uint64 indexed chainId, uint256 indexed token, address indexed owner, uint256 amount, uint64 queueIndex
    );
    /// @notice A withdrawal or an exit was paid.
    event Claimed(uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address to, uint256 amount);
    /// @notice A bundle's amount went to the alias account.
    event BundleClaimed(uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address to, uint256 amount);
    /// @notice A bundle's amount without its tip goes back to its owner: as an import into the chain, or, if that is
    ///         halted, on L1.
    event BundleReturned(
        uint64 indexed chainId, uint64 indexed batch, uint256 indexed k, address owner, uint256 amount
    );
    /// @notice A balance of a halted chain was paid to its owner.
    event Exited(uint64 indexed chainId, uint256 indexed account, uint256 indexed token, address to, uint256 amount);
    /// @notice An entry of a halted chain's queue that was never executed was paid back.
    event Recovered(uint64 indexed chainId, uint64 indexed index, address to, uint256 amount);
    /// @notice Proofs against the state root after this batch show owners from here on, whatever the chain executes.
    event StateRootKept(uint64 indexed chainId, uint64 indexed batch, uint256 root);
    /// @notice A chain's token slot was given to a token, for good.
    event TokenSet(uint64 indexed chainId, uint256 indexed slot, address indexed token);
    /// @notice Deposits below `least` are refused.
    event LeastDepositSet(uint64 indexed chainId, uint256 indexed slot, uint256 least);
    /// @notice The bridge holds less of the token than it owes, and `owner` agreed to its share of what there is.
    event PaidShare(address indexed token, address indexed owner, uint256 asked, uint256 paid);
    /// @notice From here on `owner` takes its share of a token of which the bridge holds `least` 10^-18 of what it owes
    ///         or more; 0 takes no shares.
    event ShareAccepted(address indexed token, address indexed owner, uint256 least);
    /// @notice Bundles are run by this contract, too, and it is the one for new bundles.
    event HandlerSet(address indexed handler);
    /// @notice Bundles are not run by this contract any more; owners use its alias accounts themselves.
    event HandlerRemoved(address indexed handler);
    /// @notice A send of an executed batch went into the lane, as its entry `index`.
    event Sent(
        uint64 indexed from,
        uint64 indexed to,
        uint64 indexed index,
        address token,
        uint256 amount,
        address sender,
        address recipient,
        uint256 memo,
        uint64 batch
    );
    /// @notice A send of an executed batch could not go and came back at once, as an import for its sender. `reason`:
    ///         1 no such chain, 2 the lane is not open, 3 the chain is halted, 4 the token is not listed there, 5 the chain
    ///         would hold too much, 6 its account tree is full, 7 a leg of a flow, 8 the recipient is the bridge,
    ///         9 malformed: no recipient, no sender, or a memo of more than 248 bits.
    event SendReturned(
        uint64 indexed from, uint64 indexed to, uint64 batch, uint8 reason, address indexed sender, uint256 amount
    );
    /// @notice An entry that was not taken went back to its sender: as an import (`home`), or as what he may collect;
    ///         an amount of 0 is neither.
    event Bounced(
        uint64 indexed from,
        uint64 indexed to,
        uint64 indexed index,
        address token,
        uint256 amount,
        address sender,
        bool home
    );
    /// @notice A sender collected what had bounced.
    event BouncedCollected(address indexed owner, address indexed token, address to, uint256 amount);
    /// @notice A chain's governor opened it towards another, or closed it. A lane is open if both chains are.
    event LaneSet(uint64 indexed chainId, uint64 indexed other, bool open);
    /// @notice The governor changed.
    event GovernorChanged(address indexed from, address indexed to);

    /// @notice Only the governor may do this.
    error NotGovernor(address caller, address governor);
    /// @notice Only an interop handler that is accepted may do this; `handler` is the newest.
    error NotHandler(address caller, address handler);
    /// @notice Only the one who is paid may send the payment elsewhere.
    error NotRecipient(address caller, address recipient);
    /// @notice No chain has this id.
    error UnknownChain(uint64 chainId);
    /// @notice The chain does not know this token.
    error UnknownToken(uint64 chainId, uint256 slot);
    /// @notice The slot is taken, out of range, or the token has another slot already.
    error TokenSlotRefused(uint64 chainId, uint256 slot, address token);
    /// @notice Whoever lists a token holds `probe` units of it and has approved the bridge for them: they move in and
    ///         back in the same call.
    error TokenProbeMissing(address token, uint256 probe, uint256 balance, uint256 allowance);
    /// @notice Balances of this token are not moved by transfers alone, and in full.
    error TokenRefused(address token, string reason);
    /// @notice The bridge holds less of the token than it owes. Who is paid may wait, or agree to a share of what there
    ///         is (`acceptShare`). Deposits wait.
    error TokenShort(address token, uint256 held, uint256 owed);
    /// @notice A deposit of this token has at least `least` units.
    error DepositTooSmall(uint256 amount, uint256 least);
    /// @notice The chain is halted: it takes nothing in any more.
    error ChainHalted(uint64 chainId);
    /// @notice The chain is not halted: its operator serves exits.
    error ChainNotHalted(uint64 chainId);
    /// @notice The chain is paused.
    error ChainPaused(uint64 chainId, uint64 until);
    /// @notice A deposit has an amount and an owner.
    error EmptyDeposit();
    /// @notice The ETH sent is less than the amount and the chain's deposit fee, or comes with nothing to pay.
    error WrongValue(uint256 sent, uint256 expected);
    /// @notice A chain holds at most 2^96 - 1 of each token.
    error EscrowFull(uint64 chainId, uint256 token, uint256 held, uint256 amount);
    /// @notice The chain is asked to pay more than it holds: its proofs are broken, and no other chain pays for it.
    error EscrowTooSmall(uint64 chainId, uint256 token, uint256 held, uint256 amount);
    /// @notice The token moved another amount than asked: tokens that charge or rebase on transfer are not taken.
    error TokenMovedOtherAmount(address token, uint256 moved, uint256 expected);
    /// @notice The recipient refused the ETH; it may name another address.
    error EtherRefused(address to, uint256 amount);
    /// @notice A key comes from the owner alone.
    error KeyNotFromOwner(address caller, address owner);
    /// @notice The points are not P, 2P, 4P, 8P of Jubjub with 8P not the identity, each coordinate below the field's
    ///         order.
    error KeyProofInvalid(uint256 step);
    /// @notice The message was used already.
    error MessageUsed(uint64 chainId, uint64 batch, uint256 k);
    /// @notice The message is of another kind than this function serves.
    error WrongMessageKind(uint256 kind);
    /// @notice The word is not an address.
    error NotAnAddress(uint256 word);
    /// @notice Zero, the bridge itself, or no address at all can never claim; the owner of the account takes such a
    ///         withdrawal back (`reclaim`).
    error RecipientCannotClaim(uint256 recipient);
    /// @notice The recipient can claim this withdrawal itself (`claim`).
    error RecipientCanClaim(address recipient);
    /// @notice The state proof is of another account than the one that sent the message.
    error WrongAccount(uint256 account, uint256 expected);
    /// @notice The state proof does not lead to the chain's root; it may be of an earlier state (`keepStateRoot`).
    error StateProofInvalid(uint256 root, uint256 expected);
    /// @notice A part of the state proof is out of range.
    error StateProofRange();
    /// @notice The cell was paid already.
    error AlreadyExited(uint64 chainId, uint256 account, uint256 token);
    /// @notice There is nothing to pay.
    error NothingToPay();
    /// @notice The entry was executed, or is not in the queue.
    error EntryNotOpen(uint64 index, uint64 executed, uint64 length);
    /// @notice These words are not the queue's entry.
    error EntryMismatch(uint64 index);
    /// @notice The entry was paid back already.
    error AlreadyRecovered(uint64 chainId, uint64 index);

    /// @notice Only the chain of this id moves what is between it and others.
    error NotTheChain(address caller, uint64 chainId);
    /// @notice A chain's lane to itself is always open.
    error LaneToItself(uint64 chainId);
    /// @notice More is taken than was sent.
    error TakeWithoutSend(uint64 from, uint64 to, uint64 taken, uint64 sent);
    /// @notice What was taken, and what is said to follow, is not what was sent: another token, amount, sender, recipient,
    ///         memo or order.
    error LaneMismatch(uint64 from, uint64 to, uint64 count, bytes32 found, bytes32 expected);
    /// @notice More was sent than is taken: what follows must be shown.
    error TailMissing(uint64 from, uint64 to, uint64 taken, uint64 sent);
    /// @notice The lane did not have this state and time when it had this many entries.
    error NoSuchCheckpoint(uint64 from, uint64 to, uint64 count);
    /// @notice Entries go back when the receiving chain is halted, or from this time on.
    error BounceTooEarly(uint64 from, uint64 to, uint64 openFrom);
    /// @notice Another chain is called with a bounded amount of gas, and what is left is not enough for that: its silence
    ///         would be the caller's doing.
    error GasTooLow(uint256 left, uint256 needed);
    /// @notice A batch moves more of a token than there can be.
    error MoveTooLarge(uint256 amount);

    /// @notice Deposits `amount` of the token in `token` for `owner`; ETH (slot 0) comes with the call, and so does the
    ///         chain's `depositFee`. What is above goes back to the caller.
    /// @param  keyProof Empty, or P, 2P, 4P, 8P as x, y pairs: 8P becomes the account's key. From the owner alone.
    /// @return index    The place in the chain's queue.
    function deposit(uint64 chainId, uint256 token, uint256 amount, address owner, uint256[] calldata keyProof)
        external
        payable
        returns (uint64 index);

    /// @notice Pays a withdrawal or an exit to its recipient; the recipient itself may name another address. A payment
    ///         that fails leaves the message open.
    function claim(Message calldata message, address to) external;

    /// @notice Uses a bundle message and moves its amount (w1 of its token, may be 0) to `to`, the alias account. For
    ///         the handler, which checks `to` and the bundle.
    function claimBundle(Message calldata message, address to) external;

    /// @notice Uses a bundle message and gives its amount but the tip back to its owner (w3): as an import into the
    ///         chain, or, if the chain is halted, on L1. The tip is paid to `to`, who ran the bundle. For the handler,
    ///         which knows the tip that the owner signed; a tip above the amount reverts.
    function returnBundle(Message calldata message, uint256 tip, address to) external;

    /// @notice Keeps the last executed state root of a chain, so that no later batch voids the proofs for `reclaim` that
    ///         are made against it. For anyone; who makes such a proof pays, and not each batch.
    /// @return batch The batch after which the chain has that state.
    /// @return root  The root.
    function keepStateRoot(uint64 chainId) external returns (uint64 batch, uint256 root);

    /// @notice Pays a withdrawal whose recipient can never claim it (zero, the bridge itself, or no address) to the owner
    ///         of the account that sent it, who may name another address. The owner is shown by a proof of any cell of
    ///         that account against the last executed root, or one that was kept.
    function reclaim(Message calldata message, StateProof calldata proof, address to) external;

    /// @notice After a halt: pays the balance of a cell to the account's owner, who may name another address.
    function exit(uint64 chainId, StateProof calldata proof, address to) external;

    /// @notice After a halt: pays a deposit or an import that was never executed back to its owner, who may name
    ///         another address. `words` are the entry's as in `IRollupChain.QueueEntry`.
    function recover(uint64 chainId, uint64 index, uint256[5] calldata words, address to) external;

    /// @notice Gives a free slot (1 to 63) of a chain to a token, for good. For the governor, who holds 1,000,000 units
    ///         of it and has approved the bridge for them: they are moved in and back, and every balance measured.
    /// @param  least Deposits below are refused.
    function setToken(uint64 chainId, uint256 slot, address token, uint256 least) external;

    /// @notice Refuses deposits below `least` from now on. For the governor.
    function setLeastDeposit(uint64 chainId, uint256 slot, uint256 least) external;

    /// @notice Agrees to be paid less when the bridge holds less of a token than it owes: amount * held / owed, as long
    ///         as held / owed is `least` 10^-18 or more. 0, as at the beginning, agrees to nothing: payments wait. Holds
    ///         for claims, exits, refunds and bundles of the caller.
    function acceptShare(address token, uint256 least) external;

    /// @notice Accepts an interop handler, and makes it the one for new bundles. Those accepted before stay: bundles and
    ///         alias accounts are bound to the handler that they were signed for. For the governor.
    function setHandler(address handler) external;

    /// @notice Accepts a handler no more. Its bundles can be cancelled, its alias accounts obey their owners. For the
    ///         governor.
    function removeHandler(address handler) external;

    /// @notice Hands the governor's rights over. For the governor.
    function setGovernor(address governor) external;

    /// @notice Moves the sends of an executed batch into their lanes, those that cannot go back at once, then its takes out
    ///         of theirs, and only then lowers the escrow by what was sent: a batch may send on what it takes. For the chain.
    /// @param  batch   Named in events.
    /// @param  records The batch's crossings, five words each.
    /// @param  tails   For each lane of which not all is taken, what follows. Not looked at inside `crossTogether`.
    function cross(uint64 chainId, uint64 batch, uint256[] calldata records, Tail[] calldata tails) external;

    /// @notice Lets batches of several chains cross at once, so that what one takes another may send, and the other way
    ///         round. Calls `onCross` on the caller, who executes the batches; what they take is compared with what was
    ///         sent, and escrows are moved, after all of them. All or nothing. For anyone: it gives no right but this one.
    /// @param  data  Handed to `onCross`.
    /// @param  tails For each lane of which not all is taken, what follows.
    function crossTogether(bytes calldata data, Tail[] calldata tails) external;

    /// @notice Opens a chain towards another, or closes it: new sends need both sides. What was sent can be taken all the
    ///         same. For the chain's governor.
    function setLane(uint64 chainId, uint64 other, bool open) external;

    /// @notice Gives the next entries of a lane that were not taken back to their senders: if the receiving chain is
    ///         halted, or 7 days after the tail's checkpoint. For anyone.
    /// @param  tail What follows `entries`, up to a checkpoint of the lane.
    function bounce(uint64 from, uint64 to, LaneEntry[] calldata entries, Tail calldata tail) external;

    /// @notice Pays an owner what bounced and could not go back into his chain. Anyone may have it sent to the owner, who
    ///         may name another address.
    function collectBounced(address owner, address token, address to) external;

    /// @notice A lane.
    function lane(uint64 from, uint64 to) external view returns (Lane memory);

    /// @notice Whether new sends can go from one chain to the other.
    function laneOpen(uint64 from, uint64 to) external view returns (bool);

    /// @notice The state of a lane when it had `count` entries: keccak256(abi.encode(hash, count, time)). There is one
    ///         after each run of a batch's sends that follow each other in one lane and one token; zero elsewhere. None
    ///         is ever overwritten.
    function checkpoint(uint64 from, uint64 to, uint64 count) external view returns (bytes32);

    /// @notice How many entries went into all lanes to a chain (`Sent`), and how many of them went back (`Bounced`): who
    ///         reads events sees that none was left out.
    function arrivals(uint64 to) external view returns (uint64 sent, uint64 bounced);

    /// @notice What was sent through a lane and is neither taken nor bounced; ETH is the zero address.
    function transit(uint64 from, uint64 to, address token) external view returns (uint256);

    /// @notice What may still come into a chain through its lanes. Deposits must leave room for it.
    function reserved(uint64 chainId, uint256 slot) external view returns (uint256);

    /// @notice What bounced and waits for its owner (`collectBounced`).
    function bounced(address owner, address token) external view returns (uint256);

    /// @notice What a chain may pay out of a token.
    function escrow(uint64 chainId, uint256 token) external view returns (uint256);

    /// @notice The token in a chain's slot; ETH is the zero address in slot 0.
    function tokenAt(uint64 chainId, uint256 slot) external view returns (address);

    /// @notice Whether a message was used.
    function messageUsed(uint64 chainId, uint64 batch, uint256 k) external view returns (bool);

    /// @notice Whether a cell of a halted chain was paid.
    function cellExited(uint64 chainId, uint256 account, uint256 token) external view returns (bool);

    /// @notice Whether a chain had this state root when `keepStateRoot` was called.
    function stateRootKept(uint64 chainId, uint256 root) external view returns (bool);

    /// @notice Whether an entry of a halted chain's queue was paid back.
    function entryRecovered(uint64 chainId, uint64 index) external view returns (bool);

    /// @notice The interop handler for new bundles; zero if there is none.
    function handler() external view returns (address);

    /// @notice Whether an interop handler is accepted.
    function isHandler(address handler) external view returns (bool);

    /// @notice What the bridge owes of a token, to all chains together. Not kept for ETH, which cannot get less.
    function owed(address token) external view returns (uint256);

    /// @notice The least deposit of a token.
    function leastDeposit(uint64 chainId, uint256 slot) external view returns (uint256);

    /// @notice What `owner` agreed to by `acceptShare`.
    function leastShare(address owner, address token) external view returns (uint256);
}
