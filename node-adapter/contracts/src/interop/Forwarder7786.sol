// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC7786GatewaySource, IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";

import {AliasAccount} from "./AliasAccount.sol";
import {AliasFactory} from "./AliasFactory.sol";

/// @title  Messages of ERC-7786 from owners of L2 accounts
/// @notice A bundle calls `sendMessage` through the owner's alias account, and the recipient hears of the owner: its
///         `receiveMessage` is called in the same transaction with the owner's address on its rollup, in the form of
///         ERC-7930. A recipient that trusts this gateway trusts that the owner signed, and nothing else.
/// @dev    Nobody can speak for another: whoever calls says which chain and owner it acts for, and must stand at the one
///         address that the factory gives to this pair. No owner, no switch, no funds.
contract Forwarder7786 is IERC7786GatewaySource {
    /// @notice The caller is not the alias account of the chain and owner that it names.
    error NotAnAlias(address caller);
    /// @notice The recipient must be an account of this chain, encoded in the one canonical way.
    error RecipientRefused(bytes recipient);
    /// @notice The recipient answered something other than the selector of `receiveMessage`.
    error NotReceived(address recipient, bytes4 answer);

    /// @notice Gives alias accounts their addresses.
    AliasFactory public immutable factory;
    /// @notice How many messages were sent.
    uint256 public sent;

    constructor(AliasFactory factory_) {
        factory = factory_;
    }

    /// @inheritdoc IERC7786GatewaySource
    /// @notice There are no attributes.
    function supportsAttribute(bytes4) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IERC7786GatewaySource
    /// @dev The message is delivered at once, so the answer is 0. The id that the recipient sees is the hash of this
    ///      chain, this contract and the message's number, so it never comes twice.
    function sendMessage(bytes calldata recipient, bytes calldata payload, bytes[] calldata attributes)
        external
        payable
        returns (bytes32)
    {
        if (attributes.length != 0) {
            revert UnsupportedAttribute(attributes[0].length < 4 ? bytes4(0) : bytes4(attributes[0][:4]));
        }
        address target = _target(recipient);
        bytes memory sender = _sender();
        bytes32 receiveId = keccak256(abi.encode(block.chainid, address(this), sent++));
        emit MessageSent(bytes32(0), sender, recipient, payload, msg.value, attributes);
        bytes4 answer = IERC7786Recipient(target).receiveMessage{value: msg.value}(receiveId, sender, payload);
        if (answer != IERC7786Recipient.receiveMessage.selector) revert NotReceived(target, answer);
        return bytes32(0);
    }

    /// @dev The owner that the calling alias account acts for. Any contract can claim a chain and an owner; only the alias
    ///      account stands at their address.
    function _sender() private view returns (bytes memory) {
        if (msg.sender.code.length == 0) revert NotAnAlias(msg.sender);
        uint64 chainId = AliasAccount(payable(msg.sender)).chainId();
        address owner = AliasAccount(payable(msg.sender)).owner();
        if (factory.aliasOf(chainId, owner) != msg.sender) revert NotAnAlias(msg.sender);
        return InteroperableAddress.formatEvmV1(chainId, owner);
    }

    /// @dev The library's parser takes trailing bytes and leading zeros; here one account has one form.
    function _target(bytes calldata recipient) private view returns (address target) {
        (bool ok,, address parsed) = InteroperableAddress.tryParseEvmV1Calldata(recipient);
        target = parsed;
        if (!ok || keccak256(recipient) != keccak256(InteroperableAddress.formatEvmV1(block.chainid, target))) {
            revert RecipientRefused(recipient);
        }
    }
}
