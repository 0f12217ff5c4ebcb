//! What a transaction offers: first fees from the market, replacement fees, and the cap.
//!
//! Pure. Nodes take a replacement only if it offers more by a fixed share: a tenth for calldata
//! transactions, twice as much in all three fees for blob transactions (go-ethereum's `legacypool` and
//! `blobpool`, which other clients follow). Called by `run`.

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

/// Blob gas of a blob (EIP-4844).
const BLOB_GAS: u64 = 131_072;

/// Fees in wei per unit of gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// The most for base fee and tip together (`maxFeePerGas`).
    pub max: u128,
    /// The tip (`maxPriorityFeePerGas`).
    pub tip: u128,
    /// The most for blob gas (`maxFeePerBlobGas`); 0 without blobs.
    pub blob: u128,
}

impl Fees {
    /// The larger of each fee.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            max: self.max.max(other.max),
            tip: self.tip.max(other.tip),
            blob: self.blob.max(other.blob),
        }
    }

    /// The smallest fees that replace these. Works for `blobs`, too, in the absence of a blob fee.
    #[must_use]
    pub fn bumped(self, blobs: bool) -> Self {
        let bump = |fee: u128| {
            let step = if blobs { fee } else { fee.div_ceil(10) };
            fee.saturating_add(step.max(1))
        };
        Self {
            max: bump(self.max),
            tip: bump(self.tip),
            blob: if blobs { bump(self.blob) } else { 0 },
        }
    }

    /// Whether these fees still serve where `offer` would be signed now at `market`: the next block can
    /// take them, they pay about the same tip, and bind no more than twice as much of the balance.
    pub fn serves(self, offer: Self, market: Market, blobs: bool) -> bool {
        let near = |old: u128, new: u128| old.abs_diff(new) <= new / 10;
        let fits = |old: u128, least: u128, new: u128| old >= least && old <= new.saturating_mul(2);
        near(self.tip, offer.tip)
            && fits(
                self.max,
                market.base.saturating_add(offer.tip).min(offer.max),
                offer.max,
            )
            && (!blobs || fits(self.blob, market.blob, offer.blob))
    }

    /// What a transaction may cost at most, in wei.
    pub fn cost(self, gas: u64, blobs: usize) -> U256 {
        let blob_gas = U256::from(BLOB_GAS) * U256::from(blobs);
        U256::from(gas) * U256::from(self.max) + blob_gas * U256::from(self.blob)
    }

    fn within(self, cap: Self, blobs: bool) -> bool {
        self.max <= cap.max && self.tip <= cap.tip && (!blobs || self.blob <= cap.blob)
    }
}

/// What the next block asks for, in wei per unit of gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market {
    /// Base fee.
    pub base: u128,
    /// A tip that was enough in recent blocks.
    pub tip: u128,
    /// Blob base fee.
    pub blob: u128,
}

/// Limits of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Nothing is signed above it.
    pub cap: Fees,
    /// Tip when the market asks for none.
    pub least_tip: u128,
}

impl Default for FeePolicy {
    /// At most 200 gwei for gas, 20 gwei of tip and 200 gwei for blob gas.
    fn default() -> Self {
        const GWEI: u128 = 1_000_000_000;
        Self {
            cap: Fees {
                max: 200 * GWEI,
                tip: 20 * GWEI,
                blob: 200 * GWEI,
            },
            least_tip: GWEI / 100,
        }
    }
}

/// The cap is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "fees of {} wei (tip {}, blob {}) would be needed, the cap is {} (tip {}, blob {}): the sender keeps trying; \
     raise the cap, or wait until fees fall",
    .needed.max, .needed.tip, .needed.blob, .cap.max, .cap.tip, .cap.blob
)]
pub struct FeeError {
    /// What would be needed.
    pub needed: Fees,
    /// What is allowed.
    pub cap: Fees,
}

