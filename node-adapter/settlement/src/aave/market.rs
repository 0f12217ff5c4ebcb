//! Puts a market up: the contracts of Aave v3, Wrapped Ether, and a GHO-like token whose only way into
//! the pool is a capped facilitator.

use alloy::primitives::{Address, Bytes, I256, U256};
use alloy::sol_types::SolValue;

use super::abi::{
    AccountData, IAclManager, IAddressesProvider, IConfigurator, IDataProvider, IPool,
    InitReserveInput,
};
use super::builder::{Builder, view};
use super::package::{AaveError, Package};
use crate::abi::demo::{DirectMinter, GhoLikeToken, PriceSource};
use crate::{L1Client, SettlementError};

/// One unit of shares with 27 decimals.
const RAY: u128 = 1_000_000_000_000_000_000_000_000_000;
/// Decimals of the two reserves.
const DECIMALS: u8 = 18;
/// One dollar with the oracle's 8 decimals.
const DOLLAR: u64 = 100_000_000;

/// Terms of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketOptions {
    /// Price of one WETH in dollars, with 8 decimals.
    pub weth_price: u64,
    /// Price of one GHO-like token in dollars, with 8 decimals.
    pub gho_price: u64,
    /// What WETH lets one borrow, in hundredths of a percent of its value.
    pub loan_to_value: u64,
    /// Debt above this part of the collateral can be liquidated; hundredths of a percent.
    pub threshold: u64,
    /// What the facilitator may mint in all.
    pub bucket: u128,
    /// What it mints and supplies to the pool at once.
    pub supplied: u128,
    /// What the deploying key may mint for itself: it is the second facilitator.
    pub faucet: u128,
}

impl Default for MarketOptions {
    fn default() -> Self {
        let unit = 10u128.pow(DECIMALS.into());
        Self {
            weth_price: 3_000 * DOLLAR,
            gho_price: DOLLAR,
            loan_to_value: 8_000,
            threshold: 8_250,
            bucket: 1_000_000 * unit,
            supplied: 100_000 * unit,
            faucet: 1_000 * unit,
        }
    }
}

/// Where a market's contracts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// The pool.
    pub pool: Address,
    /// `PoolAddressesProvider`.
    pub provider: Address,
    /// Wrapped Ether, as Aave's package has it.
    pub weth: Address,
    /// The GHO-like token.
    pub gho: Address,
    /// The facilitator that supplies it.
    pub minter: Address,
    /// The price of WETH, which the deploying key sets.
    pub weth_price: Address,
    /// The price of the GHO-like token.
    pub gho_price: Address,
    /// What holders of supplied WETH have.
    pub a_weth: Address,
    /// Debt of the GHO-like token, at the variable rate.
    pub gho_debt: Address,
    /// Gas of all transactions together.
    pub gas: u64,
}

impl Market {
    /// Deploys everything with the client's key, which administers the market.
    ///
    /// # Errors
    /// [`AaveError`]: an artifact that is missing, or what the chain refused.
    pub async fn deploy(
        client: &L1Client,
        package: &Package,
        options: &MarketOptions,
    ) -> Result<Self, AaveError> {
        let mut builder = Builder::new(client, package);
        let me = client.address();
        let weth = builder.create("dependencies/weth/WETH9", &[]).await?;
        let gho = builder
            .ours(
                &GhoLikeToken::BYTECODE,
                &GhoLikeToken::constructorCall { manager_: me },
            )
            .await?;
        let weth_price = builder.price(options.weth_price).await?;
        let gho_price = builder.price(options.gho_price).await?;
        let core = builder
            .core(&[(weth, weth_price), (gho, gho_price)])
            .await?;
        builder.list(&core, options, weth, gho).await?;
        let minter = builder.facilitators(core.pool, gho, options).await?;
        let a_weth = builder.tokens(core.data, weth).await?.aToken;
        let gho_debt = builder.tokens(core.data, gho).await?.variableDebtToken;
        Ok(Self {
            pool: core.pool,
            provider: core.provider,
            weth,
            gho,
            minter,
            weth_price,
            gho_price,
            a_weth,
            gho_debt,
            gas: builder.gas,
        })
    }

