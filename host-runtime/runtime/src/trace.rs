//! Recordings of what passes between driver and card: switched on by the
//! environment where cards are opened, listed and replayed by `carillon trace`.
//!
//! Part of the feature `sim`. The work is done by `carillon_sim::trace`; here is
//! what needs the runtime's names and errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use carillon_driver::transport::Transport;
use carillon_sim::model::{ModelCard, ModelOptions};
pub use carillon_sim::trace::history::{End, Failure, History, Summary, Traced};
pub use carillon_sim::trace::record::{Entry, Record};
pub use carillon_sim::trace::replay::{Difference, Outcome, ReplayError, ReplayOptions};
use carillon_sim::trace::{Keep, TracingTransport};
pub use carillon_sim::trace::{Recording, RecordingError};
pub use carillon_sim::trace::{listing, names};

use crate::card::CardAddress;
use crate::engine::EngineError;

/// Environment variable: the file that the next card opened is recorded to. A
/// second card gets the same name with `.2` behind it, and so on.
pub const TRACE: &str = "CARILLON_TRACE";
/// Environment variable: keep the latest records of this many MiB in memory
/// instead of writing everything.
pub const TRACE_LIMIT: &str = "CARILLON_TRACE_LIMIT";

/// Wraps the transport of a card that is being opened, if a recording is asked
/// for.
///
/// # Errors
/// [`EngineError::Trace`] when the file cannot be made or the limit is no number.
pub(crate) fn tap(transport: Arc<dyn Transport>) -> Result<Arc<dyn Transport>, EngineError> {
    static CARDS: AtomicU32 = AtomicU32::new(1);
    let Some(path) = std::env::var_os(TRACE).filter(|path| !path.is_empty()) else {
        return Ok(transport);
    };
    let path = file_of(Path::new(&path), CARDS.fetch_add(1, Ordering::Relaxed));
    let fault = |reason: String| EngineError::Trace {
        path: path.clone(),
        reason,
    };
    let keep = match std::env::var(TRACE_LIMIT) {
        Ok(text) => Keep::Latest {
            bytes: mebibytes(&text).ok_or_else(|| {
                fault(format!(
                    "{TRACE_LIMIT} is `{text}`; set it to a number of MiB"
                ))
            })?,
        },
        Err(_) => Keep::All,
    };
    let tap = TracingTransport::new(transport, &path, keep)
        .map_err(|error| fault(format!("{error}; choose a file in a writable folder")))?;
    announce(&path);
    Ok(Arc::new(tap))
}

/// Says that a card is recorded: the file holds the witness, and in a program that uses this crate
/// nobody may know of the variable. Where the log does not show it, standard error does.
fn announce(path: &Path) {
    let path = path.display();
    if tracing::enabled!(tracing::Level::WARN) {
        tracing::warn!(%path, "{TRACE} is set: everything between driver and card is recorded, secrets included");
    } else {
        let _ = writeln!(
            std::io::stderr(),
            "{TRACE} is set: everything between driver and card is recorded to {path}, secrets included"
        );
    }
}

/// The file of a process's card, counted from 1, when `path` is asked for.
pub fn file_of(path: &Path, card: u32) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    if card > 1 {
        path.push(format!(".{card}"));
    }
    path.into()
}

fn mebibytes(text: &str) -> Option<usize> {
    let count: usize = text.parse().ok().filter(|&n| n > 0)?;
    count.checked_mul(1 << 20)
}

/// Where the waveform of a replay is, and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WaveformFiles {
    /// The VCD file.
    pub vcd: PathBuf,
    /// The viewer's file, with the marker at the failing command.
    pub save: PathBuf,
    /// Clock cycle at which the failing command was submitted; 0 and a waveform
    /// of everything when none failed.
    pub begin_cycle: u64,
    /// Clock cycle by which it had ended.
    pub end_cycle: Option<u64>,
    /// Time of `begin_cycle` in the VCD file.
    pub time: u64,
}

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFault {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The recording, or the card that it is replayed on.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A waveform where there can be none.
    #[error("{0}")]
    Waveform(String),
}

