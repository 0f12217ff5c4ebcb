//! How text looks on a terminal: colours, and lines that fit. Nothing of it reaches a file or a
//! pipe, and `NO_COLOR` switches colours off (no-color.org).

use std::io::{IsTerminal, Stderr, Stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// A text is not made narrower than this: where less is left, it goes below its head.
const NARROWEST: usize = 24;
/// Where it begins there.
const BELOW: usize = 9;

/// What a word says of its matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Wrong.
    Bad,
}

/// What standard output can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    colours: bool,
    columns: Option<usize>,
}

impl Look {
    /// Of the process's standard output.
    pub fn of_stdout() -> Self {
        let stdout: Stdout = std::io::stdout();
        let colours = AutoStream::choice(&stdout) != ColorChoice::Never;
        let columns = stdout
            .is_terminal()
            .then(|| terminal_size::terminal_size_of(&stdout))
            .flatten()
            .map(|(terminal_size::Width(columns), _)| usize::from(columns));
        Self { colours, columns }
    }

    /// The text in the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let colour = match tone {
            Tone::Good => AnsiColor::Green,
            Tone::Odd => AnsiColor::Yellow,
            Tone::Bad => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }

    /// `text` behind a head of `indent` columns: broken between words where the terminal ends, with
    /// further lines below the first.
    pub fn hang(self, indent: usize, text: &str) -> String {
        let Some(columns) = self.columns else {
            return text.to_owned();
        };
        let beside = columns.saturating_sub(indent);
        if beside >= NARROWEST || text.chars().count() <= beside {
            return wrap(beside, indent, text);
        }
        let below = columns.saturating_sub(BELOW).max(NARROWEST);
        format!("\n{:BELOW$}{}", "", wrap(below, BELOW, text))
    }
}

/// Whether logs on standard error may have colours.
pub(super) fn colours_in_logs() -> bool {
    let stderr: Stderr = std::io::stderr();
    AutoStream::choice(&stderr) != ColorChoice::Never
}

fn wrap(width: usize, indent: usize, text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{:indent$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_only() {
        let text = "ready, 3 queues run, nothing that is longer";
        assert_eq!(
            wrap(20, 2, text),
            "ready, 3 queues run,\n  nothing that is\n  longer"
        );
        assert_eq!(wrap(100, 2, text), text);
        assert_eq!(wrap(3, 1, "longer words"), "longer\n words");
    }

    #[test]
    fn a_file_gets_neither_colours_nor_breaks() {
        let plain = Look {
            colours: false,
            columns: None,
        };
        assert_eq!(plain.paint(Tone::Bad, "FAIL"), "FAIL");
        let long = "word ".repeat(100);
        assert_eq!(plain.hang(10, &long), long);
        let terminal = Look {
            colours: true,
            columns: Some(80),
        };
        assert_eq!(terminal.paint(Tone::Bad, "FAIL"), "\u{1b}[31mFAIL\u{1b}[0m");
        let shown = terminal.hang(10, long.trim_end());
        assert!(shown.lines().all(|line| line.chars().count() <= 80));
        let narrow = Look {
            colours: false,
            columns: Some(60),
        };
        assert_eq!(narrow.hang(51, "short"), "short");
        let below = narrow.hang(51, "longer than nine");
        assert_eq!(below, "\n         longer than nine");
    }
}
