//! The least fee that the node takes, by kind and token, following Ethereum's fees.
//!
//! ```text
//! batch  = base fee * 340,600 + blob base fee * 131,072      wei that a batch costs without records
//! share  = batch / (part of the slots, or for an operation with a record of the records, that is filled)
//! fee    = (share + base fee * 11,460 for a record, 37,020 for a send) * (1 + margin) * units of the token a wei
//! ```
//!
//! without the blob on a validium, whose settlement takes less than the gas that is counted here, and
//! rounded up to what a slot can carry (11 bits and a power of ten). An operation with a record uses up
//! one of the batch's records, which are fewer than its slots, so it pays for a larger share. A fee
//! that was published within the last two minutes is taken, so that nobody is refused for a price that
//! rose while he signed. Called by `rpc`, fed by `service`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use super::machine::Refusal;
use super::ports::PortError;
use carillon_protocol::ledger::Budget;
use carillon_protocol::{BALANCE_LIMIT, Kind, Operation, TOKENS};
use carillon_settlement::DataMode;
use carillon_settlement::limits::MOST_SENDS;

/// Gas of a settlement without records: commit, prove, execute (`rollup_contracts::gas`).
pub const BATCH_GAS: u128 = 340_600;
/// Gas that each record adds: (397,900 - 340,600) / 5, from the same test.
pub const RECORD_GAS: u128 = 11_460;
/// Gas that a send adds, to a recipient who has no account there yet (`rollup_contracts::lanes_gas`).
pub const SEND_GAS: u128 = 37_020;
/// Blob gas of a batch: one blob (EIP-4844).
pub const BLOB_GAS: u128 = 131_072;
/// How long a published fee is taken.
const GRACE: Duration = Duration::from_secs(120);
/// Kinds that are signed, with their names in JSON.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Transfer, "transfer"),
    (Kind::Withdraw, "withdraw"),
    (Kind::Bundle, "bundle"),
    (Kind::SetKey, "set_key"),
    (Kind::Send, "send"),
];

/// Ethereum's prices, in wei per unit of gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prices {
    /// Base fee of the next block.
    pub base: u128,
    /// Blob base fee of the next block.
    pub blob: u128,
}

/// Where prices come from.
#[async_trait]
pub trait L1Prices: Send + Sync + 'static {
    /// Those of the next block.
    ///
    /// # Errors
    /// [`PortError::Unreachable`].
    async fn prices(&self) -> Result<Prices, PortError>;
}

/// What the operator decides.
#[derive(Clone, Debug, PartialEq)]
pub struct FeeOptions {
    /// Added to the cost, in percent.
    pub margin_percent: u64,
    /// How full a batch is expected to be, in percent of its slots and of its records.
    pub fill_percent: u64,
    /// Units of each token that are worth a wei. Other tokens, but for ETH in slot 0, pay no fees.
    pub tokens: BTreeMap<u8, f64>,
    /// Prices instead of Ethereum's.
    pub fixed: Option<Prices>,
}

impl Default for FeeOptions {
    fn default() -> Self {
        Self {
            margin_percent: 25,
            fill_percent: 25,
            tokens: BTreeMap::new(),
            fixed: None,
        }
    }
}

impl FeeOptions {
    /// What units of the token in a slot are worth, in wei, rounded up; none for one without a price.
    pub fn wei(&self, slot: u8, units: u128) -> Option<u128> {
        if slot == 0 {
            return Some(units);
        }
        let price = self.tokens.get(&slot)?;
        // Beyond what is exact it saturates: more than any limit.
        Some((units as f64 / price).ceil() as u128)
    }
}

/// Numbers that make no fees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fees: {0}")]
pub struct FeeOptionsError(String);

/// What is asked for, and what was asked for lately.
#[derive(Debug)]
pub struct FeeBook {
    options: FeeOptions,
    budget: Budget,
    prices: Mutex<VecDeque<(Instant, Prices)>>,
    /// Whether a least fee is asked for at all.
    asks: bool,
    /// Blob gas of a batch.
    blob_gas: u128,
}

impl FeeBook {
    /// Fees by these options for batches of this size. Without prices nothing is asked for: `follows`
    /// says that they will come from Ethereum.
    ///
    /// # Errors
    /// [`FeeOptionsError`].
    pub fn new(
        options: FeeOptions,
        budget: Budget,
        follows: bool,
    ) -> Result<Self, FeeOptionsError> {
        let refuse = |reason: &str| Err(FeeOptionsError(reason.to_owned()));
        if !(1..=100).contains(&options.fill_percent) {
            return refuse("fill_percent is 1 to 100");
        }
        if options.margin_percent > 10_000 {
            return refuse("margin_percent is at most 10000");
        }
        for (token, units) in &options.tokens {
            if *token >= TOKENS || *token == 0 {
                return refuse("tokens are named by their slots, 1 to 63; slot 0 is ETH");
            }
            if !units.is_finite() || *units <= 0.0 {
                return refuse(
                    "a token's price is a number above 0: its units that are worth a wei",
                );
            }
        }
        let fixed = options.fixed.map(|prices| (Instant::now(), prices));
        Ok(Self {
            asks: follows || options.fixed.is_some(),
            options,
            budget,
            prices: Mutex::new(fixed.into_iter().collect()),
            blob_gas: BLOB_GAS,
        })
    }

