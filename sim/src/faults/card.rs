//! Faults of a simulated card, as plain data.
//!
//! A [`CardFault`] says what a card does wrong; it holds no code, so that a
//! test can send it to a card in another process: [`CardFault::to_words`] on
//! one side, [`CardFault::from_words`] on the other. Pure; applied by
//! `injector.rs` and by the cards.

/// As a number of times: until the card is healed.
pub const FOR_EVER: u32 = u32::MAX;

/// What a simulated card does wrong, from its injection until it is used up or
/// the card is healed. Several can be at work at once.
///
/// *Transfers* are all accesses to host memory that are not commands or
/// completions; the card makes them in pieces of at most 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFault {
    /// The next `count` transfers that read more than `above` bytes meet a bus
    /// error.
    HostReads {
        /// Bytes.
        above: u32,
        /// Times.
        count: u32,
    },
    /// The next `count` transfers that write more than `above` bytes meet a bus
    /// error.
    HostWrites {
        /// Bytes.
        above: u32,
        /// Times.
        count: u32,
    },
    /// Transfers of more than `above` bytes take `micros` longer.
    Slow {
        /// Bytes.
        above: u32,
        /// Microseconds for each piece.
        micros: u32,
    },
    /// One completion goes wrong.
    Completion {
        /// Queue that it belongs to.
        queue: u16,
        /// Completions of this queue before it, counted from the injection.
        number: u32,
        /// How.
        change: CompletionFault,
    },
    /// The next `count` fetches of a command of `queue` meet a bus error.
    Fetch {
        /// Queue.
        queue: u16,
        /// Times.
        count: u32,
    },
    /// The next `count` completions of `queue` meet a bus error.
    Post {
        /// Queue.
        queue: u16,
        /// Times.
        count: u32,
    },
    /// Some card memory answers with a bus error. One range at a time: the
    /// last one injected.
    Memory(MemoryFault),
    /// The next command of `queue` stands still (functional card only).
    Hang {
        /// Queue.
        queue: u16,
        /// What ends it.
        until: Hang,
    },
    /// The card reaches for host memory that no command named, once, at once.
    Rogue {
        /// It writes 0xa5, else it reads.
        write: bool,
        /// I/O address.
        address: u64,
        /// Bytes.
        bytes: u32,
    },
    /// An answer on a bus that the card never asked for; the card must be idle
    /// (Verilated card only).
    Stray {
        /// The bus.
        bus: Bus,
    },
    /// Interrupts of one vector go wrong.
    Interrupts {
        /// Vector: queue number, or the one for asynchronous events.
        vector: u16,
        /// Interrupts that go wrong.
        count: u32,
        /// How.
        change: InterruptFault,
    },
    /// `STATUS.ready` reads 0 whatever the host does.
    NeverReady,
    /// The function-level reset fails.
    NeverResets,
    /// One read of host memory in 100 fails; of 100 completions four have a
    /// bit flipped, one is lost and one meets a bus error.
    Random {
        /// Same seed, same faults at the same accesses.
        seed: u64,
    },
}

/// How a completion goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionFault {
    /// It is never written, but counted as posted by the card.
    Lost,
    /// The card stands still for so long before it writes it.
    Delayed {
        /// Microseconds.
        micros: u32,
    },
    /// It is written once more, to the next entry of the ring.
    Twice,
    /// It names a command that nobody sent.
    UnknownId,
    /// It names the command before its own: the last one of this queue that
    /// ended since the injection. Without one, the fault waits for the next.
    StaleId,
    /// It names another queue.
    WrongQueue,
    /// Its submission head was never reached.
    HeadOutOfRange,
    /// Torn: reserved status bits are set.
    ReservedBits,
    /// Torn: the word with the phase bit is visible before the rest.
    PhaseFirst {
        /// Microseconds between the two.
        micros: u32,
    },
}

/// How long a command stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// Until it is aborted, or anything deeper.
    UntilAbort,
    /// Until its queue is disabled, or anything deeper.
    UntilQueueStop,
    /// Until the controller is disabled, or reset.
    UntilControllerStop,
    /// Until the function-level reset.
    UntilReset,
    /// Until the card is healed or dropped; even the reset fails.
    ForEver,
}

/// Card memory that answers with a bus error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Reads fail.
    pub reads: bool,
    /// Writes fail and have no effect.
    pub writes: bool,
}

impl MemoryFault {
    /// Whether an access of `bytes` bytes at `address` fails.
    #[must_use]
    pub fn hits(&self, address: u64, bytes: u64, write: bool) -> bool {
        let concerned = if write { self.writes } else { self.reads };
        concerned
            && address < self.address.saturating_add(self.bytes)
            && self.address < address.saturating_add(bytes)
    }
}