/// Replays a recording on a fresh simulated card of this kind.
///
/// # Errors
/// [`ReplayFault`]. Differences are no error but part of the [`Outcome`].
pub fn replay(
    recording: &Recording,
    card: &CardAddress,
    options: ReplayOptions,
    waveform: Option<&Path>,
) -> Result<(Outcome, Option<WaveformFiles>), ReplayFault> {
    match card {
        CardAddress::SimModel => {
            if waveform.is_some() {
                return Err(ReplayFault::Waveform(
                    "sim:model has no signals: use --engine sim:rtl for a waveform".into(),
                ));
            }
            let model = ModelCard::new(ModelOptions::default()).map_err(|error| {
                EngineError::Simulation {
                    engine: CardAddress::SimModel.to_string(),
                    reason: format!(
                        "cannot start the card's threads: {error}; free memory and try again"
                    ),
                }
            })?;
            let replayed =
                carillon_sim::trace::replay::replay(recording, Arc::new(model), options, &mut ());
            Ok((replayed?, None))
        }
        CardAddress::SimRtl | CardAddress::SimRtlStructural => {
            on_rtl(recording, card, options, waveform)
        }
        _ => Err(ReplayFault::Waveform(format!(
            "a recording is replayed on a fresh simulated card: use --engine sim:model, sim:rtl or \
             sim:rtl-structural instead of {card}"
        ))),
    }
}

#[cfg(not(feature = "rtl"))]
fn on_rtl(
    _recording: &Recording,
    address: &CardAddress,
    _options: ReplayOptions,
    _waveform: Option<&Path>,
) -> Result<(Outcome, Option<WaveformFiles>), ReplayFault> {
    Err(EngineError::not_built(address).into())
}

#[cfg(feature = "rtl")]
fn on_rtl(
    recording: &Recording,
    address: &CardAddress,
    options: ReplayOptions,
    waveform: Option<&Path>,
) -> Result<(Outcome, Option<WaveformFiles>), ReplayFault> {
    use carillon_sim::rtl::{RtlCard, RtlError, RtlOptions, View};
    use carillon_sim::trace::waveform::{Waveform, save_file, time_of};

    let view = match address {
        CardAddress::SimRtlStructural => View::Structural,
        _ => View::Fast,
    };
    let fails = recording.history.failure.is_some();
    let card = RtlCard::new(RtlOptions {
        view,
        trace: waveform.map(Path::to_owned),
        // Without a failing command everything is shown.
        trace_waits: fails,
        ..RtlOptions::default()
    })
    .map_err(|error| match error {
        RtlError::NotBuilt {
            feature: "rtl-trace",
            ..
        } => ReplayFault::Waveform(
            "waveforms are not part of this build: build with `--features rtl-trace`, or replay \
             without --waveform"
                .into(),
        ),
        RtlError::NotBuilt { .. } => EngineError::not_built(address).into(),
        error => EngineError::Simulation {
            engine: address.to_string(),
            reason: error.to_string(),
        }
        .into(),
    })?;
    let card = Arc::new(card);
    let mut watch = Waveform::new(Arc::clone(&card));
    let transport: Arc<dyn Transport> = Arc::clone(&card) as _;
    let outcome = carillon_sim::trace::replay::replay(recording, transport, options, &mut watch)?;
    let (begin, end_cycle) = (watch.begin, watch.end);
    // The card's end completes the file.
    drop((watch, card));
    let Some(vcd) = waveform else {
        return Ok((outcome, None));
    };
    let Some(begin_cycle) = begin.or((!fails).then_some(0)) else {
        return Err(ReplayFault::Waveform(format!(
            "the replay ended before the failing command: {}; there is no waveform",
            outcome
                .stopped
                .as_deref()
                .unwrap_or("its doorbell never came")
        )));
    };
    let save = save_file(vcd, begin_cycle).map_err(|error| {
        ReplayFault::Waveform(format!(
            "cannot write the viewer's file beside {}: {error}",
            vcd.display()
        ))
    })?;
    let files = WaveformFiles {
        vcd: vcd.to_owned(),
        save,
        begin_cycle,
        end_cycle,
        time: time_of(begin_cycle),
    };
    Ok((outcome, Some(files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_card_has_its_own_file_and_limits_are_numbers() {
        let path = Path::new("a.trace");
        assert_eq!(file_of(path, 1), path);
        assert_eq!(file_of(path, 3), PathBuf::from("a.trace.3"));
        assert_eq!(mebibytes("4"), Some(4 << 20));
        for text in ["", "0", "-1", "4M", "99999999999999999999"] {
            assert_eq!(mebibytes(text), None, "{text}");
        }
    }
}
