//! `carillon trace replay`: a recording again, on a simulated card.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use carillon_cli::{Failure, duration, grouped};
use carillon_runtime::card::CardAddress;
use carillon_runtime::trace::{self, Outcome, ReplayFault, ReplayOptions, WaveformFiles};
use clap::Args;
use serde_json::json;

use super::{open, show, verdict};
use crate::Context;

/// Arguments of `trace replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The card to replay on: sim:model, sim:rtl or sim:rtl-structural
    #[arg(long, value_name = "ENGINE", default_value = "sim:model")]
    engine: CardAddress,
    /// Write a waveform of the failing command (of everything when none failed) and a save file
    /// that opens a viewer there; needs sim:rtl and a build with the feature rtl-trace
    #[arg(long, value_name = "VCD")]
    waveform: Option<PathBuf>,
    /// Leave out the commands that the failing one does not depend on, and end after it
    #[arg(long)]
    from_failure: bool,
    /// Seconds that the card may stand still before a completion counts as missing
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
}

/// Replays; a difference ends with the exit code of wrong results.
pub fn run(context: &Context, args: &ReplayArgs) -> Result<(), Failure> {
    let recording = open(&args.file)?;
    let options = ReplayOptions {
        failure_only: args.from_failure,
        patience: Duration::from_secs(args.patience),
    };
    let started = Instant::now();
    let step = context.output.step(format!(
        "replaying {} on {}",
        args.file.display(),
        args.engine
    ));
    let (outcome, waveform) =
        trace::replay(&recording, &args.engine, options, args.waveform.as_deref()).map_err(
            |fault| match fault {
                ReplayFault::Engine(error) => error.into(),
                ReplayFault::Replay(error) => Failure::Input(error.to_string()),
                ReplayFault::Waveform(text) => Failure::Unavailable(text),
            },
        )?;
    step.done("done");
    let wall = started.elapsed();
    let mut rows = rows(&outcome);
    rows.insert(0, ("first failure", show::failure_text(&recording)));
    rows.extend(waveform_rows(waveform.as_ref()));
    rows.push(("time", duration(wall)));
    let fields = json!({
        "file": args.file,
        "recorded_on": recording.transport,
        "engine": args.engine.to_string(),
        "failure": show::failure(&recording),
        "outcome": outcome,
        "waveform": waveform,
        "wall_seconds": wall.as_secs_f64(),
    });
    context
        .output
        .result("carillon.trace.replay/1", fields, &rows);
    match outcome.differences.first() {
        None => verdict(&recording, &args.file),
        Some(first) => Err(Failure::WrongResult(format!(
            "the replay differs from the recording: command #{} ({}) {}",
            first.command, first.opcode, first.what
        ))),
    }
}

fn rows(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("commands", grouped(outcome.commands)),
        ("completions compared", grouped(outcome.compared)),
        ("reads compared", grouped(outcome.data_compared)),
    ];
    if outcome.data_open > 0 {
        rows.push((
            "reads of MSM results",
            format!("{} (coordinates are the card's choice)", outcome.data_open),
        ));
    }
    if outcome.left_out > 0 {
        rows.push(("left out", grouped(outcome.left_out)));
    }
    if let Some(why) = &outcome.stopped {
        rows.push(("ended early", why.clone()));
    }
    let first = outcome.differences.first();
    rows.push((
        "first difference",
        first.map_or_else(
            || "none".to_owned(),
            |d| format!("command #{} ({}): {}", d.command, d.opcode, d.what),
        ),
    ));
    rows
}

fn waveform_rows(waveform: Option<&WaveformFiles>) -> Vec<(&'static str, String)> {
    let Some(files) = waveform else {
        return Vec::new();
    };
    let end = files.end_cycle.map_or_else(String::new, |end| {
        format!(", ended by cycle {}", grouped(end))
    });
    vec![
        (
            "waveform",
            format!(
                "begins at cycle {} (time {}){end}",
                grouped(files.begin_cycle),
                files.time
            ),
        ),
        (
            "viewer",
            format!("gtkwave {} {}", files.vcd.display(), files.save.display()),
        ),
    ]
}
