//! Recordings of what passes between driver and card: switched on by the
//! environment where cards are opened, listed and replayed by `carillon trace`.
//!
//! Part of the feature `sim`. The work is done by `carillon_sim::trace`; here is
//! what needs the runtime's names and errors: `tap` records, `replay` replays.

mod replay;
pub(crate) mod tap;

pub use carillon_sim::trace::format::is_begun;
pub use carillon_sim::trace::history::{End, Failure, History, Summary, Traced};
pub use carillon_sim::trace::record::{Entry, Record};
pub use carillon_sim::trace::replay::{Difference, Outcome, ReplayError, ReplayOptions};
pub use carillon_sim::trace::{Recording, RecordingError};
pub use carillon_sim::trace::{listing, names};

pub use replay::{ReplayFault, WaveformFiles, replay};
pub use tap::{TRACE, TRACE_LIMIT, file_of};
