//! A recording again, on a fresh simulated card. Called by `carillon trace replay`.

use std::path::{Path, PathBuf};
#[cfg(feature = "rtl")]
use std::sync::Arc;

#[cfg(feature = "rtl")]
use carillon_driver::transport::Transport;
use carillon_sim::trace::Recording;
use carillon_sim::trace::replay::{Outcome, ReplayError, ReplayOptions};

use crate::card::simulated::model;
#[cfg(feature = "rtl")]
use crate::card::simulated::{rtl_card, rtl_fault};
use crate::engine::EngineError;
use crate::engine::address::CardAddress;

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
            let replayed =
                carillon_sim::trace::replay::replay(recording, model()?, options, &mut ());
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
    use carillon_sim::rtl::{RtlError, RtlOptions};
    use carillon_sim::trace::waveform::{Waveform, save_file, time_of};

    let fails = recording.history.failure.is_some();
    let settings = RtlOptions {
        trace: waveform.map(Path::to_owned),
        // Without a failing command everything is shown.
        trace_waits: fails,
        ..RtlOptions::default()
    };
    let card = rtl_card(address, settings).map_err(|error| match error {
        RtlError::NotBuilt {
            feature: "rtl-trace",
            ..
        } => ReplayFault::Waveform(
            "waveforms are not part of this build: build with `--features rtl-trace`, or replay \
             without --waveform"
                .into(),
        ),
        error => rtl_fault(address, error).into(),
    })?;
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
