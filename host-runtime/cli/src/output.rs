//! What is printed: text or JSON on standard output, progress and errors on standard error.
//!
//! Progress is bars on a terminal, plain lines elsewhere, and nothing with `--quiet` or `--json`.

mod phases;

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

pub use self::phases::Phases;

use super::style::{Look, Tone};
use super::{ExitStatus, Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Bars,
    Lines,
    None,
}

/// How this run prints.
#[derive(Clone, Debug)]
pub struct Output {
    program: &'static str,
    json: bool,
    progress: Progress,
    bars: MultiProgress,
    look: Look,
    /// Why standard output did not take all that was printed.
    lost: Arc<OnceLock<String>>,
}

impl Output {
    /// Prints as the options say and as standard error allows.
    pub(super) fn new(program: &'static str, json: bool, quiet: bool) -> Self {
        let progress = match (json || quiet, std::io::stderr().is_terminal()) {
            (true, _) => Progress::None,
            (false, true) => Progress::Bars,
            (false, false) => Progress::Lines,
        };
        Self {
            program,
            json,
            progress,
            bars: MultiProgress::new(),
            look: Look::of_stdout(),
            lost: Arc::default(),
        }
    }

    /// Prints a result: `fields` with the schema's name as JSON, or `rows` as a table.
    pub fn result<N: AsRef<str>>(&self, schema: &str, fields: Value, rows: &[(N, String)]) {
        if self.json {
            self.object(schema, fields);
            return;
        }
        let width = rows.iter().map(|(name, _)| name.as_ref().len()).max();
        let width = width.unwrap_or_default();
        for (name, value) in rows {
            self.print(&format!("{:width$}  {value}", name.as_ref()));
        }
    }

    /// Prints a result of several columns: `fields` as JSON, or `lines`, the first of them the
    /// heading, with the first column on the left and the others on the right.
    pub fn table(&self, schema: &str, fields: Value, lines: &[Vec<String>]) {
        if self.json {
            self.object(schema, fields);
            return;
        }
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        for line in lines {
            let cells = line.iter().enumerate().map(|(column, cell)| {
                let width = width(column);
                if column == 0 {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            self.print(&cells.collect::<Vec<_>>().join("  "));
        }
    }

    fn object(&self, schema: &str, fields: Value) -> bool {
        let mut object = json!({ "schema": schema });
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            object.extend(fields);
        }
        self.print(&object.to_string())
    }

    /// Prints one event of a stream: an object a line as JSON, or `line`. False once the reader
    /// is gone.
    pub fn event(&self, schema: &str, fields: Value, line: &str) -> bool {
        if self.json {
            return self.object(schema, fields);
        }
        self.print(line)
    }

    /// Prints a line of text beside the result; JSON has it in the object.
    pub fn closing(&self, line: &str) {
        if !self.json {
            self.print(line);
        }
    }

    /// Prints an error.
    pub fn failure(&self, failure: &impl ExitStatus) {
        if self.json && !failure.is_reported() {
            let code = failure.code();
            let message = failure.to_string();
            let object = json!({ "schema": "carillon.error/1", "code": code, "message": message });
            self.print(&object.to_string());
            // One terminal shows it once.
            if std::io::stdout().is_terminal() {
                return;
            }
        }
        self.note(&failure.to_string());
    }

    /// A word in the colour of its tone, where standard output shows colours.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        self.look.paint(tone, text)
    }

    /// A text behind a head of `indent` columns, broken between words where a terminal ends.
    pub fn hang(&self, indent: usize, text: &str) -> String {
        self.look.hang(indent, text)
    }

    /// Prints bytes as they are.
    pub(super) fn raw(&self, bytes: &[u8]) {
        self.written(std::io::stdout().write_all(bytes));
    }

    /// What keeps standard output from having all that was printed. A reader that is gone is
    /// no failure.
    pub(super) fn lost(&self) -> Option<Failure> {
        self.written(std::io::stdout().flush());
        self.lost.get().cloned().map(Failure::Unavailable)
    }

    /// Prints a line; a closed pipe is no reason to panic. Says whether it went out.
    fn print(&self, line: &str) -> bool {
        let write = || writeln!(std::io::stdout(), "{line}");
        self.written(match self.progress {
            Progress::Bars => self.bars.suspend(write),
            _ => write(),
        })
    }

    fn written(&self, result: std::io::Result<()>) -> bool {
        if let Err(error) = &result
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.lost.get_or_init(|| Failure::output(error).to_string());
        }
        result.is_ok()
    }

    /// Prints a remark for people on standard error.
    pub fn note(&self, text: &str) {
        let _ = self.bars.clear();
        let _ = writeln!(std::io::stderr(), "{}: {text}", self.program);
    }

    /// Announces a step of a longer work; [`Step::done`] closes it.
    pub fn step(&self, name: impl Into<String>) -> Step<'_> {
        let name = name.into();
        let bar = match self.progress {
            Progress::Bars => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {msg}  {elapsed}"));
                bar.set_message(name.clone());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Progress::Lines => {
                let _ = writeln!(std::io::stderr(), "{name} ...");
                None
            }
            Progress::None => None,
        };
        Step {
            output: self,
            name,
            started: Instant::now(),
            bar,
        }
    }

    /// Shows on a terminal that a step is under way, for as long as it is; what came of it is
    /// printed as a result.
    pub fn spinner(&self, name: impl Into<String>) -> Step<'_> {
        match self.progress {
            Progress::Bars => self.step(name),
            _ => Step {
                output: self,
                name: name.into(),
                started: Instant::now(),
                bar: None,
            },
        }
    }
}

/// A step under way.
#[derive(Debug)]
pub struct Step<'a> {
    output: &'a Output,
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Step<'_> {
    /// Shows how far the step is, on a terminal only.
    pub fn at(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style("{spinner} {msg}  {bar:30} {pos}/{len}  {elapsed}"));
            }
            bar.set_position(done);
        }
    }

    /// Takes the step off the terminal without a word.
    pub fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    /// Closes the step with its outcome.
    pub fn done(self, outcome: &str) {
        let time = duration(self.started.elapsed());
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        let line = format!("{}: {outcome} ({time})", self.name);
        match self.output.progress {
            Progress::Bars => {
                let _ = self.output.bars.println(line);
            }
            Progress::Lines => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Progress::None => {}
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
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

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (240_195, "240,195"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
