// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @notice Shows that what was taken of a lane is the beginning of what was sent, when more was sent: what follows, up to
///         one of its checkpoints.
/// @param  from     The sending chain.
/// @param  to       The chain that takes.
/// @param  count    How many entries the lane had at the checkpoint.
/// @param  time     Time of the block that wrote the checkpoint; 0 for the block of the transaction itself, whose time
///                  nobody knows before.
/// @param  laneHash The hash of the lane at the checkpoint.
/// @param  entries  The hashes of the entries that follow what is taken, up to `count`.
struct Tail {
    uint64 from;
    uint64 to;
    uint64 count;
    uint64 time;
    bytes32 laneHash;
    bytes32[] entries;
}

/// @notice What a batch moves between chains. A committed batch keeps its hash alone; whoever executes gives it back.
/// @param  records The words of its sends, takes and returns, in order, five each.
/// @param  tails   For each lane of which it does not take all that was sent, what follows.
struct Crossings {
    uint256[] records;
    Tail[] tails;
}
