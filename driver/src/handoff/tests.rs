//! The hand-over under loom: every interleaving and every stale value that the
//! memory model allows, and the proof that the orderings are needed.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;

use super::*;

/// What a test takes away from the memory that the driver asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    /// The load of the phase word is relaxed.
    NoAcquire,
    /// There is no fence before the doorbell.
    NoFence,
}

struct Memory {
    words: Vec<AtomicU64>,
    mutant: Mutant,
}

impl Memory {
    fn new(bytes: usize, mutant: Mutant) -> Self {
        let words = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Self { words, mutant }
    }
}

impl Words for Memory {
    type Error = Infallible;

    fn load(&self, offset: usize, order: Ordering) -> Result<u64, Infallible> {
        let order = match self.mutant {
            Mutant::NoAcquire => Ordering::Relaxed,
            _ => order,
        };
        Ok(self.words[offset / 8].load(order))
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), Infallible> {
        self.words[offset / 8].store(value, Ordering::Relaxed);
        Ok(())
    }

    fn fence_release(&self) {
        if self.mutant != Mutant::NoFence {
            fence(Ordering::Release);
        }
    }
}

/// The card: sees the doorbell, then reads the command.
fn fetch(ring: &Memory, doorbell: &AtomicU64) -> Option<[u64; COMMAND_WORDS]> {
    if doorbell.load(Ordering::Relaxed) == 0 {
        return None;
    }
    fence(Ordering::Acquire);
    let mut words = [0; COMMAND_WORDS];
    for (word, cell) in words.iter_mut().zip(&ring.words) {
        *word = cell.load(Ordering::Relaxed);
    }
    Some(words)
}

/// The card: writes a completion, the word with the phase last.
fn post(ring: &Memory, at: usize, words: [u64; COMPLETION_WORDS], release: bool) {
    for (i, word) in words.into_iter().enumerate() {
        let last = i == COMPLETION_WORDS - 1;
        let order = if last && release {
            Ordering::Release
        } else {
            Ordering::Relaxed
        };
        ring.words[at / 8 + i].store(word, order);
    }
}

fn finished(lap: u64, phase: bool) -> [u64; COMPLETION_WORDS] {
    [lap, lap + 1, lap + 2, if phase { PHASE_BIT } else { 0 }]
}

/// Runs `model` in every order; whether it held in all of them.
fn holds(model: impl Fn() + Sync + Send + 'static) -> bool {
    let hook = std::panic::take_hook();
    // A mutant's failure is what the test wants; no need to print it.
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(|| loom::model(model)));
    std::panic::set_hook(hook);
    result.is_ok()
}

/// The card never reads half a command.
fn commands(mutant: Mutant) -> bool {
    holds(move || {
        let ring = Arc::new(Memory::new(COMMAND_BYTES, mutant));
        let doorbell = Arc::new(AtomicU64::new(0));
        let card = {
            let (ring, doorbell) = (Arc::clone(&ring), Arc::clone(&doorbell));
            thread::spawn(move || fetch(&ring, &doorbell))
        };
        let command = [1, 2, 3, 4, 5, 6, 7, 8];
        let Ok(()) = submit(&*ring, 0, &command, || {
            doorbell.store(1, Ordering::Relaxed);
        });
        if let Some(seen) = card.join().unwrap() {
            assert_eq!(seen, command);
        }
    })
}

/// The driver never takes half a completion, in the first lap or in one that
/// overwrites an older entry.
fn completions(mutant: Mutant, release: bool) -> bool {
    [true, false].into_iter().all(|phase| {
        holds(move || {
            let ring = Arc::new(Memory::new(COMPLETION_BYTES, mutant));
            if !phase {
                post(&ring, 0, finished(10, true), true);
            }
            let card = {
                let ring = Arc::clone(&ring);
                thread::spawn(move || post(&ring, 0, finished(20, phase), release))
            };
            let Ok(taken) = completion(&*ring, 0, phase);
            if let Some(words) = taken {
                assert_eq!(words, finished(20, phase));
            }
            card.join().unwrap();
            let Ok(taken) = completion(&*ring, 0, phase);
            assert_eq!(taken, Some(finished(20, phase)));
        })
    })
}

/// Both together: command, doorbell, completion, buffer. What the card wrote
/// before its completion is there when the completion is.
fn round_trip(mutant: Mutant) -> bool {
    holds(move || {
        let sq = Arc::new(Memory::new(COMMAND_BYTES, mutant));
        let cq = Arc::new(Memory::new(COMPLETION_BYTES, mutant));
        let result = Arc::new(AtomicU64::new(0));
        let doorbell = Arc::new(AtomicU64::new(0));
        let card = {
            let (sq, cq) = (Arc::clone(&sq), Arc::clone(&cq));
            let (result, doorbell) = (Arc::clone(&result), Arc::clone(&doorbell));
            thread::spawn(move || {
                if let Some(words) = fetch(&sq, &doorbell) {
                    result.store(words[7], Ordering::Relaxed);
                    post(&cq, 0, finished(words[0], true), true);
                }
            })
        };
        let Ok(()) = submit(&*sq, 0, &[5, 0, 0, 0, 0, 0, 0, 9], || {
            doorbell.store(1, Ordering::Relaxed);
        });
        let Ok(taken) = completion(&*cq, 0, true);
        if let Some(words) = taken {
            assert_eq!(words, finished(5, true));
            assert_eq!(result.load(Ordering::Relaxed), 9);
        }
        card.join().unwrap();
    })
}

// One test: they share the process's panic hook.
#[test]
fn loom_proves_both_rules_and_finds_every_mutant() {
    assert!(commands(Mutant::None), "rule 1");
    assert!(completions(Mutant::None, true), "rule 2");
    assert!(round_trip(Mutant::None), "both");
    assert!(!commands(Mutant::NoFence), "the fence is not needed?");
    assert!(!completions(Mutant::NoAcquire, true), "nor Acquire?");
    assert!(!round_trip(Mutant::NoFence) && !round_trip(Mutant::NoAcquire));
    assert!(!completions(Mutant::None, false), "nor the card's order?");
}

#[test]
fn host_memory_hands_over_the_same_way() {
    let memory = HostMemory::allocate(4096).unwrap();
    let mut rung = false;
    submit(&memory, 128, &[1, 2, 3, 4, 5, 6, 7, 8], || rung = true).unwrap();
    assert!(rung);
    let mut bytes = [0; COMMAND_BYTES];
    memory.read(128, &mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[56]), (1, 8));
    assert_eq!(completion(&memory, 0, true).unwrap(), None);
    memory.write(24, &PHASE_BIT.to_le_bytes()).unwrap();
    assert_eq!(
        completion(&memory, 0, true).unwrap(),
        Some([0, 0, 0, PHASE_BIT])
    );
    let mut rung = false;
    assert!(submit(&memory, 4096 - 56, &[0; 8], || rung = true).is_err() && !rung);
}
