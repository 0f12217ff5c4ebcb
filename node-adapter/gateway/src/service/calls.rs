//! What became of the calls that were handed to the sender, and who is to blame for one that does not go.
//!
//! Part of `service`.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use carillon_settlement::sender::{Freed, News, Status};
use carillon_settlement::{L1Part, Refusal};
use tokio::sync::broadcast;

use super::{Service, ServiceError};

impl Service {
    /// Whether a call is on its way. Each is watched until the sender has closed it: one that the contract has
    /// come to refuse, that reverted, or that no transaction can hold is withdrawn, or nothing after it would
    /// ever go.
    pub(super) async fn is_under_way(&self) -> Result<bool, ServiceError> {
        let reverted = self.reverted();
        let calls = self.board().calls.clone();
        let mut under_way = false;
        for call in calls {
            let status = self.inner.sender.status(&call.id)?;
            let given_up = match &status {
                None | Some(Status::Closed(_)) => {
                    self.inner.store.forget(&call.id)?;
                    self.board().calls.retain(|other| other.id != call.id);
                    continue;
                }
                Some(Status::InEffect(..)) => continue,
                Some(Status::Refused { reason, .. }) => Some(reason.clone()),
                Some(Status::Waiting | Status::Sent { .. }) if reverted.contains(&call.id) => None,
                Some(Status::Waiting) if self.is_too_large() => None,
                Some(Status::Waiting | Status::Sent { .. }) => {
                    under_way |= !call.withdrawn;
                    continue;
                }
            };
            if call.withdrawn {
                continue;
            }
            self.inner.sender.withdraw(&call.id).await?;
            self.board().withdrawn(&call.id);
            match given_up {
                Some(reason) => self.put_aside(&reason, &call.members),
                None => self.suspect(
                    &call.members,
                    "its transaction reverted, or needs more gas than there may be, after its simulation went well",
                ),
            }
        }
        Ok(under_way)
    }

    /// The calls whose transaction was mined and reverted since the last look.
    pub(super) fn reverted(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let events = self.inner.reverted.lock();
        let mut events = events.unwrap_or_else(PoisonError::into_inner);
        loop {
            match events.try_recv() {
                Ok(event) if matches!(event.news, News::Freed(Freed::Reverted(_))) => {
                    found.insert(event.id);
                }
                Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return found,
            }
        }
    }

    pub(super) fn is_too_large(&self) -> bool {
        let status = self.inner.reporter.status();
        let part = status.part(L1Part::Settlement);
        let kind = part.last_failure.as_ref().map(|failure| failure.kind);
        part.failing_since.is_some() && matches!(kind, Some("too_much_gas" | "gas_allowance"))
    }

    /// A refusal names a chain and a step, and the batch of that step waits; or it names none, and the members are
    /// tried a smallest set at a time.
    pub(super) fn put_aside(&self, reason: &Refusal, members: &[(u64, u64)]) {
        let told = format!("the simulation was refused: {reason}; {}", reason.advice());
        let base = self.inner.options.retry.as_secs().max(1);
        if let Refusal::Step { chain, step, .. } = reason {
            let mut board = self.board();
            if let Some(number) = board.of_step(members, *chain, *step) {
                tracing::warn!(chain, batch = number, reason = told, "put aside");
                board.counts.refused += 1;
                board.refuse(*chain, number, &told, base);
                return;
            }
        }
        self.suspect(members, &told);
    }

    /// None of the members is named: of a smallest set the one that it was made for waits, otherwise all are tried
    /// by themselves.
    pub(super) fn suspect(&self, members: &[(u64, u64)], why: &str) {
        tracing::warn!(batches = members.len(), reason = why, "a set does not go");
        let base = self.inner.options.retry.as_secs().max(1);
        let mut board = self.board();
        board.counts.refused += 1;
        let tried = board.trying.take().filter(|tried| members.contains(tried));
        let tried = tried.or(match members {
            [one] => Some(*one),
            _ => None,
        });
        match tried {
            Some((chain, number)) => board.refuse(chain, number, why, base),
            None => board.suspects.extend(members),
        }
    }
}
