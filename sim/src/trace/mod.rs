//! Traces: everything that passed between driver and card, in a file; read,
//! listed and repeated on another card. Above the driver; `carillon-runtime`
//! wraps its transports in the tap, and `carillon trace` is the command.
//!
//! | module | what |
//! |---|---|
//! | [`record`] | the records, plain data |
//! | `format` | the file: framing, checksums, damage named by offset |
//! | `sink` | streaming to the file, or a bounded ring |
//! | `observer` | which ring entries are new, what memory the card will read |
//! | `reach` | host memory by I/O address |
//! | [`tap`] | [`TracingTransport`]: passes everything on and records it |
//! | [`history`] | what became of the commands, and which failed first |
//! | [`recording`] | a file with its history |
//! | [`replay`] | the same again on another card, and the differences |
//! | `depend` | which commands a failing one depends on |
//! | `waveform` | a replay on the Verilated card, with a viewer's file (feature `rtl`) |
//! | [`listing`] | records as lines for people |
//! | [`names`] | registers and commands by the contract's names |

mod depend;
pub mod format;
pub mod history;
pub mod listing;
pub mod names;
mod observer;
mod reach;
pub mod record;
pub mod recording;
pub mod replay;
mod sink;
pub mod tap;
#[cfg(feature = "rtl")]
pub mod waveform;

pub use recording::{Recording, RecordingError};
pub use sink::Keep;
pub use tap::TracingTransport;
