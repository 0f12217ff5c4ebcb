//! `carillon examine`: everything that a card says of itself, and what is odd about it.

use carillon_cli::{Failure, grouped};
use carillon_driver::card::CardInfo;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, registers as reg};
use carillon_operator::{Found, Identity, QueueState, Verdict, reach};
use carillon_runtime::card::{CardAddress, open_on};
use clap::Args;
use serde_json::{Value, json};

use crate::Context;
use crate::operator::{CardArg, found_json, found_line};

/// Arguments of `examine`.
#[derive(Debug, Args)]
pub struct ExamineArgs {
    #[command(flatten)]
    card: CardArg,
}

type Rows = Vec<(&'static str, String)>;

/// Opens the card and prints. A card of another gateware is not opened, but its identity shown.
pub async fn run(context: &Context, args: &ExamineArgs) -> Result<(), Failure> {
    let address = args.card.choose(&context.host)?;
    let found = match &address {
        CardAddress::Pci(pci) => Some(Found::one(&context.host, *pci)?),
        _ => None,
    };
    let reached = reach(&address).map_err(Failure::card)?;
    let identity = Identity::read(&*reached);
    let remarks = identity.remarks();
    let mut rows: Rows = vec![("card", address.to_string())];
    rows.extend(found.as_ref().map(|found| ("PCIe", found_line(found))));
    rows.extend(identity_rows(&identity));
    let mut fields = json!({
        "card": address.to_string(),
        "pci": found.as_ref().map(found_json),
        "identity": identity_json(&identity),
        "remarks": remarks,
    });
    match identity.verdict() {
        Verdict::Known => {
            let card = open_on(&address, reached.clone())
                .await
                .map_err(Failure::card)?;
            let details = details(&card, &*reached, &mut rows);
            let closed = details.map(|details| merge(&mut fields, details));
            card.close().await;
            closed?;
        }
        Verdict::OtherGateware => {}
        Verdict::Silent => {
            return Err(Failure::Absent(format!(
                "{address}: {}",
                remarks.join("; ")
            )));
        }
        Verdict::NotACard => {
            return Err(Failure::Absent(format!(
                "{address}: {}",
                remarks.join("; ")
            )));
        }
    }
    rows.extend(remarks.into_iter().map(|remark| ("ODD", remark)));
    context.output.result("carillon.examine/1", fields, &rows);
    Ok(())
}

fn merge(fields: &mut Value, details: Value) {
    if let (Some(fields), Value::Object(details)) = (fields.as_object_mut(), details) {
        fields.extend(details);
    }
}

fn identity_rows(identity: &Identity) -> Rows {
    vec![
        ("contract", identity.version.to_string()),
        ("register map", format!("{:#018x}", identity.rdl_hash)),
        (
            "configuration",
            format!(
                "{} ({})",
                identity.configuration,
                identity.configuration_name()
            ),
        ),
    ]
}

fn identity_json(identity: &Identity) -> Value {
    json!({
        "magic": identity.magic,
        "contract": identity.version,
        "register_map": format!("{:#018x}", identity.rdl_hash),
        "known_register_map": format!("{:#018x}", reg::RDL_HASH),
        "configuration": identity.configuration,
        "configuration_name": identity.configuration_name(),
        "status": identity.status,
    })
}

/// What only an open card of a known gateware says.
fn details(card: &Card, transport: &dyn Transport, rows: &mut Rows) -> Result<Value, Failure> {
    let info = card.info();
    rows.extend(capability_rows(info));
    let queues = QueueState::read_all(transport, u16::from(info.io_queues) + 1);
    for queue in &queues {
        let state = match (queue.active, queue.error) {
            (_, Some(error)) => format!("stopped by the card: {error}"),
            (true, None) => "runs".to_owned(),
            (false, None) => "does not run".to_owned(),
        };
        rows.push(("queue", format!("{}: {state}", queue.number)));
    }
    let vectors: Vec<(u16, u64)> = (0..)
        .map_while(|vector| Some((vector, transport.interrupt(vector).ok()?.count())))
        .collect();
    let fired: Vec<_> = vectors
        .iter()
        .map(|(v, count)| format!("{v}: {count}"))
        .collect();
    rows.push(("interrupts", fired.join(", ")));
    let (free, largest) = card.free_memory();
    rows.push((
        "card memory",
        format!(
            "{} bytes, {} free",
            grouped(info.memory_bytes),
            grouped(free)
        ),
    ));
    let counters = card
        .counters()
        .map_err(|error| Failure::Engine(error.to_string()))?;
    let counted = [
        ("cycles", counters.cycles),
        ("busy", counters.busy),
        ("commands", counters.commands),
        ("errors", counters.errors),
        ("msm_additions", counters.msm_additions),
        ("bubble_hazard", counters.bubble_hazard),
        ("bubble_memory", counters.bubble_memory),
        ("bubble_other", counters.bubble_other),
        ("butterflies", counters.butterflies),
        ("host_read", counters.host_read),
        ("host_written", counters.host_written),
        ("card_read", counters.card_read),
        ("card_written", counters.card_written),
    ];
    rows.push(("card counters", pairs(&counted)));
    let driver = card.driver_counters();
    let driven = [
        ("completions", driver.completions),
        ("lost_interrupts", driver.lost_interrupts),
        ("timeouts", driver.timeouts),
        ("aborts", driver.aborts),
        ("protocol_errors", driver.protocol_errors),
        ("queue_errors", driver.queue_errors),
        ("queue_restarts", driver.queue_restarts),
        ("controller_resets", driver.controller_resets),
        ("function_resets", driver.function_resets),
        ("quarantined_bytes", card.quarantined()),
    ];
    rows.push(("driver counters", pairs(&driven)));
    let object = |pairs: &[(&str, u64)]| -> Value {
        let pairs = pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), json!(value)));
        Value::Object(pairs.collect())
    };
    let queues: Vec<_> = queues
        .iter()
        .map(|q| json!({ "number": q.number, "active": q.active, "error": q.error }))
        .collect();
    let vectors: Vec<_> = vectors
        .iter()
        .map(|(vector, fired)| json!({ "vector": vector, "fired": fired }))
        .collect();
    Ok(json!({
        "capabilities": capabilities_json(info),
        "queues": queues,
        "interrupts": vectors,
        "memory": { "bytes": info.memory_bytes, "free": free, "largest_hole": largest },
        "card_counters": object(&counted),
        "driver_counters": object(&driven),
    }))
}

