//! The phases of a proof on a card: how long each took, what its commands cost, and the card's own clock.

use std::time::Instant;

use carillon_driver::{Card, Ticket};

use super::fault::{CardResult, Fault, done};
use super::lanes::Lane;
use super::tally::{self, Command};
use crate::progress::{Phase, ProgressEvent, ProgressSink};
use crate::stats::{CardStats, Clock, JobStats};

/// The card's clock since a moment.
pub struct Since<'a> {
    card: &'a Card,
    /// Cycles and busy cycles then; `None` where the card did not say.
    then: Option<(u64, u64)>,
}

impl<'a> Since<'a> {
    /// This moment.
    pub fn now(card: &'a Card) -> Self {
        let then = read(card);
        Self { card, then }
    }

    /// What has passed; `None` where there is no clock, or where a reset has started it anew.
    pub fn passed(&self) -> Option<Clock> {
        Clock::between(self.then?, read(self.card)?)
    }
}

fn read(card: &Card) -> Option<(u64, u64)> {
    let counters = card.counters().ok()?;
    Some((counters.cycles, counters.busy))
}

/// How a proof's commands are looked at from its lane.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub lane: &'a Lane,
    /// The proof that computed beside it when the list was sent.
    pub since: Option<u64>,
}

/// Times a phase and reports it. Phases follow one another, since the card's queue is in order.
pub struct PhaseClock<'a> {
    phase: Phase,
    started: Instant,
    done: u64,
    progress: &'a dyn ProgressSink,
    pub card: CardStats,
}

impl<'a> PhaseClock<'a> {
    pub fn start(phase: Phase, steps: u64, progress: &'a dyn ProgressSink) -> Self {
        progress.event(ProgressEvent::Started { phase, steps });
        Self {
            phase,
            started: Instant::now(),
            done: 0,
            progress,
            card: CardStats::default(),
        }
    }

    pub async fn wait(
        &mut self,
        seen: Seen<'_>,
        command: Command,
        ticket: Ticket<()>,
    ) -> CardResult<()> {
        let (finished, beside) = seen.lane.watch(seen.since, ticket).await;
        let completion = done(finished).map_err(|e| Fault::from(e).at(self.phase))?;
        tally::add_seen(&mut self.card, command, &completion, beside);
        self.done += 1;
        self.progress.event(ProgressEvent::Advanced {
            phase: self.phase,
            done: self.done,
        });
        Ok(())
    }

    pub fn finish(self) -> JobStats {
        self.finish_after(JobStats::default())
    }

    /// With what a part of the phase cost that ran earlier: both are reported as one.
    pub fn finish_after(self, earlier: JobStats) -> JobStats {
        let mut stats = JobStats {
            wall: self.started.elapsed(),
            card: Some(self.card),
        };
        stats += &earlier;
        self.progress.event(ProgressEvent::Finished {
            phase: self.phase,
            wall: stats.wall,
        });
        stats
    }
}

/// A command that comes before or after the others of its phase: the third polynomial's product, the coset inverse.
pub async fn apart(
    seen: Seen<'_>,
    phase: Phase,
    command: Command,
    ticket: Ticket<()>,
) -> CardResult<JobStats> {
    let started = Instant::now();
    let mut card = CardStats::default();
    let (finished, beside) = seen.lane.watch(seen.since, ticket).await;
    let completion = done(finished).map_err(|e| Fault::from(e).at(phase))?;
    tally::add_seen(&mut card, command, &completion, beside);
    Ok(JobStats {
        wall: started.elapsed(),
        card: Some(card),
    })
}
