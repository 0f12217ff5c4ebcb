//! The phases of proofs under way: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;

use super::{Output, Progress, duration, style};
use carillon_runtime::progress::{Phase, ProgressEvent, ProgressSink};

/// Shows the phases of a proof: a bar each on a terminal, a line each elsewhere.
#[derive(Debug)]
pub struct Phases {
    output: Output,
    /// The proof's name, where there are several.
    proof: Option<String>,
    bars: Mutex<HashMap<Phase, ProgressBar>>,
}

impl Drop for Phases {
    fn drop(&mut self) {
        let bars = self.bars.get_mut().unwrap_or_else(PoisonError::into_inner);
        bars.values().for_each(ProgressBar::finish_and_clear);
    }
}

impl ProgressSink for Phases {
    fn event(&self, event: ProgressEvent) {
        match self.output.progress {
            Progress::Bars => self.draw(event),
            Progress::Lines => {
                if let ProgressEvent::Finished { phase, wall } = event {
                    let line = self.name(&format!("{phase}: {}", duration(wall)));
                    let _ = writeln!(std::io::stderr(), "  {line}");
                }
            }
            Progress::None => {}
        }
    }
}

impl Output {
    /// A sink for the phases of a proof.
    pub fn phases(&self) -> Phases {
        self.sink(None)
    }

    /// A sink for the phases of one proof of several: each line names the proof. On a terminal only
    /// what is under way is shown, that of each proof together.
    pub fn phases_of(&self, proof: &str) -> Phases {
        self.sink(Some(proof.to_owned()))
    }

    fn sink(&self, proof: Option<String>) -> Phases {
        Phases {
            output: self.clone(),
            proof,
            bars: Mutex::default(),
        }
    }
}

impl Phases {
    /// Something of the proof, with the proof's name before it where there are several.
    fn name(&self, what: &str) -> String {
        match &self.proof {
            Some(proof) => format!("{proof}, {what}"),
            None => what.to_owned(),
        }
    }

    fn draw(&self, event: ProgressEvent) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ProgressEvent::Started { phase, steps } => {
                let bar = ProgressBar::new(steps);
                // Beside the others of its proof, not where another proof has begun meanwhile.
                let beside = bars.values().find(|bar| !bar.is_finished());
                let bar = match beside.filter(|_| self.proof.is_some()) {
                    Some(beside) => self.output.bars.insert_after(beside, bar),
                    None => self.output.bars.add(bar),
                };
                let width = if self.proof.is_some() { 24 } else { 10 };
                bar.set_style(style(&format!("  {{msg:{width}}} {{bar:30}} {{elapsed}}")));
                bar.set_message(self.name(phase.name()));
                bar.enable_steady_tick(Duration::from_millis(200));
                bars.insert(phase, bar);
            }
            ProgressEvent::Advanced { phase, done } => {
                if let Some(bar) = bars.get(&phase) {
                    bar.set_position(done);
                }
            }
            ProgressEvent::Finished { phase, .. } => match &self.proof {
                Some(_) => bars
                    .remove(&phase)
                    .iter()
                    .for_each(ProgressBar::finish_and_clear),
                None => bars.get(&phase).into_iter().for_each(ProgressBar::finish),
            },
            // Not of a bar.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Instant;

    use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};

    use super::*;

    const WIDTH: usize = 80;

    /// A terminal in memory: its lines, and where the cursor is.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<(Vec<String>, usize, usize)>>);

    impl Screen {
        fn write(&self, text: &str) {
            let mut screen = self.0.lock().unwrap();
            let (lines, row, column) = &mut *screen;
            for letter in text.chars() {
                match letter {
                    '\r' => *column = 0,
                    '\n' => (*row, *column) = (*row + 1, 0),
                    letter => {
                        // A line that is full goes on in the next one.
                        if *column == WIDTH {
                            (*row, *column) = (*row + 1, 0);
                        }
                        if lines.len() <= *row {
                            lines.resize(*row + 1, String::new());
                        }
                        let line = &mut lines[*row];
                        let kept: String = line.chars().take(*column).collect();
                        *line = format!("{kept:column$}{letter}", column = *column);
                        *column += 1;
                    }
                }
            }
        }

        /// What stands before the bars, line by line.
        fn heads(&self) -> Vec<String> {
            let lines = self.0.lock().unwrap().0.clone();
            let head = |line: &String| line.split(['█', '░']).next().unwrap().trim().to_owned();
            let heads = lines.iter().map(head);
            heads.filter(|head| !head.is_empty()).collect()
        }

        /// Waits until these are there.
        fn shows(&self, expected: &[&str]) {
            let started = Instant::now();
            while self.heads() != expected {
                let late = started.elapsed() > Duration::from_secs(10);
                assert!(!late, "{:?}, not {expected:?}", self.heads());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            WIDTH as u16
        }

        fn height(&self) -> u16 {
            24
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            let row = &mut self.0.lock().unwrap().1;
            *row = row.saturating_sub(n);
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.0.lock().unwrap().1 += n;
            Ok(())
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.0.lock().unwrap().2 += n;
            Ok(())
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            let column = &mut self.0.lock().unwrap().2;
            *column = column.saturating_sub(n);
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write(&format!("{text}\n"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.write(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            let mut screen = self.0.lock().unwrap();
            let (lines, row, column) = &mut *screen;
            *column = 0;
            if let Some(line) = lines.get_mut(*row) {
                line.clear();
            }
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bars_of_several_proofs_stand_together_and_go_with_their_phase() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let output = Output {
            progress: Progress::Bars,
            bars: MultiProgress::with_draw_target(target),
            ..Output::new("carillon", false, false)
        };
        let started = |phase| ProgressEvent::Started { phase, steps: 1 };
        let finished = |phase| ProgressEvent::Finished {
            phase,
            wall: Duration::ZERO,
        };
        let (one, two) = (output.phases_of("batch 1"), output.phases_of("batch 2"));
        one.event(started(Phase::Load));
        two.event(started(Phase::Load));
        one.event(started(Phase::Ntt));
        screen.shows(&["batch 1, load", "batch 1, ntt", "batch 2, load"]);
        one.event(finished(Phase::Load));
        two.event(finished(Phase::Load));
        two.event(started(Phase::Ntt));
        screen.shows(&["batch 1, ntt", "batch 2, ntt"]);
        drop(two);
        screen.shows(&["batch 1, ntt"]);
        drop(one);
        screen.shows(&[]);

        // One alone keeps what it has done, until its end.
        let alone = output.phases();
        alone.event(started(Phase::Load));
        alone.event(finished(Phase::Load));
        alone.event(started(Phase::Ntt));
        screen.shows(&["load", "ntt"]);
    }
}
