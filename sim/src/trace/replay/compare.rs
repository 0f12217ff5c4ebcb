//! The comparing half of a replay: completions and what was read, against the
//! recording. Part of [`Replay`].

use carillon_driver::command::Command;
use carillon_driver::completion::Completion;

use super::ring::{self, At};
use super::{Replay, What};
use crate::trace::depend;
use crate::trace::history::{End, Why};

impl Replay<'_> {
    /// A recorded completion: waits for the replay's. Returns whether to go on.
    pub(super) fn completion(&mut self, number: usize, queue: u16, data: Option<u32>) -> bool {
        let Some(index) = self.recording.history.completed_by(number) else {
            // A completion of no command: a sound card has none to compare.
            return true;
        };
        let End::Completed { completion, .. } = self.commands[index].end else {
            return true;
        };
        let Some(place) = self.rings.get_mut(&queue).and_then(|r| r.take(index)) else {
            return true;
        };
        let is_focus = self.focus == Some(index);
        let words = self.wait_words(queue, &place.at, index);
        if is_focus {
            self.watch.ended();
        }
        let Some(words) = words else {
            self.differ(index, What::Missing);
            self.stop("a command did not complete in the replay");
            return false;
        };
        self.outcome.compared += 1;
        match Completion::from_words(words).map(|(c, _)| c) {
            None => self.differ(index, What::Malformed),
            Some(replayed) => {
                let key = |c: &Completion| (c.status, c.queue, c.cid);
                if key(&replayed) != key(&completion) {
                    self.differ(
                        index,
                        What::Completion {
                            recorded: completion,
                            replayed,
                        },
                    );
                } else if let Some(recorded) = data.filter(|_| !place.left_out) {
                    self.compare_data(index, recorded, &place.parts);
                }
            }
        }
        self.done = is_focus && self.options.failure_only;
        true
    }

    fn compare_data(&mut self, index: usize, recorded: u32, parts: &[(u64, u64)]) {
        if self.reads_msm_result(index) {
            self.outcome.data_open += 1;
            return;
        }
        self.outcome.data_compared += 1;
        let found = self.host.reach().digest(parts);
        if found != Some(recorded) {
            self.differ(index, What::Data);
        }
    }

    /// Whether a `READ` touches what an MSM wrote last: the contract leaves
    /// open which coordinates stand for the point.
    fn reads_msm_result(&self, index: usize) -> bool {
        match Command::decode(&self.commands[index].raw) {
            Some(Command::Read { card, bytes, .. }) => {
                depend::holds_a_sum(&self.commands[..index], (card, card.saturating_add(bytes)))
            }
            _ => false,
        }
    }

    /// A queue (or all) is about to be stopped. If the recording's failing
    /// command never completed there, it has its time here to do better.
    pub(super) fn lost(&mut self, queue: Option<u16>) {
        let failure = self.recording.history.failure;
        let Some(index) = failure
            .filter(|f| matches!(f.why, Why::Lost(_)))
            .map(|f| f.command)
        else {
            return;
        };
        let of = self.commands[index].queue;
        if queue.is_some_and(|q| q != of) {
            return;
        }
        let Some(place) = self.rings.get_mut(&of).and_then(|r| r.take(index)) else {
            return;
        };
        let words = self.wait_words(of, &place.at, index);
        self.watch.ended();
        self.done = self.options.failure_only;
        if let Some((replayed, _)) = words.and_then(Completion::from_words) {
            self.differ(index, What::Ended { replayed });
        }
    }

    /// Waits until the command has completed, whatever its status.
    pub(super) fn wait_posted(&mut self, queue: u16, index: usize) -> bool {
        let place = self.rings.get(&queue).and_then(|r| r.place(index));
        place.is_none_or(|place| self.wait_words(queue, &place.at, index).is_some())
    }

    fn wait_words(&self, queue: u16, at: &At, index: usize) -> Option<[u64; 4]> {
        let base = self.rings.get(&queue)?.cq_base;
        let command = Command::decode(&self.commands[index].raw);
        ring::wait(&self.bar, self.options.patience, command.as_ref(), || {
            let iova = base + at.bytes();
            self.host.reach().completion(iova, at.phase)
        })
    }
}