impl FeePolicy {
    /// Fees of a transaction: what the market asks for with a margin of six full blocks (a base fee
    /// grows by an eighth per block), at least `floor`, the least that a replacement must offer.
    /// Above the cap the cap is offered, as long as the next block could take it.
    pub fn offer(
        &self,
        market: Market,
        floor: Option<Fees>,
        blobs: bool,
    ) -> Result<Fees, FeeError> {
        let tip = market.tip.max(self.least_tip);
        let blob = |fee: u128| if blobs { fee } else { 0 };
        let least = Fees {
            max: market.base.saturating_add(self.least_tip),
            tip: self.least_tip,
            blob: blob(market.blob.max(1)),
        }
        .max(floor.unwrap_or_default());
        if !least.within(self.cap, blobs) {
            return Err(FeeError {
                needed: least,
                cap: self.cap,
            });
        }
        let wanted = Fees {
            max: market.base.saturating_mul(2).saturating_add(tip),
            tip,
            blob: blob(market.blob.max(1).saturating_mul(2)),
        }
        .max(least);
        let max = wanted.max.min(self.cap.max);
        Ok(Fees {
            max,
            // A tip above the whole fee is invalid (EIP-1559).
            tip: wanted.tip.min(self.cap.tip).min(max),
            blob: wanted.blob.min(blob(self.cap.blob)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fee() -> impl Strategy<Value = u128> {
        0u128..1_000_000_000_000
    }

    fn fees() -> impl Strategy<Value = Fees> {
        (fee(), fee(), fee()).prop_map(|(max, tip, blob)| Fees {
            max: max + tip,
            tip,
            blob,
        })
    }

    proptest! {
        #[test]
        fn an_offer_is_above_market_and_floor_and_below_the_cap(
            base in fee(), tip in fee(), blob in fee(), floor in fees(), cap in fees(), blobs: bool
        ) {
            let policy = FeePolicy { cap, least_tip: 10 };
            let market = Market { base, tip, blob };
            let floor = if blobs { floor } else { Fees { blob: 0, ..floor } };
            match policy.offer(market, Some(floor), blobs) {
                Ok(offer) => {
                    prop_assert!(offer.max > base && offer.max <= cap.max);
                    prop_assert!(offer.tip <= offer.max && offer.tip <= cap.tip);
                    prop_assert!(offer.max >= floor.max && offer.tip >= floor.tip);
                    prop_assert!(offer.blob >= floor.blob);
                    let fair = if blobs {
                        offer.blob >= blob.max(1) && offer.blob <= cap.blob
                    } else {
                        offer.blob == 0
                    };
                    prop_assert!(fair);
                }
                Err(error) => {
                    let n = error.needed;
                    prop_assert!(n.max > cap.max || n.tip > cap.tip || (blobs && n.blob > cap.blob));
                }
            }
        }

        #[test]
        fn a_bump_meets_the_rules_of_the_pools(fees in fees()) {
            let calldata = fees.bumped(false);
            for (old, new) in [(fees.max, calldata.max), (fees.tip, calldata.tip)] {
                prop_assert!(new > old && new * 100 >= old * 110);
            }
            let blob = fees.bumped(true);
            for (old, new) in [(fees.max, blob.max), (fees.tip, blob.tip), (fees.blob, blob.blob)] {
                prop_assert!(new > old && new >= 2 * old);
            }
        }
    }

    #[test]
    fn fees_serve_as_long_as_the_market_stays_near() {
        let fees = |max, tip, blob| Fees { max, tip, blob };
        let market = |base, blob| Market {
            base,
            tip: 10,
            blob,
        };
        let offer = fees(210, 10, 20);
        assert!(fees(210, 10, 20).serves(offer, market(100, 10), true));
        assert!(fees(150, 11, 11).serves(offer, market(100, 10), true));
        // Left behind by the market, tip or blob fee; or more expensive than needed.
        assert!(!fees(105, 10, 20).serves(offer, market(100, 10), true));
        assert!(!fees(210, 8, 20).serves(offer, market(100, 10), true));
        assert!(!fees(210, 10, 9).serves(offer, market(100, 10), true));
        assert!(fees(210, 10, 0).serves(fees(210, 10, 0), market(100, 10), false));
        assert!(!fees(1680, 80, 160).serves(offer, market(100, 10), true));
        assert!(!fees(210, 20, 20).serves(offer, market(100, 10), true));
        // At the cap, the offer is below twice the base fee.
        assert!(fees(105, 10, 20).serves(fees(105, 10, 20), market(100, 10), true));
        let cost = fees(7, 1, 3).cost(100, 2);
        assert_eq!(cost, U256::from(7 * 100 + 3 * 2 * 131_072));
    }

    #[test]
    fn the_cap_is_named_when_it_is_reached() {
        let policy = FeePolicy::default();
        let market = Market {
            base: policy.cap.max,
            ..Market::default()
        };
        let error = policy.offer(market, None, false).unwrap_err();
        assert!(error.to_string().contains("raise the cap"), "{error}");
    }
}
