//! What leads to a signature: counters, nonce, market, simulation. Used by `run`.

use std::time::Duration;

use super::decide::Pool;
use super::event::News;
use super::sign::{Terms, sign};
use super::state::{Then, Tracked};
use super::{
    Facts, Faults, Fees, FreeNonces, Market, Outcome, Port, Record, Sender, SenderError, Variant,
    Watch,
};
use crate::Meaning;

/// What is to be signed.
struct Offer {
    nonce: u64,
    gas: u64,
    fees: Fees,
    blank: bool,
}

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// Reads the counters, simulates and signs with a free nonce.
    pub(super) async fn plan(&mut self, number: u64, now: Duration) -> Result<Then, SenderError> {
        if self.taken(number).await? {
            // Read after the counters: the effect is in this block or before it.
            let seen = self.port.head().await?;
            self.write(number, &Record::Taken(seen))?;
            return Ok(Then::Again);
        }
        let mined = self.port.nonce(self.address()).await?;
        self.nonce = Some(mined);
        let nonce = FreeNonces::new(mined, self.open_intents()).next();
        let floor = self.pooled_at(nonce);
        let market = self.port.market().await?;
        let Some(fees) = self.offer(number, market, floor, now)? else {
            return Ok(Then::Again);
        };
        let Some(gas) = self.simulate(number, fees, now).await? else {
            return Ok(Then::Again);
        };
        let blank = false;
        let offer = Offer {
            nonce,
            gas,
            fees,
            blank,
        };
        self.sign(number, &offer, now)
    }

    /// Signs the present nonce again, above what a pool holds. The first in line is checked as if it
    /// were new: what the contract would refuse by now gives way to a blank. Those behind it cannot be
    /// simulated yet.
    pub(super) async fn replace(
        &mut self,
        number: u64,
        facts: &Facts,
        blank: bool,
        now: Duration,
    ) -> Result<Then, SenderError> {
        let Some((nonce, newest, watch)) = self.newest(number) else {
            return Ok(Then::Again);
        };
        let floor = match watch.pool {
            // Whichever of ours, or a foreign one, is there: above everything that was signed.
            Pool::Contested => self.fees_at(nonce),
            _ => self.pooled_at(nonce),
        };
        let blobs = self.blobs(number)?;
        let floor = floor.map(|fees| fees.bumped(blobs));
        let market = self.port.market().await?;
        let Some(fees) = self.offer_above(number, market, floor, now)? else {
            return Ok(Then::Again);
        };
        let (gas, blank) = match self
            .checked(number, &newest, facts, blank, fees, now)
            .await?
        {
            Checked::Go { gas, blank } => (gas, blank),
            Checked::Wait => return Ok(Then::Again),
        };
        let offer = Offer {
            nonce,
            gas,
            fees,
            blank,
        };
        self.sign(number, &offer, now)
    }

    /// No pool holds the newest variant. If the market still is where it was signed for, it is handed
    /// over again; if not, the nonce is signed anew at the market's price.
    pub(super) async fn renew(
        &mut self,
        number: u64,
        facts: &Facts,
        (blank, raise): (bool, bool),
        now: Duration,
    ) -> Result<Then, SenderError> {
        let Some((nonce, newest, _)) = self.newest(number) else {
            return Ok(Then::Again);
        };
        let blobs = self.blobs(number)?;
        let market = self.port.market().await?;
        // Nothing is replaced: the step of the pools for calldata is enough.
        let floor = raise.then(|| Fees {
            blob: if blobs {
                newest
                    .fees
                    .blob
                    .saturating_add(newest.fees.blob.div_ceil(10))
            } else {
                0
            },
            ..newest.fees.bumped(false)
        });
        let Some(fees) = self.offer_above(number, market, floor, now)? else {
            return Ok(Then::Again);
        };
        let (gas, blank) = match self
            .checked(number, &newest, facts, blank, fees, now)
            .await?
        {
            Checked::Go { gas, blank } => (gas, blank),
            Checked::Wait => return Ok(Then::Again),
        };
        // Some of the margin may be used up.
        let enough = gas <= newest.gas.saturating_add(newest.gas / 10);
        let same = blank == newest.blank && (blank || enough);
        if same && newest.fees.serves(fees, market, blobs) {
            return self.send(number, now).await;
        }
        let offer = Offer {
            nonce,
            gas,
            fees,
            blank,
        };
        self.sign(number, &offer, now)
    }

    /// Whether the first in line may still take effect; what may not gives way to a blank.
    async fn checked(
        &mut self,
        number: u64,
        newest: &Variant,
        facts: &Facts,
        blank: bool,
        fees: Fees,
        now: Duration,
    ) -> Result<Checked, SenderError> {
        let gas = newest.gas;
        if blank || !facts.first {
            return Ok(Checked::Go { gas, blank });
        }
        if self.taken(number).await? {
            return Ok(Checked::Go { gas, blank: true });
        }
        match self.simulate(number, fees, now).await? {
            Some(gas) => Ok(Checked::Go { gas, blank }),
            // A shortage passes; a refusal of the contract frees the nonce.
            None if self.doomed(number) => Ok(Checked::Go { gas, blank: true }),
            None => Ok(Checked::Wait),
        }
    }

    fn doomed(&self, number: u64) -> bool {
        (self.entries.get(&number)).is_some_and(|tracked| tracked.doomed)
    }

    fn newest(&self, number: u64) -> Option<(u64, Variant, Watch)> {
        let Tracked { entry, watch, .. } = self.entries.get(&number)?;
        let attempt = entry.current()?;
        Some((attempt.nonce, entry.newest()?.clone(), watch.clone()))
    }

    fn blobs(&mut self, number: u64) -> Result<bool, SenderError> {
        Ok(!self.sidecar(number)?.hashes().is_empty())
    }

    /// The highest fees of any of our transactions with this nonce.
    fn fees_at(&self, nonce: u64) -> Option<Fees> {
        self.open_intents()
            .filter_map(|entry| entry.fees_at(nonce))
            .reduce(Fees::max)
    }

    /// The same, of those that a pool took.
    fn pooled_at(&self, nonce: u64) -> Option<Fees> {
        self.open_intents()
            .filter_map(|entry| entry.pooled_at(nonce))
            .reduce(Fees::max)
    }

    /// Reads the contract's counters. A node that cannot read them now leaves the decision to the
    /// simulation: the contract accepts an intent once only.
    async fn taken(&mut self, number: u64) -> Result<bool, SenderError> {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(false);
        };
        match self.outcome.taken(entry.intent()).await {
            Ok(taken) => Ok(taken),
            Err(error) => match error.meaning() {
                Some(Meaning::StateMissing | Meaning::Unsupported) => {
                    tracing::warn!(%error, "the contract's counters cannot be read; the simulation decides");
                    Ok(false)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Fees above those in a pool, or `None` above the cap, with an event and a time to try again.
    fn offer(
        &mut self,
        number: u64,
        market: Market,
        pooled: Option<Fees>,
        now: Duration,
    ) -> Result<Option<Fees>, SenderError> {
        let blobs = self.blobs(number)?;
        let floor = pooled.map(|fees| fees.bumped(blobs));
        self.offer_above(number, market, floor, now)
    }

    fn offer_above(
        &mut self,
        number: u64,
        market: Market,
        floor: Option<Fees>,
        now: Duration,
    ) -> Result<Option<Fees>, SenderError> {
        let blobs = self.blobs(number)?;
        match self.policy.fees.offer(market, floor, blobs) {
            Ok(fees) => Ok(Some(fees)),
            Err(error) => {
                self.later(number, now, News::FeeCap(error));
                Ok(None)
            }
        }
    }

    fn sign(&mut self, number: u64, offer: &Offer, now: Duration) -> Result<Then, SenderError> {
        let sidecar = self.sidecar(number)?;
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(Then::Again);
        };
        let nonce = offer.nonce;
        let terms = Terms {
            chain_id: self.chain_id,
            nonce,
            gas: offer.gas,
            fees: offer.fees,
            blank: offer.blank,
        };
        let variant = sign(&self.signer, entry.intent(), &sidecar, terms)?;
        self.write(number, &Record::Signed { nonce, variant })?;
        if let Some(tracked) = self.entries.get_mut(&number) {
            tracked.watch = Watch {
                signed: now,
                ..Watch::default()
            };
        }
        Ok(Then::Again)
    }
}

enum Checked {
    Go { gas: u64, blank: bool },
    Wait,
}
