//! The functions of Aave's contracts that are called, as their interface documents them.
#![allow(missing_docs, clippy::too_many_arguments)]

use alloy::primitives::U256;
use alloy::sol;

sol! {
    /// The pool.
    #[sol(all_derives)]
    interface IPool {
        function supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode) external;
        function withdraw(address asset, uint256 amount, address to) external returns (uint256);
        function borrow(address asset, uint256 amount, uint256 interestRateMode, uint16 referralCode, address onBehalfOf) external;
        function repay(address asset, uint256 amount, uint256 interestRateMode, address onBehalfOf) external returns (uint256);
        function flashLoanSimple(address receiver, address asset, uint256 amount, bytes params, uint16 referralCode) external;
        function getUserAccountData(address user) external view returns (
            uint256 totalCollateralBase, uint256 totalDebtBase, uint256 availableBorrowsBase,
            uint256 currentLiquidationThreshold, uint256 ltv, uint256 healthFactor);
    }

    /// Wrapped Ether.
    #[sol(all_derives)]
    interface IWrappedEther {
        function deposit() external payable;
        function withdraw(uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
    }

    /// Says where the parts of a market are, and deploys the proxies of two of them.
    interface IAddressesProvider {
        function setACLAdmin(address admin) external;
        function setACLManager(address manager) external;
        function setPriceOracle(address oracle) external;
        function setPoolDataProvider(address provider) external;
        function setPoolImpl(address logic) external;
        function setPoolConfiguratorImpl(address logic) external;
        function getPool() external view returns (address);
        function getPoolConfigurator() external view returns (address);
    }

    /// Roles.
    interface IAclManager {
        function addPoolAdmin(address admin) external;
    }

    /// A new reserve.
    struct InitReserveInput {
        address aTokenImpl;
        address stableDebtTokenImpl;
        address variableDebtTokenImpl;
        uint8 underlyingAssetDecimals;
        address interestRateStrategyAddress;
        address underlyingAsset;
        address treasury;
        address incentivesController;
        string aTokenName;
        string aTokenSymbol;
        string variableDebtTokenName;
        string variableDebtTokenSymbol;
        string stableDebtTokenName;
        string stableDebtTokenSymbol;
        bytes params;
    }

    /// Lists reserves and sets their terms.
    interface IConfigurator {
        function initReserves(InitReserveInput[] input) external;
        function configureReserveAsCollateral(address asset, uint256 ltv, uint256 threshold, uint256 bonus) external;
        function setReserveBorrowing(address asset, bool enabled) external;
        function setReserveFlashLoaning(address asset, bool enabled) external;
    }

    /// Says which tokens belong to a reserve.
    interface IDataProvider {
        function getReserveTokensAddresses(address asset) external view
            returns (address aToken, address stableDebtToken, address variableDebtToken);
    }
}

/// What the pool says of an account: amounts in dollars with 8 decimals, shares in hundredths of a
/// percent, the health factor with 18 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountData {
    /// Collateral.
    pub collateral: U256,
    /// Debt.
    pub debt: U256,
    /// What may still be borrowed.
    pub available: U256,
    /// Liquidation threshold.
    pub threshold: U256,
    /// Loan to value.
    pub loan_to_value: U256,
    /// Health factor; the largest number without a debt.
    pub health_factor: U256,
}
