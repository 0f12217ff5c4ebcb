// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {CrosschainRemoteExecutor} from "@openzeppelin/contracts/crosschain/CrosschainRemoteExecutor.sol";
import {ERC7786Recipient} from "@openzeppelin/contracts/crosschain/ERC7786Recipient.sol";

/// @title  A receiver as OpenZeppelin wrote it: one gateway, one controller; for tests of `Forwarder7786`
contract RemoteExecutor is CrosschainRemoteExecutor {
    constructor(address gateway_, bytes memory controller_) CrosschainRemoteExecutor(gateway_, controller_) {}

    receive() external payable {}
}

/// @title  A receiver on OpenZeppelin's base that writes down what it hears, from one gateway and any sender
contract MessageBook is ERC7786Recipient {
    /// @notice An id came twice.
    error IdTwice(bytes32 receiveId);

    /// @notice The one gateway.
    address public immutable gateway;
    /// @notice How many messages came, with what, and from whom the last.
    uint256 public count;
    bytes public lastSender;
    bytes public lastPayload;
    uint256 public lastValue;
    mapping(bytes32 receiveId => bool) public seen;

    constructor(address gateway_) {
        gateway = gateway_;
    }

    function _isAuthorizedGateway(address instance, bytes calldata) internal view override returns (bool) {
        return instance == gateway;
    }

    function _processMessage(address, bytes32 receiveId, bytes calldata sender, bytes calldata payload)
        internal
        override
    {
        if (seen[receiveId]) revert IdTwice(receiveId);
        seen[receiveId] = true;
        ++count;
        (lastSender, lastPayload, lastValue) = (sender, payload, msg.value);
    }
}

/// @title  What speaks to `Forwarder7786` and is not what it should be; for tests
contract Impostor7786 {
    /// @notice As an alias account has them: claimed, not true.
    uint64 public chainId;
    address public owner;

    receive() external payable {}

    /// @notice Claims to act for an owner.
    function claim(uint64 chainId_, address owner_) external {
        (chainId, owner) = (chainId_, owner_);
    }

    /// @notice Makes a call and fails as it fails.
    function forward(address to, bytes calldata call_) external {
        (bool ok, bytes memory answer) = to.call(call_);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    /// @notice Answers as no receiver does.
    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        return 0xdeadbeef;
    }
}
