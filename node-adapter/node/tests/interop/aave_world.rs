//! A chain with a market of Aave v3 on its Ethereum, and what bundles call there.

use alloy::primitives::{Address, U256};
use carillon_settlement::aave::{IPool, IWrappedEther, Market, MarketOptions, Package};
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::abi::demo::GhoLikeToken;
use carillon_settlement::interop::Call;
use carillon_settlement::interop::contracts::Checks;

use super::world::{CHAIN, World};
use carillon_testing::contracts::PlainToken;

/// Token slots.
pub const WETH: u8 = 3;
pub const GHO: u8 = 4;
pub const UNIT: u128 = 10u128.pow(18);
/// Debts at the variable rate.
const VARIABLE: u64 = 2;

/// The market and `Checks`, with both tokens listed on the chain. The operator has some of each.
pub async fn market(world: &World, options: &MarketOptions) -> (Market, Address) {
    let package = Package::find().unwrap();
    let market = Market::deploy(&world.client, &package, options)
        .await
        .unwrap();
    let me = world.user(0);
    let wrap = IWrappedEther::depositCall {};
    let wei = U256::from(100 * UNIT);
    world.send_value(me, market.weth, &wrap, wei).await.unwrap();
    let mint = GhoLikeToken::mintCall {
        to: me,
        amount: U256::from(10 * UNIT),
    };
    world.send_as(me, market.gho, &mint).await;
    world.list_held(WETH.into(), market.weth).await.unwrap();
    world.list_held(GHO.into(), market.gho).await.unwrap();
    (market, world.create(&Checks::BYTECODE).await)
}

/// A deposit of a token that `from` holds, for `owner`.
pub async fn deposit(
    world: &World,
    from: Address,
    token: (u8, Address),
    amount: u128,
    owner: Address,
    key_proof: Vec<U256>,
) {
    let amount = U256::from(amount);
    let approve = PlainToken::approveCall {
        spender: world.l1.bridge,
        value: amount,
    };
    world.send_as(from, token.1, &approve).await;
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN,
        token: U256::from(token.0),
        amount,
        owner,
        keyProof: key_proof,
    };
    world.send_as(from, world.l1.bridge, &deposit).await;
}

/// What bundles call.
pub struct Actions {
    pub market: Market,
    pub checks: Address,
    pub alias: Address,
}

impl Actions {
    pub fn approve(&self, token: Address, amount: u128) -> Call {
        let approve = IWrappedEther::approveCall {
            spender: self.market.pool,
            amount: U256::from(amount),
        };
        Call::of(token, &approve)
    }

    pub fn supply(&self, amount: u128) -> Call {
        let supply = IPool::supplyCall {
            asset: self.market.weth,
            amount: U256::from(amount),
            onBehalfOf: self.alias,
            referralCode: 0,
        };
        Call::of(self.market.pool, &supply)
    }

    pub fn borrow(&self, amount: u128) -> Call {
        let borrow = IPool::borrowCall {
            asset: self.market.gho,
            amount: U256::from(amount),
            interestRateMode: U256::from(VARIABLE),
            referralCode: 0,
            onBehalfOf: self.alias,
        };
        Call::of(self.market.pool, &borrow)
    }

    pub fn repay_all(&self) -> Call {
        let repay = IPool::repayCall {
            asset: self.market.gho,
            amount: U256::MAX,
            interestRateMode: U256::from(VARIABLE),
            onBehalfOf: self.alias,
        };
        Call::of(self.market.pool, &repay)
    }

    pub fn withdraw_all(&self) -> Call {
        let withdraw = IPool::withdrawCall {
            asset: self.market.weth,
            amount: U256::MAX,
            to: self.alias,
        };
        Call::of(self.market.pool, &withdraw)
    }

    /// The health factor is at least so many hundredths.
    pub fn healthy(&self, hundredths: u64) -> Call {
        let check = Checks::healthFactorCall {
            pool: self.market.pool,
            account: Address::ZERO,
            least: U256::from(hundredths) * U256::from(UNIT / 100),
        };
        Call::of(self.checks, &check)
    }

    pub fn nothing_approved(&self, token: Address) -> Call {
        let check = Checks::noAllowanceCall {
            token,
            account: Address::ZERO,
            spender: self.market.pool,
        };
        Call::of(self.checks, &check)
    }

    /// Supply, borrow, and a floor of 1.5.
    pub fn story(&self, supplied: u128, borrowed: u128) -> Vec<Call> {
        vec![
            self.approve(self.market.weth, supplied),
            self.supply(supplied),
            self.borrow(borrowed),
            self.healthy(150),
        ]
    }
}
