// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title  A plain token that anyone may mint
/// @notice For the tests, like everything in this folder; never deployed elsewhere.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLN") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @title  A token that keeps one unit in a hundred of each transfer, when switched on
contract FeeToken is ERC20 {
    bool public charges = true;

    constructor() ERC20("Fee", "FEE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setCharges(bool charges_) external {
        charges = charges_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        // Burnt from the one who gets it, as usual, so that the bridge is short on deposits; and from the one who
        // pays, so that it is short on payments, too.
        if (charges && from != address(0) && to != address(0)) {
            super._update(to, address(0), amount / 100);
            if (balanceOf(from) >= amount / 100) super._update(from, address(0), amount / 100);
        }
    }
}

/// @title  A token whose transfers do nothing and answer false
contract FalseToken {
    function balanceOf(address) external pure returns (uint256) {
        return 1 << 100;
    }

    function allowance(address, address) external pure returns (uint256) {
        return 1 << 100;
    }

    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @title  A token from before the standard: transfers answer with nothing
contract SilentToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @title  A token that calls the bridge again from within a transfer
/// @notice `arm` sets the call. What came of it is kept, so that a test sees the refusal and not only a failure.
contract ReentrantToken is ERC20 {
    address private _target;
    bytes private _call;
    bool public tried;
    bool public succeeded;
    bytes public answer;

    constructor() ERC20("Reentrant", "RE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function arm(address target, bytes calldata call) external {
        (_target, _call, tried, succeeded) = (target, call, false, false);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target == address(0)) return;
        address target = _target;
        _target = address(0);
        (succeeded, answer) = target.call(_call);
        tried = true;
    }
}

/// @title  An owner that is a contract: refuses ETH, or claims again while it is paid
contract ContractOwner {
    bool public refuses;
    address private _target;
    bytes private _call;
    bool public tried;
    bool public succeeded;

    function setRefuses(bool refuses_) external {
        refuses = refuses_;
    }

    function arm(address target, bytes calldata call) external {
        (_target, _call, tried, succeeded) = (target, call, false, false);
    }

    /// @notice Calls as this contract.
    function run(address target, bytes calldata call) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = target.call{value: msg.value}(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }

    receive() external payable {
        require(!refuses, "no ETH");
        if (_target == address(0)) return;
        address target = _target;
        _target = address(0);
        (succeeded,) = target.call(_call);
        tried = true;
    }
}

/// @title  A token that keeps shares, so that balances move by themselves when `rebase` says
/// @notice As stETH, aTokens and AMPL do. `discreet` hides the function by which such tokens are known.
contract RebasingToken {
    uint256 private constant ONE = 1e18;

    uint256 public factor = ONE;
    bool public discreet;
    mapping(address owner => uint256) private _shares;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function setDiscreet(bool discreet_) external {
        discreet = discreet_;
    }

    /// @notice From now on each share is worth `factor_` 10^-18 units.
    function rebase(uint256 factor_) external {
        factor = factor_;
    }

    function mint(address to, uint256 amount) external {
        _shares[to] += amount * ONE / factor;
    }

    function sharesOf(address owner) external view returns (uint256) {
        require(!discreet);
        return _shares[owner];
    }

    function balanceOf(address owner) public view returns (uint256) {
        return _shares[owner] * factor / ONE;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    /// @dev Rounds the shares up, as a careful token does: who pays never pays too little.
    function _move(address from, address to, uint256 amount) private returns (bool) {
        uint256 shares = (amount * ONE + factor - 1) / factor;
        _shares[from] -= shares;
        _shares[to] += shares;
        return true;
    }
}

/// @title  A token with an administrator's switches: it can be paused, and accounts can be blocked
/// @notice As USDC and USDT can. 30 decimals, more than any amount of the rollup can show of it.
contract SwitchedToken is ERC20 {
    error TokenPaused();
    error Blocked(address account);

    bool public paused;
    mapping(address account => bool) public blocked;

    constructor() ERC20("Switched", "SW") {}

    function decimals() public pure override returns (uint8) {
        return 30;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setPaused(bool paused_) external {
        paused = paused_;
    }

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (paused) revert TokenPaused();
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, amount);
    }
}
