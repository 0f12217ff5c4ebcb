//! `carillon doctor`: what is wrong with this machine or its cards, and what fixes it.

use carillon_cli::{Failure, Tone, user_folder};
use carillon_operator::doctor::{self, Facts, Severity};
use carillon_runtime::card::CardAddress;
use clap::Args;
use serde_json::json;

use crate::Context;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// 0000:03:00.0, vfio-user:PATH, sim:model, sim:rtl or sim:rtl-structural [default: all cards
    /// on PCIe]
    #[arg(value_name = "CARD")]
    card: Option<CardAddress>,
}

/// Looks, and ends with its own exit code if something must be fixed.
pub fn run(context: &Context, args: &DoctorArgs) -> Result<(), Failure> {
    let configuration = user_folder("XDG_CONFIG_HOME", ".config");
    let facts = Facts::gather(&context.host, args.card.as_ref(), configuration)?;
    let findings = doctor::examine(&facts);
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (failed, warned) = (count(Severity::Fail), count(Severity::Warn));
    let list: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "subject": finding.subject,
                "severity": finding.severity.name().to_lowercase(),
                "found": finding.found,
                "fix": finding.fix,
            })
        })
        .collect();
    let rows: [(&str, String); 0] = [];
    context.output.result(
        "carillon.doctor/1",
        json!({ "findings": list, "failed": failed, "warned": warned }),
        &rows,
    );
    let paint = |severity: Severity| {
        let tone = match severity {
            Severity::Ok => Tone::Good,
            Severity::Warn => Tone::Odd,
            Severity::Fail => Tone::Bad,
        };
        context
            .output
            .paint(tone, &format!("{:4}", severity.name()))
    };
    context.output.closing(&doctor::text(&findings, paint));
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Unfit(
            "1 finding must be fixed, see above".to_owned(),
        )),
        failed => Err(Failure::Unfit(format!(
            "{failed} findings must be fixed, from the top"
        ))),
    }
}