    /// What the pool says of an account now.
    ///
    /// # Errors
    /// Those of the node; [`SettlementError::NotOurContract`] for an answer of another type.
    pub async fn account(
        &self,
        client: &L1Client,
        user: Address,
    ) -> Result<AccountData, SettlementError> {
        let call = IPool::getUserAccountDataCall { user };
        let data = view(client, self.pool, "getUserAccountData", &call).await?;
        Ok(AccountData {
            collateral: data.totalCollateralBase,
            debt: data.totalDebtBase,
            available: data.availableBorrowsBase,
            threshold: data.currentLiquidationThreshold,
            loan_to_value: data.ltv,
            health_factor: data.healthFactor,
        })
    }
}

/// The parts that reserves need.
struct Core {
    provider: Address,
    pool: Address,
    configurator: Address,
    data: Address,
}

impl Builder<'_> {
    /// The contracts that every market has.
    async fn core(&mut self, prices: &[(Address, Address)]) -> Result<Core, AaveError> {
        let me = self.client.address();
        let arguments = ("Carillon".to_owned(), me).abi_encode_params();
        let provider = self
            .create("protocol/configuration/PoolAddressesProvider", &arguments)
            .await?;
        let of_provider = provider.abi_encode();
        self.call(provider, &IAddressesProvider::setACLAdminCall { admin: me })
            .await?;
        let manager = self
            .create("protocol/configuration/ACLManager", &of_provider)
            .await?;
        self.call(provider, &IAddressesProvider::setACLManagerCall { manager })
            .await?;
        self.call(manager, &IAclManager::addPoolAdminCall { admin: me })
            .await?;
        let (assets, sources): (Vec<_>, Vec<_>) = prices.iter().copied().unzip();
        let nobody = Address::ZERO;
        let arguments = (
            provider,
            assets,
            sources,
            nobody,
            nobody,
            U256::from(DOLLAR),
        );
        let oracle = self
            .create("misc/AaveOracle", &arguments.abi_encode_params())
            .await?;
        self.call(provider, &IAddressesProvider::setPriceOracleCall { oracle })
            .await?;
        let data = self
            .create("misc/AaveProtocolDataProvider", &of_provider)
            .await?;
        let set = IAddressesProvider::setPoolDataProviderCall { provider: data };
        self.call(provider, &set).await?;
        let logic = self.create("protocol/pool/Pool", &of_provider).await?;
        self.call(provider, &IAddressesProvider::setPoolImplCall { logic })
            .await?;
        let logic = self.create("protocol/pool/PoolConfigurator", &[]).await?;
        let set = IAddressesProvider::setPoolConfiguratorImplCall { logic };
        self.call(provider, &set).await?;
        let pool = IAddressesProvider::getPoolCall {};
        let pool = view(self.client, provider, "getPool", &pool).await?;
        let configurator = IAddressesProvider::getPoolConfiguratorCall {};
        let configurator =
            view(self.client, provider, "getPoolConfigurator", &configurator).await?;
        Ok(Core {
            provider,
            pool,
            configurator,
            data,
        })
    }

    /// Lists both tokens: WETH as collateral, the GHO-like token to be borrowed.
    async fn list(
        &mut self,
        core: &Core,
        options: &MarketOptions,
        weth: Address,
        gho: Address,
    ) -> Result<(), AaveError> {
        let of_pool = core.pool.abi_encode();
        let a_token = self
            .create("protocol/tokenization/AToken", &of_pool)
            .await?;
        let stable = self
            .create("protocol/tokenization/StableDebtToken", &of_pool)
            .await?;
        let variable = self
            .create("protocol/tokenization/VariableDebtToken", &of_pool)
            .await?;
        let strategy = self.strategy(core.provider).await?;
        let me = self.client.address();
        let reserve = |asset: Address, symbol: &str| InitReserveInput {
            aTokenImpl: a_token,
            stableDebtTokenImpl: stable,
            variableDebtTokenImpl: variable,
            underlyingAssetDecimals: DECIMALS,
            interestRateStrategyAddress: strategy,
            underlyingAsset: asset,
            treasury: me,
            incentivesController: Address::ZERO,
            aTokenName: format!("Supplied {symbol}"),
            aTokenSymbol: format!("a{symbol}"),
            variableDebtTokenName: format!("Variable debt of {symbol}"),
            variableDebtTokenSymbol: format!("vd{symbol}"),
            stableDebtTokenName: format!("Stable debt of {symbol}"),
            stableDebtTokenSymbol: format!("sd{symbol}"),
            params: Bytes::new(),
        };
        let input = vec![reserve(weth, "WETH"), reserve(gho, "GHOL")];
        let configurator = core.configurator;
        self.call(configurator, &IConfigurator::initReservesCall { input })
            .await?;
        let collateral = IConfigurator::configureReserveAsCollateralCall {
            asset: weth,
            ltv: U256::from(options.loan_to_value),
            threshold: U256::from(options.threshold),
            // What a liquidator pays for is worth this much of it: 5 % above.
            bonus: U256::from(10_500),
        };
        self.call(configurator, &collateral).await?;
        let enabled = true;
        let borrowing = IConfigurator::setReserveBorrowingCall {
            asset: gho,
            enabled,
        };
        self.call(configurator, &borrowing).await?;
        for asset in [weth, gho] {
            let flash = IConfigurator::setReserveFlashLoaningCall { asset, enabled };
            self.call(configurator, &flash).await?;
        }
        Ok(())
    }

    /// Interest: 4 % a year at 80 % use, 75 % more above that; stable debts are not used.
    async fn strategy(&mut self, provider: Address) -> Result<Address, AaveError> {
        let percent = |part: u128| U256::from(RAY / 100 * part);
        let arguments = (
            provider,
            percent(80),
            percent(0),
            percent(4),
            percent(75),
            percent(2),
            percent(75),
            percent(2),
            percent(5),
            percent(20),
        );
        self.create(
            "protocol/pool/DefaultReserveInterestRateStrategy",
            &arguments.abi_encode_params(),
        )
        .await
    }

    /// The facilitator that supplies to the pool, and the deploying key as a small second one.
    async fn facilitators(
        &mut self,
        pool: Address,
        gho: Address,
        options: &MarketOptions,
    ) -> Result<Address, AaveError> {
        let me = self.client.address();
        let minter = DirectMinter::constructorCall {
            token_: gho,
            pool_: pool,
            manager_: me,
        };
        let minter = self.ours(&DirectMinter::BYTECODE, &minter).await?;
        for (facilitator, label, capacity) in [
            (minter, "Direct minter of the pool", options.bucket),
            (me, "Faucet of the demo", options.faucet),
        ] {
            let add = GhoLikeToken::addFacilitatorCall {
                facilitator,
                label: label.into(),
                bucketCapacity: capacity,
            };
            self.call(gho, &add).await?;
        }
        if options.supplied != 0 {
            let amount = U256::from(options.supplied);
            self.call(minter, &DirectMinter::mintAndSupplyCall { amount })
                .await?;
        }
        Ok(minter)
    }

    async fn price(&mut self, dollars: u64) -> Result<Address, AaveError> {
        let answer = I256::unchecked_from(dollars);
        self.ours(
            &PriceSource::BYTECODE,
            &PriceSource::constructorCall { answer },
        )
        .await
    }

    async fn tokens(
        &self,
        data: Address,
        asset: Address,
    ) -> Result<IDataProvider::getReserveTokensAddressesReturn, SettlementError> {
        let call = IDataProvider::getReserveTokensAddressesCall { asset };
        view(self.client, data, "getReserveTokensAddresses", &call).await
    }
}
