//! What is wrong with a machine or its cards, and the command that fixes it.
//!
//! [`Facts`] are gathered once (`facts`); the findings are pure functions of them (`machine` for
//! what all cards share, `card` for one card), so that each is tested on a made-up machine.

mod card;
mod facts;
mod machine;

pub use facts::{CardFacts, Facts, Folder, HugePages, Look};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not for long.
    Warn,
    /// It does not work.
    Fail,
}

impl Severity {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Warn => "warn",
            Severity::Fail => "FAIL",
        }
    }
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub subject: String,
    /// How it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// The command or step that fixes it; `None` where nothing is wrong.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            severity: Severity::Ok,
            found: found.into(),
            fix: None,
        }
    }

    fn warn(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warn,
            fix: Some(fix.into()),
            ..Self::ok(subject, found)
        }
    }

    fn fail(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Fail,
            ..Self::warn(subject, found, fix)
        }
    }
}

/// All findings, those of the machine first.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = machine::findings(facts);
    for card in &facts.cards {
        findings.extend(card::findings(card));
    }
    findings
}

/// The report as text: a line for each finding, and one below it that says what fixes it. `word`
/// writes a severity in four columns.
pub fn text(findings: &[Finding], word: impl Fn(Severity) -> String) -> String {
    let width = findings.iter().map(|f| f.subject.len()).max();
    let width = width.unwrap_or_default();
    let mut lines = Vec::new();
    for finding in findings {
        let Finding {
            subject,
            severity,
            found,
            fix,
        } = finding;
        lines.push(format!("{}  {subject:width$}  {found}", word(*severity)));
        lines.extend(
            fix.iter()
                .map(|fix| format!("{:width$}  fix: {fix}", "", width = width + 6)),
        );
    }
    lines.join("\n")
}