/// One of the card's AXI buses; the numbers are those of `rtl/shim/card.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bus {
    /// To host memory.
    Host = 0,
    /// To card memory.
    Memory = 1,
    /// To card memory, the last of the lanes.
    Lane = 2,
}

/// How an interrupt goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptFault {
    /// It is never raised.
    Lost,
    /// It is raised twice.
    Duplicated,
    /// It is raised now, for no reason.
    Spurious,
}

impl CardFault {
    /// Eight words that say the same, for a wire.
    #[must_use]
    pub fn to_words(&self) -> [u64; 8] {
        let words = |kind: u64, rest: &[u64]| {
            let mut words = [kind, 0, 0, 0, 0, 0, 0, 0];
            for (word, value) in words.iter_mut().skip(1).zip(rest) {
                *word = *value;
            }
            words
        };
        match *self {
            Self::HostReads { above, count } => words(1, &[above.into(), count.into()]),
            Self::HostWrites { above, count } => words(2, &[above.into(), count.into()]),
            Self::Slow { above, micros } => words(3, &[above.into(), micros.into()]),
            Self::Completion {
                queue,
                number,
                change,
            } => {
                let (change, micros) = change.to_words();
                words(4, &[queue.into(), number.into(), change, micros])
            }
            Self::Fetch { queue, count } => words(5, &[queue.into(), count.into()]),
            Self::Post { queue, count } => words(6, &[queue.into(), count.into()]),
            Self::Memory(MemoryFault {
                address,
                bytes,
                reads,
                writes,
            }) => words(7, &[address, bytes, reads.into(), writes.into()]),
            Self::Hang { queue, until } => words(8, &[queue.into(), until as u64]),
            Self::Rogue {
                write,
                address,
                bytes,
            } => words(9, &[write.into(), address, bytes.into()]),
            Self::Stray { bus } => words(10, &[bus as u64]),
            Self::Interrupts {
                vector,
                count,
                change,
            } => words(11, &[vector.into(), count.into(), change as u64]),
            Self::NeverReady => words(12, &[]),
            Self::NeverResets => words(13, &[]),
            Self::Random { seed } => words(14, &[seed]),
        }
    }

    /// The fault that [`CardFault::to_words`] turned into `words`; `None` for
    /// words that it never gives.
    #[must_use]
    pub fn from_words(words: &[u64; 8]) -> Option<Self> {
        let [kind, a, b, c, d, ..] = *words;
        let long = |word: u64| u32::try_from(word).ok();
        let short = |word: u64| u16::try_from(word).ok();
        let fault = match kind {
            1 => Self::HostReads {
                above: long(a)?,
                count: long(b)?,
            },
            2 => Self::HostWrites {
                above: long(a)?,
                count: long(b)?,
            },
            3 => Self::Slow {
                above: long(a)?,
                micros: long(b)?,
            },
            4 => Self::Completion {
                queue: short(a)?,
                number: long(b)?,
                change: CompletionFault::from_words(c, long(d)?)?,
            },
            5 => Self::Fetch {
                queue: short(a)?,
                count: long(b)?,
            },
            6 => Self::Post {
                queue: short(a)?,
                count: long(b)?,
            },
            7 => Self::Memory(MemoryFault {
                address: a,
                bytes: b,
                reads: c != 0,
                writes: d != 0,
            }),
            8 => Self::Hang {
                queue: short(a)?,
                until: pick(&HANGS, b)?,
            },
            9 => Self::Rogue {
                write: a != 0,
                address: b,
                bytes: long(c)?,
            },
            10 => Self::Stray {
                bus: pick(&[Bus::Host, Bus::Memory, Bus::Lane], a)?,
            },
            11 => Self::Interrupts {
                vector: short(a)?,
                count: long(b)?,
                change: pick(&INTERRUPTS, c)?,
            },
            12 => Self::NeverReady,
            13 => Self::NeverResets,
            14 => Self::Random { seed: a },
            _ => return None,
        };
        // Words that are not used must be zero, flags 0 or 1.
        (fault.to_words() == *words).then_some(fault)
    }
}

const HANGS: [Hang; 5] = [
    Hang::UntilAbort,
    Hang::UntilQueueStop,
    Hang::UntilControllerStop,
    Hang::UntilReset,
    Hang::ForEver,
];

const INTERRUPTS: [InterruptFault; 3] = [
    InterruptFault::Lost,
    InterruptFault::Duplicated,
    InterruptFault::Spurious,
];

fn pick<T: Copy>(all: &[T], index: u64) -> Option<T> {
    all.get(usize::try_from(index).ok()?).copied()
}

