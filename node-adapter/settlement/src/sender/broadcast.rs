//! Handing a signed transaction to the node, and what its pool says to it. Used by `plan` and `run`.

use std::time::Duration;

use alloy::primitives::{B256, U256};

use super::decide::Pool;
use super::event::News;
use super::state::{Sender, Then};
use super::{
    CrashPoint, Faults, Outcome, Place, Port, Record, SendAnswer, SenderError, Step, Variant,
};
use crate::{L1Part, Meaning, RpcFailure};

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// Hands the newest variant to the node, and keeps what its pool says.
    pub(super) async fn send(&mut self, number: u64, now: Duration) -> Result<Then, SenderError> {
        let Some(variant) = (self.entries.get(&number)).and_then(|t| t.entry.newest().cloned())
        else {
            return Ok(Then::Again);
        };
        self.pass(CrashPoint::Before(Step::Send))?;
        let answer = self.port.send(&variant.raw).await?;
        self.pass(CrashPoint::After(Step::Send))?;
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(Then::Again);
        };
        tracked.watch.sent = Some(now);
        match answer {
            SendAnswer::Taken => self.pool_took(number, variant.hash)?,
            // The receipts and the nonce tell whose transaction it was.
            SendAnswer::NonceUsed => {}
            SendAnswer::Underpriced => {
                tracked.watch.pool = Pool::Contested;
                self.tell(number, News::Contested, self.policy.bump_after);
            }
            SendAnswer::Refused(failure) => {
                self.pool_refused(number, &variant, failure, now).await?;
            }
        }
        Ok(Then::Wait(now + self.policy.poll))
    }

    fn pool_took(&mut self, number: u64, hash: B256) -> Result<(), SenderError> {
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        tracked.watch.pool = Pool::Holds;
        let known = matches!(
            tracked.entry.place(),
            Place::Sent {
                broadcast: true,
                ..
            }
        );
        if known {
            self.reporter.worked(L1Part::Settlement);
            return Ok(());
        }
        self.write(number, &Record::Broadcast(hash))
    }

    async fn pool_refused(
        &mut self,
        number: u64,
        variant: &Variant,
        failure: RpcFailure,
        now: Duration,
    ) -> Result<(), SenderError> {
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        let raise = failure.meaning == Meaning::FeeTooLow;
        // What a pool took it may still hold, though it would not take it again at these fees.
        let kept = raise && tracked.entry.pooled(&variant.hash);
        tracked.watch.pool = if kept {
            Pool::Holds
        } else {
            Pool::Refuses { raise }
        };
        if failure.meaning != Meaning::Funds {
            self.later(number, now, News::NotTaken(failure));
            return Ok(());
        }
        let intent = tracked.entry.intent();
        let value = if variant.blank {
            U256::ZERO
        } else {
            intent.value
        };
        let fees = variant.fees.cost(variant.gas, intent.blobs.len());
        let own = fees.saturating_add(value);
        let need = self.pending_cost(number).saturating_add(own);
        self.shortage(number, need, true, &failure, now).await
    }
}
