//! What Aave v3 must say of an account that supplies one token and borrows another: its published rules
//! of interest, value and rounding, written anew. Nothing here asks a contract.

use alloy::primitives::U256;
use carillon_settlement::aave::{AccountData, MarketOptions};

const RAY: u128 = 10u128.pow(27);
const WAD: u128 = 10u128.pow(18);
const YEAR: u64 = 365 * 24 * 3_600;

fn ray() -> U256 {
    U256::from(RAY)
}

/// Half up, with 27 decimals.
fn ray_mul(a: U256, b: U256) -> U256 {
    (a * b + ray() / U256::from(2)) / ray()
}

fn ray_div(a: U256, b: U256) -> U256 {
    (a * ray() + b / U256::from(2)) / b
}

/// Half up, of hundredths of a percent.
fn percent(value: U256, part: u64) -> U256 {
    (value * U256::from(part) + U256::from(5_000)) / U256::from(10_000)
}

/// Variable rate a year with 27 decimals, of a reserve with so much lent and so much left: 4 % at 80 % use.
pub fn variable_rate(lent: U256, left: U256) -> U256 {
    let used = ray_div(lent, lent + left);
    let optimal = U256::from(RAY / 100 * 80);
    assert!(used <= optimal, "the model knows the first slope alone");
    ray_div(ray_mul(U256::from(RAY / 100 * 4), used), optimal)
}

/// A debt after so many seconds at a rate: three terms of the binomial series.
pub fn grown(debt: U256, rate: U256, seconds: u64) -> U256 {
    if seconds == 0 {
        return debt;
    }
    let n = U256::from(seconds);
    let less = |by: u64| U256::from(seconds.saturating_sub(by));
    let year = U256::from(YEAR);
    let second = ray_mul(rate, rate) / (year * year);
    let third = ray_mul(second, rate) / year;
    let index = ray()
        + rate * n / year
        + n * less(1) * second / U256::from(2)
        + n * less(1) * less(2) * third / U256::from(6);
    // Debts are kept divided by the index, which was 1 when this one began.
    ray_mul(debt, ray_mul(index, ray()))
}

/// The account with so much supplied and such a debt, by the market's prices and terms.
pub fn account(options: &MarketOptions, supplied: U256, debt: U256) -> AccountData {
    let unit = U256::from(WAD);
    let collateral = supplied * U256::from(options.weth_price) / unit;
    let debt = debt * U256::from(options.gho_price) / unit;
    let (mut threshold, mut loan_to_value) = (options.threshold, options.loan_to_value);
    if collateral.is_zero() {
        (threshold, loan_to_value) = (0, 0);
    }
    let health_factor = match debt.is_zero() {
        true => U256::MAX,
        false => (percent(collateral, threshold) * unit + debt / U256::from(2)) / debt,
    };
    AccountData {
        collateral,
        debt,
        available: percent(collateral, loan_to_value).saturating_sub(debt),
        threshold: U256::from(threshold),
        loan_to_value: U256::from(loan_to_value),
        health_factor,
    }
}
