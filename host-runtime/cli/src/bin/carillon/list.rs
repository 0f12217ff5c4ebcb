//! `carillon list`: the cards of this machine, and the simulated ones of this build.

use std::path::PathBuf;

use carillon_cli::Failure;
use carillon_operator::{Found, reach};
use carillon_runtime::card::CardAddress;
use clap::Args;
use serde_json::{Value, json};

use crate::Context;
use crate::operator::{found_json, found_line};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Also look for a card behind this vfio-user socket; once per socket
    #[arg(long = "socket", value_name = "PATH")]
    sockets: Vec<PathBuf>,
}

/// Lists them. A machine without any is no failure.
pub fn run(context: &Context, args: &ListArgs) -> Result<(), Failure> {
    let found = Found::all(&context.host)?;
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut cards: Vec<Value> = Vec::new();
    for card in &found {
        rows.push((card.device.address.to_string(), found_line(card)));
        cards.push(found_json(card));
    }
    if found.is_empty() {
        rows.push((
            "PCIe".into(),
            "no card found (`carillon doctor` looks for the reason)".into(),
        ));
    }
    for path in &args.sockets {
        let address = CardAddress::VfioUser(path.clone());
        let (state, remark) = match reach(&address) {
            Ok(_) => ("ready", String::new()),
            Err(error) => match Failure::card(error) {
                Failure::Busy(why) => ("busy", why),
                failure => ("gone", failure.to_string()),
            },
        };
        other(
            &mut rows,
            &mut cards,
            &address,
            ("vfio-user", state),
            &remark,
        );
    }
    for address in CardAddress::SIMULATED {
        let (state, remark) = if address.is_built() {
            ("ready", "simulated in the process that opens it")
        } else {
            (
                "not built",
                "build with `--features rtl` or `rtl-structural`",
            )
        };
        other(
            &mut rows,
            &mut cards,
            &address,
            ("simulated", state),
            remark,
        );
    }
    let fields = json!({ "cards": cards });
    context.output.result("carillon.list/1", fields, &rows);
    Ok(())
}

fn other(
    rows: &mut Vec<(String, String)>,
    cards: &mut Vec<Value>,
    address: &CardAddress,
    (kind, state): (&str, &str),
    remark: &str,
) {
    let line = if remark.is_empty() {
        state.to_owned()
    } else {
        format!("{state}, {remark}")
    };
    rows.push((address.to_string(), line));
    cards.push(json!({
        "address": address.to_string(),
        "kind": kind,
        "state": state,
        "remark": remark,
    }));
}
