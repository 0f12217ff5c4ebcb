//! What is printed: text or JSON on standard output, progress and errors on standard error.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carillon_runtime::progress::Phase;
use carillon_runtime::{JobStats, ProgressEvent, ProgressSink};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::exit::Failure;

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    bars: bool,
}

impl Output {
    /// Bars are drawn on a terminal only, and not with `--json` or `--quiet`.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            bars: !json && !quiet && std::io::stderr().is_terminal(),
        }
    }

    /// Prints a result: `fields` with the schema's name as JSON, or `rows` as a table.
    pub fn result(&self, schema: &str, fields: Value, rows: &[(&str, String)]) {
        if self.json {
            let mut object = json!({ "schema": schema });
            if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
                object.extend(fields);
            }
            print(&object.to_string());
        } else {
            let width = rows
                .iter()
                .map(|(name, _)| name.len())
                .max()
                .unwrap_or_default();
            for (name, value) in rows {
                print(&format!("{name:width$}  {value}"));
            }
        }
    }

    /// Prints an error.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let code = failure.code();
            let object = json!({ "schema": "carillon.error/1", "code": code, "message": failure.to_string() });
            print(&object.to_string());
        }
        self.note(&failure.to_string());
    }

    /// Prints a remark for people on standard error.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "carillon: {text}");
    }

    /// A sink that draws one bar per phase of a proof, or nothing.
    pub fn progress(&self) -> Box<dyn ProgressSink> {
        if self.bars {
            Box::new(Bars::default())
        } else {
            Box::new(())
        }
    }

    /// A spinner for work without steps; invisible when bars are.
    pub fn spinner(&self, message: &str) -> ProgressBar {
        if !self.bars {
            return ProgressBar::hidden();
        }
        let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    }
}

/// Prints a line; a closed pipe is no reason to panic.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Bars of a proof's phases.
#[derive(Default)]
struct Bars {
    multi: MultiProgress,
    bars: Mutex<HashMap<Phase, ProgressBar>>,
}

impl ProgressSink for Bars {
    fn event(&self, event: ProgressEvent) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ProgressEvent::Started { phase, steps } => {
                let style = ProgressStyle::with_template("{msg:10} {bar:30} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = self.multi.add(ProgressBar::new(steps).with_style(style));
                bar.set_message(phase.name());
                bar.enable_steady_tick(Duration::from_millis(200));
                bars.insert(phase, bar);
            }
            ProgressEvent::Advanced { phase, done } => {
                if let Some(bar) = bars.get(&phase) {
                    bar.set_position(done);
                }
            }
            ProgressEvent::Finished { phase, .. } => {
                if let Some(bar) = bars.remove(&phase) {
                    bar.finish();
                }
            }
        }
    }
}

/// Seconds with a unit that suits their size.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

/// A job's cost as JSON: wall seconds, and the card's counters with the occupancy, or null.
pub fn stats_json(stats: &JobStats) -> Value {
    let mut card = json!(stats.card);
    if let (Some(object), Some(stats)) = (card.as_object_mut(), &stats.card) {
        object.insert("occupancy".to_owned(), json!(stats.occupancy()));
    }
    json!({ "wall_seconds": stats.wall.as_secs_f64(), "card": card })
}

/// A job's cost as table rows.
pub fn stats_rows(stats: &JobStats) -> Vec<(&'static str, String)> {
    let mut rows = vec![("time", duration(stats.wall))];
    if let Some(card) = &stats.card {
        let occupancy = card
            .occupancy()
            .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        rows.extend([
            ("card cycles", card.cycles.to_string()),
            ("additions issued", card.additions.to_string()),
            (
                "aggregation additions",
                card.aggregation_additions.to_string(),
            ),
            ("butterflies", card.butterflies.to_string()),
            ("occupancy", occupancy),
            ("bytes to card", card.bytes_to_card.to_string()),
            ("bytes from card", card.bytes_from_card.to_string()),
        ]);
    }
    rows
}
