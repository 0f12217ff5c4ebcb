// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  The registry of ERC-1820, as far as it is used here
interface IRegistry1820 {
    function setInterfaceImplementer(address account, bytes32 interfaceHash, address implementer) external;
}

/// @title  An owner whom ERC-777 tokens tell of each payment, and who calls again from within
/// @notice `arm` sets the call of the next payment that goes out or comes in. What came of it is kept.
contract HookedOwner {
    IRegistry1820 private constant REGISTRY = IRegistry1820(0x1820a4B7618BdE71Dce8cdc73aAB6C95905faD24);

    bool public refuses;
    bool private _outgoing;
    address private _target;
    bytes private _call;
    bool public tried;
    bool public succeeded;
    bytes public answer;

    constructor() {
        REGISTRY.setInterfaceImplementer(address(this), keccak256("ERC777TokensSender"), address(this));
        REGISTRY.setInterfaceImplementer(address(this), keccak256("ERC777TokensRecipient"), address(this));
    }

    function setRefuses(bool refuses_) external {
        refuses = refuses_;
    }

    function arm(bool outgoing, address target, bytes calldata call) external {
        (_outgoing, _target, _call, tried, succeeded) = (outgoing, target, call, false, false);
    }

    /// @notice Calls as this contract.
    function run(address target, bytes calldata call) external returns (bytes memory) {
        (bool ok, bytes memory result) = target.call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    /// @notice Called by the token before balances move.
    function tokensToSend(address, address, address, uint256, bytes calldata, bytes calldata) external {
        _again(true);
    }

    /// @notice Called by the token after balances have moved.
    function tokensReceived(address, address, address, uint256, bytes calldata, bytes calldata) external {
        require(!refuses, "no tokens");
        _again(false);
    }

    function _again(bool outgoing) private {
        if (_target == address(0) || outgoing != _outgoing) return;
        address target = _target;
        _target = address(0);
        (succeeded, answer) = target.call(_call);
        tried = true;
    }
}
