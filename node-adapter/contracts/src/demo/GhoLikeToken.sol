// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title  A token that named facilitators mint, each under a cap of its own
/// @notice For the demo and the tests: the rules of GHO's facilitators, written anew from their public description. No
///         discounts and no interest: a pool lists it as any other token.
contract GhoLikeToken is ERC20 {
    /// @notice Who may mint, how much in all, and how much of that is out.
    struct Facilitator {
        string label;
        uint128 bucketCapacity;
        uint128 bucketLevel;
    }

    /// @notice A facilitator was added.
    event FacilitatorAdded(address indexed facilitator, string label, uint256 bucketCapacity);
    /// @notice A facilitator was removed.
    event FacilitatorRemoved(address indexed facilitator);
    /// @notice A facilitator's cap changed.
    event BucketCapacityChanged(address indexed facilitator, uint256 before, uint256 bucketCapacity);
    /// @notice A facilitator minted or burnt.
    event BucketLevelChanged(address indexed facilitator, uint256 before, uint256 bucketLevel);

    /// @notice Only the manager may do this.
    error NotManager(address caller);
    /// @notice A facilitator needs an address and a label, once.
    error FacilitatorRefused(address facilitator);
    /// @notice The caller is no facilitator.
    error NotFacilitator(address caller);
    /// @notice What the facilitator minted must be burnt first.
    error BucketNotEmpty(address facilitator, uint256 bucketLevel);
    /// @notice The facilitator's cap does not allow so much.
    error BucketFull(address facilitator, uint256 bucketLevel, uint256 amount, uint256 bucketCapacity);
    /// @notice The facilitator has not minted so much.
    error BucketTooLow(address facilitator, uint256 bucketLevel, uint256 amount);
    /// @notice Nothing to mint or burn.
    error EmptyAmount();

    /// @notice Adds and removes facilitators and sets their caps.
    address public immutable manager;
    mapping(address facilitator => Facilitator) private _facilitators;

    constructor(address manager_) ERC20("GHO-like stablecoin of the Carillon demo", "GHOL") {
        manager = manager_;
    }

    modifier onlyManager() {
        if (msg.sender != manager) revert NotManager(msg.sender);
        _;
    }

    /// @notice Adds a facilitator; its label is how one sees that it is there.
    function addFacilitator(address facilitator, string calldata label, uint128 bucketCapacity) external onlyManager {
        Facilitator storage entry = _facilitators[facilitator];
        if (facilitator == address(0) || bytes(label).length == 0 || bytes(entry.label).length != 0) {
            revert FacilitatorRefused(facilitator);
        }
        entry.label = label;
        entry.bucketCapacity = bucketCapacity;
        emit FacilitatorAdded(facilitator, label, bucketCapacity);
    }

    /// @notice Removes a facilitator that has burnt all it minted.
    function removeFacilitator(address facilitator) external onlyManager {
        Facilitator storage entry = _known(facilitator);
        if (entry.bucketLevel != 0) revert BucketNotEmpty(facilitator, entry.bucketLevel);
        delete _facilitators[facilitator];
        emit FacilitatorRemoved(facilitator);
    }

    /// @notice Sets a facilitator's cap. Below what is out it stops minting and takes nothing back.
    function setBucketCapacity(address facilitator, uint128 bucketCapacity) external onlyManager {
        Facilitator storage entry = _known(facilitator);
        emit BucketCapacityChanged(facilitator, entry.bucketCapacity, bucketCapacity);
        entry.bucketCapacity = bucketCapacity;
    }

    /// @notice Mints under the caller's cap.
    function mint(address to, uint256 amount) external {
        Facilitator storage entry = _known(msg.sender);
        if (amount == 0) revert EmptyAmount();
        uint256 level = entry.bucketLevel;
        if (amount > type(uint128).max || level + amount > entry.bucketCapacity) {
            revert BucketFull(msg.sender, level, amount, entry.bucketCapacity);
        }
        entry.bucketLevel = uint128(level + amount);
        emit BucketLevelChanged(msg.sender, level, level + amount);
        _mint(to, amount);
    }

    /// @notice Burns the caller's own tokens; as much can be minted again.
    function burn(uint256 amount) external {
        Facilitator storage entry = _known(msg.sender);
        if (amount == 0) revert EmptyAmount();
        uint256 level = entry.bucketLevel;
        if (amount > level) revert BucketTooLow(msg.sender, level, amount);
        entry.bucketLevel = uint128(level - amount);
        emit BucketLevelChanged(msg.sender, level, level - amount);
        _burn(msg.sender, amount);
    }

    /// @notice A facilitator; all empty if the address is none.
    function facilitatorOf(address facilitator) external view returns (Facilitator memory) {
        return _facilitators[facilitator];
    }

    function _known(address facilitator) private view returns (Facilitator storage entry) {
        entry = _facilitators[facilitator];
        if (bytes(entry.label).length == 0) revert NotFacilitator(facilitator);
    }
}
