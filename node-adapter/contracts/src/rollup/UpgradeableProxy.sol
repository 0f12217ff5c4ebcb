// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

/// @title  The proxy in front of a chain or the bridge
/// @notice OpenZeppelin's, so that there is an artifact of it. The logic behind it decides about upgrades (UUPS).
contract UpgradeableProxy is ERC1967Proxy {
    /// @param logic The logic contract.
    /// @param call  Its initialisation.
    constructor(address logic, bytes memory call) ERC1967Proxy(logic, call) {}
}
