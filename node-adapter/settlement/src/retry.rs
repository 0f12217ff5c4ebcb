//! When to ask again after an error: longer from time to time, never all at once.
//!
//! Pure but for the random jitter. Called by the sender's task, the settler and the queue's reader.

use std::time::Duration;

use rand::Rng;

/// A server that asks for more patience than this is asked again all the same.
const MOST_PATIENCE: Duration = Duration::from_secs(3600);

/// Doublings after which the pause no longer grows.
const DOUBLINGS: u32 = 4;

/// The pauses of one thing that is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `base` on; the longest is 16 times as long.
    pub fn new(base: Duration) -> Self {
        Self { base, failures: 0 }
    }

    /// The pause after one more failure: at least `base` and what the server asked for, with up to a
    /// quarter of jitter on top.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let factor = 1 << self.failures.min(DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        let least = asked.unwrap_or_default().min(MOST_PATIENCE);
        jittered(self.base.saturating_mul(factor).max(least), 25)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `pause` and up to `percent` of it on top.
pub fn jittered(pause: Duration, percent: u32) -> Duration {
    let most = pause.as_micros().saturating_mul(percent.into()) / 100;
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if most == 0 {
        return pause;
    }
    pause.saturating_add(Duration::from_micros(
        rand::thread_rng().gen_range(0..=most),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_honour_what_the_server_asks() {
        let second = Duration::from_secs;
        let mut backoff = Backoff::new(second(12));
        for least in [12, 24, 48, 96, 192, 192, 192] {
            let pause = backoff.next(None);
            assert!(
                pause >= second(least) && pause <= second(least) * 5 / 4,
                "{pause:?}"
            );
        }
        let asked = backoff.next(Some(second(500)));
        assert!(asked >= second(500) && asked <= second(625), "{asked:?}");
        let absurd = backoff.next(Some(second(1_000_000)));
        assert!(absurd <= MOST_PATIENCE * 5 / 4, "{absurd:?}");
        backoff.reset();
        assert!(backoff.next(None) < second(16));
        let pauses: Vec<Duration> = (0..20).map(|_| jittered(second(100), 25)).collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no jitter");
    }
}
