// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Target of the L1 sender's drills: settles numbered batches, each once and in order.
/// @notice Not part of a rollup. It has the one property that the sender needs of its target: a batch
/// that took effect is refused the second time.
contract Ledger {
    /// The last settled batch; 0 before the first.
    uint64 public settled;
    /// Whether settling is refused for now.
    bool public closed;

    /// A batch was settled.
    event Settled(uint64 indexed number, address indexed by, bytes32 blobHash);

    /// The batch is not the next one.
    error OutOfOrder(uint64 number, uint64 expected);
    /// The transaction carries no blob.
    error NoBlob();
    /// Settling is refused for now.
    error Closed();

    /// Settles a batch whose data are in the calldata.
    function settle(uint64 number, bytes calldata) external {
        _settle(number, 0);
    }

    /// Settles a batch whose data are in the first blob.
    function settleBlob(uint64 number) external {
        bytes32 blob = blobhash(0);
        if (blob == 0) revert NoBlob();
        _settle(number, blob);
    }

    /// Settles a batch after using up `gasToBurn` gas.
    function settleDearly(uint64 number, uint256 gasToBurn) external {
        uint256 end = gasleft() - gasToBurn;
        while (gasleft() > end) {}
        _settle(number, 0);
    }

    /// Opens or closes the ledger.
    function setClosed(bool closed_) external {
        closed = closed_;
    }

    function _settle(uint64 number, bytes32 blob) private {
        if (closed) revert Closed();
        if (number != settled + 1) revert OutOfOrder(number, settled + 1);
        settled = number;
        emit Settled(number, msg.sender, blob);
    }
}