impl CompletionFault {
    fn to_words(self) -> (u64, u64) {
        match self {
            Self::Lost => (0, 0),
            Self::Delayed { micros } => (1, micros.into()),
            Self::Twice => (2, 0),
            Self::UnknownId => (3, 0),
            Self::StaleId => (4, 0),
            Self::WrongQueue => (5, 0),
            Self::HeadOutOfRange => (6, 0),
            Self::ReservedBits => (7, 0),
            Self::PhaseFirst { micros } => (8, micros.into()),
        }
    }

    fn from_words(kind: u64, micros: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Lost,
            1 => Self::Delayed { micros },
            2 => Self::Twice,
            3 => Self::UnknownId,
            4 => Self::StaleId,
            5 => Self::WrongQueue,
            6 => Self::HeadOutOfRange,
            7 => Self::ReservedBits,
            8 => Self::PhaseFirst { micros },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn completion() -> impl Strategy<Value = CompletionFault> {
        (0u64..9, any::<u32>()).prop_map(|(kind, micros)| {
            CompletionFault::from_words(kind, micros).unwrap_or(CompletionFault::Lost)
        })
    }

    fn any_fault() -> impl Strategy<Value = CardFault> {
        use prop::sample::select;
        let buses = vec![Bus::Host, Bus::Memory, Bus::Lane];
        prop_oneof![
            any::<(u32, u32)>().prop_map(|(above, count)| CardFault::HostReads { above, count }),
            any::<(u32, u32)>().prop_map(|(above, count)| CardFault::HostWrites { above, count }),
            any::<(u32, u32)>().prop_map(|(above, micros)| CardFault::Slow { above, micros }),
            (any::<(u16, u32)>(), completion()).prop_map(|((queue, number), change)| {
                CardFault::Completion {
                    queue,
                    number,
                    change,
                }
            }),
            any::<(u16, u32)>().prop_map(|(queue, count)| CardFault::Fetch { queue, count }),
            any::<(u16, u32)>().prop_map(|(queue, count)| CardFault::Post { queue, count }),
            any::<(u64, u64, bool, bool)>().prop_map(|(address, bytes, reads, writes)| {
                CardFault::Memory(MemoryFault {
                    address,
                    bytes,
                    reads,
                    writes,
                })
            }),
            (any::<u16>(), select(HANGS.to_vec()))
                .prop_map(|(queue, until)| CardFault::Hang { queue, until }),
            any::<(bool, u64, u32)>().prop_map(|(write, address, bytes)| CardFault::Rogue {
                write,
                address,
                bytes
            }),
            select(buses).prop_map(|bus| CardFault::Stray { bus }),
            (any::<(u16, u32)>(), select(INTERRUPTS.to_vec())).prop_map(
                |((vector, count), change)| CardFault::Interrupts {
                    vector,
                    count,
                    change
                }
            ),
            Just(CardFault::NeverReady),
            Just(CardFault::NeverResets),
            any::<u64>().prop_map(|seed| CardFault::Random { seed }),
        ]
    }

    proptest! {
        #[test]
        fn faults_survive_the_wire(fault in any_fault()) {
            prop_assert_eq!(CardFault::from_words(&fault.to_words()), Some(fault));
        }

        /// Whatever else arrives is no fault: what is decoded gives back the same words.
        #[test]
        fn nothing_else_is_a_fault(
            kind in 0u64..20,
            rest: [u64; 7],
            keep in 0usize..8,
            small: bool,
        ) {
            let mut words = [kind, 0, 0, 0, 0, 0, 0, 0];
            for (word, value) in words.iter_mut().skip(1).zip(rest).take(keep) {
                *word = if small { value % 12 } else { value };
            }
            if let Some(fault) = CardFault::from_words(&words) {
                prop_assert_eq!(fault.to_words(), words);
            }
        }

        #[test]
        fn unused_words_must_be_zero(fault in any_fault(), at in 5usize..8, value in 1u64..) {
            let mut words = fault.to_words();
            words[at] = value;
            prop_assert_eq!(CardFault::from_words(&words), None);
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for words in [
            [0; 8],
            [15, 0, 0, 0, 0, 0, 0, 0],
            [1, 1 << 32, 0, 0, 0, 0, 0, 0],
            [4, 1, 0, 9, 0, 0, 0, 0],
            [4, 1, 0, 0, 5, 0, 0, 0],
            [7, 0, 64, 2, 0, 0, 0, 0],
            [8, 1, 5, 0, 0, 0, 0, 0],
            [8, 1 << 16, 0, 0, 0, 0, 0, 0],
            [10, 3, 0, 0, 0, 0, 0, 0],
            [12, 1, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(CardFault::from_words(&words), None, "{words:?}");
        }
    }
}
