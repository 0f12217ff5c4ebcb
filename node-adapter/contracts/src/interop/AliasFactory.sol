// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AliasAccount} from "./AliasAccount.sol";

/// @title  Creates alias accounts at addresses that can be computed before they exist
/// @notice The salt is keccak256(abi.encode(chainId, owner)): the chain is in it, so that the owners of different
///         chains never share an account. Anyone may create any alias account, also before its first bundle; there is
///         nothing to win by being first, since the code, the handler and the owner are fixed by the address.
contract AliasFactory {
    /// @notice An alias account came into being.
    event AliasCreated(uint64 indexed chainId, address indexed owner, address account);

    /// @notice The interop handler that all accounts obey: the one that created this factory.
    address public immutable handler;

    constructor() {
        handler = msg.sender;
    }

    /// @notice The alias account of `owner` on `chainId`, created if it does not exist.
    function ensure(uint64 chainId, address owner) external returns (address account) {
        account = aliasOf(chainId, owner);
        if (account.code.length == 0) {
            new AliasAccount{salt: _salt(chainId, owner)}(handler, chainId, owner);
            emit AliasCreated(chainId, owner, account);
        }
    }

    /// @notice Where the alias account of `owner` on `chainId` is or will be.
    function aliasOf(uint64 chainId, address owner) public view returns (address) {
        bytes memory code = abi.encodePacked(type(AliasAccount).creationCode, abi.encode(handler, chainId, owner));
        bytes memory preimage = abi.encodePacked(hex"ff", address(this), _salt(chainId, owner), keccak256(code));
        return address(uint160(uint256(keccak256(preimage))));
    }

    function _salt(uint64 chainId, address owner) private pure returns (bytes32) {
        return keccak256(abi.encode(chainId, owner));
    }
}
