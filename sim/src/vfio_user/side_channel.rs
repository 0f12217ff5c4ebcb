//! BAR4 of a served card: what only a simulation has.
//!
//! A test that runs on the other side of the socket, or inside a virtual
//! machine, sends faults to the card through this window. A real card has no
//! BAR4, and the driver never looks at it.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0x00 | 64 | a fault, as `CardFault::to_words` gives it |
//! | 0x40 | 8 | write: 1 inject it, 2 heal, 3 unplug, 4 plug in again; read: 0 done, 1 this card cannot, 2 no such fault or command |
//! | 0x48 | 8 | mappings there are |
//! | 0x50, 0x58 | 8, 8 | rogue accesses made, and refused |

use std::io;

use carillon_driver::vfio::VfioCard;

use super::wire::region;
use crate::card::SimCard;
use crate::faults::CardFault;

/// Bytes of the window.
pub const BYTES: usize = 4096;
/// Where a command is written, and its answer read.
pub const COMMAND: u64 = 0x40;
/// Where the number of mappings is read.
pub const MAPPED: u64 = 0x48;
/// Where the number of rogue accesses made is read.
pub const ROGUE: u64 = 0x50;
/// Where the number of those refused is read.
pub const REFUSED: u64 = 0x58;
const WORDS: usize = 8;

/// What can be written to [`COMMAND`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Command {
    /// Put the fault to work.
    Inject = 1,
    /// End all faults.
    Heal = 2,
    /// Take the card off the bus; the connection stays.
    Unplug = 3,
    /// Plug it in again.
    Replug = 4,
}

/// What [`COMMAND`] answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u64)]
pub enum Answer {
    /// Done.
    #[default]
    Done = 0,
    /// This kind of card cannot.
    Unsupported = 1,
    /// No such fault, or no such command.
    Unknown = 2,
}

/// The other side's view of the window.
pub trait Window {
    /// Reads `out.len()` bytes at `offset` of BAR4.
    ///
    /// # Errors
    /// The link's.
    fn window_read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes `data` at `offset` of BAR4.
    ///
    /// # Errors
    /// The link's.
    fn window_write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Puts a fault to work in the card; whether that kind of card has it.
    ///
    /// # Errors
    /// The link's.
    fn inject(&self, fault: &CardFault) -> io::Result<bool> {
        for (i, word) in fault.to_words().into_iter().enumerate() {
            self.window_write(8 * i as u64, &word.to_le_bytes())?;
        }
        self.command(Command::Inject)
    }

    /// A command to the simulation; whether it could.
    ///
    /// # Errors
    /// The link's.
    fn command(&self, command: Command) -> io::Result<bool> {
        self.window_write(COMMAND, &(command as u64).to_le_bytes())?;
        Ok(self.word(COMMAND)? == Answer::Done as u64)
    }

    /// Mappings that the card has.
    ///
    /// # Errors
    /// The link's.
    fn mapped(&self) -> io::Result<u64> {
        self.word(MAPPED)
    }

    /// Rogue accesses made, and refused.
    ///
    /// # Errors
    /// The link's.
    fn rogue(&self) -> io::Result<(u64, u64)> {
        Ok((self.word(ROGUE)?, self.word(REFUSED)?))
    }

    /// The word at `offset`.
    ///
    /// # Errors
    /// The link's.
    fn word(&self, offset: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.window_read(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl Window for VfioCard {
    fn window_read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_region(region::BAR4, offset, out)
    }

    fn window_write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_region(region::BAR4, offset, data)
    }
}

/// The window of one card.
#[derive(Debug, Default)]
pub struct SideChannel {
    fault: [u64; WORDS],
    answer: Answer,
    /// Removals that were asked for here and whose event has not been heard yet:
    /// the connection is kept, so that the other side can plug the card in again.
    /// A count, because events are heard late: by then the card may be back.
    removals: u64,
}

impl SideChannel {
    /// Hears of `events` events of a removal. Returns whether one of them was
    /// not asked for here: the card has left on its own.
    pub fn left_on_its_own(&mut self, events: u64) -> bool {
        let asked = self.removals.min(events);
        self.removals -= asked;
        asked < events
    }

    /// Reads 4 or 8 bytes at `offset`; zeros where there is nothing.
    pub fn read(&self, offset: u64, out: &mut [u8], card: &dyn SimCard) {
        let value = match offset & !7 {
            COMMAND => self.answer as u64,
            MAPPED => card.mapped() as u64,
            ROGUE => card.rogue().0,
            REFUSED => card.rogue().1,
            _ => 0,
        };
        let bytes = value.to_le_bytes();
        let from = (offset & 7) as usize;
        for (to, byte) in out.iter_mut().zip(bytes.iter().skip(from)) {
            *to = *byte;
        }
    }

    /// Writes 4 or 8 bytes at `offset`.
    pub fn write(&mut self, offset: u64, data: &[u8], card: &dyn SimCard) {
        let at = offset as usize;
        if offset < COMMAND {
            for (i, &byte) in data.iter().enumerate() {
                let Some(word) = self.fault.get_mut((at + i) / 8) else {
                    return;
                };
                let shift = 8 * ((at + i) % 8);
                *word = *word & !(0xff << shift) | u64::from(byte) << shift;
            }
        } else if offset == COMMAND {
            self.answer = self.command(data.first().copied().unwrap_or(0), card);
        }
    }

    fn command(&mut self, command: u8, card: &dyn SimCard) -> Answer {
        let done = |yes| {
            if yes {
                Answer::Done
            } else {
                Answer::Unsupported
            }
        };
        match u64::from(command) {
            c if c == Command::Inject as u64 => match CardFault::from_words(&self.fault) {
                Some(fault) => done(card.inject(fault).is_ok()),
                None => Answer::Unknown,
            },
            c if c == Command::Heal as u64 => {
                card.heal();
                Answer::Done
            }
            c if c == Command::Unplug as u64 => {
                self.removals += u64::from(card.unplug());
                Answer::Done
            }
            c if c == Command::Replug as u64 => done(card.replug()),
            _ => Answer::Unknown,
        }
    }
}
