//! What the tests saw, for the page `driver/FAULTS.md`.
//!
//! Each test of the suite runs inside [`recorded`], which writes its rows to
//! `faults/<transport>/<test>.json` in the target folder once it has passed;
//! `scripts/faults-table` renders the page from these files. With
//! `CARILLON_FAULTS=console` the rows are printed instead, one line `fault {..}`
//! each: a guest has no folder to share.

use std::cell::RefCell;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;

use carillon_driver::{CardError, JobError, RecoveryAction};
use serde_json::{Value, json};

use super::Rig;

tokio::task_local! {
    static ROWS: RefCell<Vec<Value>>;
}

/// An error of the driver, with its advice.
pub trait Advice {
    /// A short name that is the same on every run.
    fn name(&self) -> String;
    fn action(&self) -> RecoveryAction;
}

impl Advice for JobError {
    fn name(&self) -> String {
        match self {
            Self::Status { completion } => format!("Status {}", completion.status.code.name()),
            Self::TimedOut { by, .. } => format!("TimedOut, ended by {by}"),
            Self::Restarted {
                memory_lost: true, ..
            } => "Restarted, memory lost".into(),
            Self::Protocol { cause } => format!("Protocol {}", variants(&format!("{cause:?}"))),
            other => variants(&format!("{other:?}")),
        }
    }
    fn action(&self) -> RecoveryAction {
        self.recovery_action()
    }
}

impl Advice for CardError {
    fn name(&self) -> String {
        match self {
            Self::Job(job) => job.name(),
            Self::Unresponsive { what, .. } => format!("Unresponsive ({what})"),
            Self::Identity { what } => format!("Identity ({what})"),
            other => variants(&format!("{other:?}")),
        }
    }
    fn action(&self) -> RecoveryAction {
        self.recovery_action()
    }
}

/// The names of nested variants: `Dma Transport Map` of `Dma(Transport(Map { .. }))`. A variant that holds an
/// error of its own name is named once.
fn variants(debug: &str) -> String {
    let names = debug.split('{').next().unwrap_or_default();
    let mut names: Vec<_> = names.split(['(', ')', ' ']).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    names.join(" ")
}

fn row(fault: &str, error: &str, action: &str, result: &str) {
    let row = json!({"fault": fault, "error": error, "action": action, "result": result});
    // Outside of the suite nothing is recorded.
    let _ = ROWS.try_with(|rows| {
        let mut rows = rows.borrow_mut();
        if !rows.contains(&row) {
            rows.push(row);
        }
    });
}

/// `fault` gave `error`; its advice was followed, and the card then worked.
pub fn served(fault: &str, error: &impl Advice) {
    row(
        fault,
        &error.name(),
        &format!("{:?}", error.action()),
        "served",
    );
}

/// `fault` gave no error, and the card worked.
pub fn unnoticed(fault: &str) {
    row(fault, "none", "none", "served");
}

/// `fault` gave one of several errors with one advice, depending on the moment;
/// the advice was followed, and the card then worked.
pub fn one_of(fault: &str, errors: &str, action: RecoveryAction) {
    row(fault, errors, &format!("{action:?}"), "served");
}

/// This rig cannot have `fault`.
pub fn not_injectable(fault: &str) {
    row(fault, "", "", "not injectable here");
}

/// Runs a test and records what it reports.
pub async fn recorded<R: Rig>(test: &str, run: impl Future<Output = ()>) {
    if R::NAME.is_empty() {
        return run.await;
    }
    let console = std::env::var_os("CARILLON_FAULTS").is_some_and(|v| v == "console");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("faults")
        .join(R::NAME.replace(':', "-"));
    let file = folder.join(format!("{test}.json"));
    // A test that fails leaves nothing.
    if !console && file.exists() {
        std::fs::remove_file(&file).unwrap();
    }
    let rows = ROWS
        .scope(RefCell::default(), async {
            run.await;
            ROWS.with(RefCell::take)
        })
        .await;
    let row = |row: Value| {
        let mut row = row;
        row["transport"] = R::NAME.into();
        row["test"] = test.into();
        row
    };
    let rows: Vec<Value> = rows.into_iter().map(row).collect();
    if console {
        // Past the test harness, which keeps what `println` says.
        let mut out = std::io::stdout().lock();
        for row in rows {
            writeln!(out, "fault {row}").unwrap();
        }
    } else if !rows.is_empty() {
        std::fs::create_dir_all(&folder).unwrap();
        let page = serde_json::to_string_pretty(&rows).unwrap();
        std::fs::write(&file, page + "\n").unwrap();
    }
}