fn pairs(pairs: &[(&str, u64)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| *value > 0);
    let words: Vec<_> = pairs
        .map(|(name, value)| format!("{name} {}", grouped(*value)))
        .collect();
    if words.is_empty() {
        return "all zero".to_owned();
    }
    words.join(", ")
}

fn capability_rows(info: &CardInfo) -> Rows {
    let words = [(info.fill, ", FILL"), (info.link, ", chains (LINK)")];
    let more: String = words
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, word)| *word)
        .collect();
    vec![
        (
            "queues",
            format!(
                "{} for I/O, depth up to 2^{}{more}",
                info.io_queues, info.max_log2_depth
            ),
        ),
        (
            "MSM",
            format!(
                "in {}, {} adder(s), {} window(s) in flight, up to {} bits, {}",
                if info.msm_g2 { "G1 and G2" } else { "G1" },
                info.msm_adders,
                info.msm_windows,
                info.msm_max_window_bits,
                match info.msm_choice {
                    Some(_) => "states its choice of windows",
                    None => "does not state its choice of windows",
                }
            ),
        ),
        (
            "NTT",
            format!(
                "{} butterfly unit(s), up to 2^{}",
                info.ntt_butterflies, info.ntt_max_log2n
            ),
        ),
    ]
}

fn capabilities_json(info: &CardInfo) -> Value {
    json!({
        "io_queues": info.io_queues,
        "max_log2_depth": info.max_log2_depth,
        "msm_g2": info.msm_g2,
        "fill": info.fill,
        "link": info.link,
        "msm_adders": info.msm_adders,
        "msm_windows": info.msm_windows,
        "msm_max_window_bits": info.msm_max_window_bits,
        "states_window_choice": info.msm_choice.is_some(),
        "ntt_butterflies": info.ntt_butterflies,
        "ntt_max_log2": info.ntt_max_log2n,
    })
}