    /// The same for a chain whose batches have their data there: without blobs nothing is asked for them.
    #[must_use]
    pub fn with_mode(mut self, mode: DataMode) -> Self {
        self.blob_gas = match mode {
            DataMode::Rollup => BLOB_GAS,
            DataMode::Validium => 0,
        };
        self
    }

    /// Whether prices of Ethereum are wanted.
    pub fn follows(&self) -> bool {
        self.asks && self.options.fixed.is_none()
    }

    fn prices(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Prices)>> {
        self.prices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ethereum's prices now.
    pub fn set(&self, prices: Prices) {
        let mut known = self.prices();
        known.push_back((Instant::now(), prices));
        // One that is out of grace stays as long as it is the newest.
        while known.len() > 1
            && known
                .get(1)
                .is_some_and(|(since, _)| since.elapsed() > GRACE)
        {
            known.pop_front();
        }
    }

    /// The least fee of an operation at these prices; `None` if the token pays no fees here.
    fn least(&self, kind: Kind, token: u8, prices: Prices) -> Option<u128> {
        let capacity = if kind.has_record() {
            self.budget.records
        } else {
            self.budget.slots
        };
        let fill = u128::from(self.options.fill_percent);
        let capacity = match kind {
            // So many fill a batch.
            Kind::Send => capacity.min(MOST_SENDS),
            _ => capacity,
        };
        let sharing = (capacity as u128).saturating_mul(fill).div_ceil(100).max(1);
        let gas = |price: u128, gas: u128| price.saturating_mul(gas);
        let batch = gas(prices.base, BATCH_GAS).saturating_add(gas(prices.blob, self.blob_gas));
        let record = match kind {
            Kind::Send => gas(prices.base, SEND_GAS),
            _ if kind.has_record() => gas(prices.base, RECORD_GAS),
            _ => 0,
        };
        let cost = batch.div_ceil(sharing).saturating_add(record);
        let margin = 100 + u128::from(self.options.margin_percent);
        let wei = cost.saturating_mul(margin).div_ceil(100);
        let fee = match token {
            0 => wei,
            // Nothing is nothing in every token.
            _ if wei == 0 => 0,
            // Rounded up afterwards by much more than a double loses.
            token => (wei as f64 * self.options.tokens.get(&token)?).ceil() as u128,
        };
        Some(round_up(fee))
    }

    /// Checks an operation of a user.
    ///
    /// # Errors
    /// [`Refusal`] with the code `fee`, and the fee that would do where there is one.
    pub fn check(&self, operation: &Operation) -> Result<(), (Refusal, Option<u128>)> {
        if !self.asks {
            return Ok(());
        }
        let known = self.prices();
        if known.is_empty() {
            let reason = "Ethereum's fees are not known yet; send the operation again in a moment";
            return Err((Refusal::new("fee", reason), None));
        }
        let Operation {
            kind, token, fee, ..
        } = operation;
        let fees = known
            .iter()
            .map(|(_, prices)| self.least(*kind, *token, *prices));
        let Some(least) = fees.min().flatten() else {
            let reason = format!(
                "token {token} pays no fees here: no price is known for it; `carillon_fees` lists those that do"
            );
            return Err((Refusal::new("fee", reason), None));
        };
        if *fee >= least {
            return Ok(());
        }
        let newest = known
            .back()
            .and_then(|(_, prices)| self.least(*kind, *token, *prices));
        let needed = newest.unwrap_or(least);
        let reason = format!(
            "the fee {fee} is below the least one: {needed} is needed now; see `carillon_fees`"
        );
        Err((Refusal::new("fee", reason), Some(needed)))
    }

    /// All that is asked for now, as `carillon_fees` says it.
    pub fn published(&self) -> Value {
        let newest = self.prices().back().map(|(_, prices)| *prices);
        let paying = [0].into_iter().chain(self.options.tokens.keys().copied());
        let tokens: BTreeMap<String, Value> = paying
            .map(|token| {
                let fees = KINDS.map(|(kind, name)| {
                    let fee = match newest {
                        Some(prices) => self.least(kind, token, prices),
                        None => (!self.asks).then_some(0),
                    };
                    (name.to_owned(), json!(fee.map(|fee| fee.to_string())))
                });
                (token.to_string(), Value::Object(fees.into_iter().collect()))
            })
            .collect();
        let text = |price: fn(Prices) -> u128| newest.map(|prices| price(prices).to_string());
        json!({
            "asked": self.asks,
            "base_fee": text(|prices| prices.base),
            "blob_base_fee": text(|prices| prices.blob),
            "tokens": tokens,
            "formula": {
                "batch_gas": BATCH_GAS.to_string(),
                "record_gas": RECORD_GAS.to_string(),
                "send_gas": SEND_GAS.to_string(),
                "blob_gas": self.blob_gas.to_string(),
                "slots": self.budget.slots,
                "records": self.budget.records,
                "fill_percent": self.options.fill_percent,
                "margin_percent": self.options.margin_percent,
            },
        })
    }
}

/// The smallest fee from `value` on that a slot can carry: 11 bits and a power of ten.
fn round_up(value: u128) -> u128 {
    let (mut mantissa, mut power) = (value, 1u128);
    while mantissa >= 1 << 11 {
        mantissa = mantissa.div_ceil(10);
        power = power.saturating_mul(10);
    }
    mantissa.saturating_mul(power).min(BALANCE_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_protocol::pack_fee;

    const GWEI: u128 = 1_000_000_000;

    fn book(options: FeeOptions) -> FeeBook {
        let budget = Budget {
            slots: 64,
            cells: 64,
            records: 16,
        };
        FeeBook::new(options, budget, true).unwrap()
    }

    fn operation(kind: Kind, token: u8, fee: u128) -> Operation {
        Operation::new(kind, 1, token, 5, fee, 0)
    }

    #[test]
    fn fees_follow_ethereum_and_records_pay_for_what_they_use_up() {
        let fees = book(FeeOptions {
            tokens: [(3, 3000.0)].into(),
            ..FeeOptions::default()
        });
        let early = fees
            .check(&operation(Kind::Transfer, 0, u128::MAX))
            .unwrap_err();
        assert!(early.0.reason.contains("not known yet"), "{}", early.0);
        fees.set(Prices {
            base: GWEI,
            blob: 1,
        });
        // (340,600 gwei + 131,072 wei) / 16 * 1.25, and for a record / 4 and 11,460 gwei more.
        let published = fees.published();
        let transfer = 26_700 * GWEI;
        assert_eq!(published["tokens"]["0"]["transfer"], transfer.to_string());
        let withdraw = 120_800 * GWEI;
        assert_eq!(published["tokens"]["0"]["withdraw"], withdraw.to_string());
        assert_eq!(published["tokens"]["0"]["set_key"], withdraw.to_string());
        let in_token = 79_900_000 * GWEI;
        assert_eq!(published["tokens"]["3"]["transfer"], in_token.to_string());
        for fee in [transfer, withdraw, in_token] {
            assert!(pack_fee(fee).is_some(), "{fee}");
        }
        // Without blobs the blob's price counts for nothing.
        let home = book(FeeOptions::default()).with_mode(DataMode::Validium);
        for blob in [1, 500 * GWEI] {
            home.set(Prices { base: GWEI, blob });
            let published = home.published();
            assert_eq!(published["formula"]["blob_gas"], "0");
            let gas = round_up((GWEI * BATCH_GAS).div_ceil(16) * 125 / 100);
            assert_eq!(published["tokens"]["0"]["transfer"], gas.to_string());
        }
        fees.check(&operation(Kind::Transfer, 0, transfer)).unwrap();
        let (refusal, needed) = fees
            .check(&operation(Kind::Withdraw, 0, transfer))
            .unwrap_err();
        assert_eq!((refusal.code, needed), ("fee", Some(withdraw)));
        let (refusal, needed) = fees
            .check(&operation(Kind::Transfer, 5, transfer))
            .unwrap_err();
        assert!(
            refusal.reason.contains("token 5 pays no fees here"),
            "{refusal}"
        );
        assert_eq!(needed, None);

        // A price that rose: what was published a moment ago is still taken, less is not.
        fees.set(Prices {
            base: 3 * GWEI,
            blob: 1,
        });
        fees.check(&operation(Kind::Transfer, 0, transfer)).unwrap();
        let (_, needed) = fees
            .check(&operation(Kind::Transfer, 0, transfer - 1))
            .unwrap_err();
        assert_eq!(needed, Some(79_900 * GWEI));
        // One that fell counts at once.
        fees.set(Prices::default());
        fees.check(&operation(Kind::Withdraw, 0, 0)).unwrap();
    }

    #[test]
    fn fees_are_rounded_up_to_what_slots_carry() {
        for (value, fee) in [
            (0, 0),
            (2047, 2047),
            (2048, 2050),
            (20_471, 20_500),
            (123_456_789, 123_500_000),
        ] {
            let rounded = round_up(value);
            assert_eq!(rounded, fee);
            assert!(rounded >= value && pack_fee(rounded).is_some());
        }
        assert_eq!(round_up(u128::MAX), BALANCE_LIMIT);
    }

    #[test]
    fn without_prices_nothing_is_asked_for_and_wrong_options_are_refused() {
        let budget = Budget {
            slots: 4,
            cells: 4,
            records: 4,
        };
        let free = FeeBook::new(FeeOptions::default(), budget, false).unwrap();
        free.check(&operation(Kind::Withdraw, 9, 0)).unwrap();
        assert_eq!(free.published()["tokens"]["0"]["bundle"], "0");
        for options in [
            FeeOptions {
                fill_percent: 0,
                ..FeeOptions::default()
            },
            FeeOptions {
                tokens: [(64, 1.0)].into(),
                ..FeeOptions::default()
            },
            FeeOptions {
                tokens: [(1, -1.0)].into(),
                ..FeeOptions::default()
            },
        ] {
            assert!(FeeBook::new(options, budget, true).is_err());
        }
    }
}
