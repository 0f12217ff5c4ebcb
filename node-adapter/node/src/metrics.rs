//! A node's figures in Prometheus' text format. Every series is there from the start, at zero.
//!
//! Called by `probe` for the path `/metrics` of both servers. Made anew for each look: the figures
//! are kept where they arise.

use prometheus::{
    Encoder, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::ports::Line;
use super::status::NodeStatus;
use carillon_serving::Counts;
use carillon_settlement::{L1Status, PartStatus};

/// The text, or a comment with the reason if it cannot be made.
pub(super) fn text(status: &NodeStatus) -> String {
    let registry = Registry::new();
    let made = gather(&registry, status).and_then(|()| {
        let mut bytes = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    made.unwrap_or_else(|error| format!("# no metrics: {error}\n"))
}

/// A gauge with one value.
fn gauge(registry: &Registry, name: &str, help: &str, value: u64) -> prometheus::Result<()> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(Box::new(gauge))
}

/// A gauge with one value for each value of a label.
fn gauges(
    registry: &Registry,
    (name, help, label): (&str, &str, &str),
    values: &[(&str, u64)],
) -> prometheus::Result<()> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
    for (of, value) in values {
        let value = i64::try_from(*value).unwrap_or(i64::MAX);
        gauges.with_label_values(&[of]).set(value);
    }
    registry.register(Box::new(gauges))
}

fn gather(registry: &Registry, status: &NodeStatus) -> prometheus::Result<()> {
    let (progress, reached) = (status.progress(), status.reached());
    gauge(
        registry,
        "carillon_node_up",
        "1 while the node does its work, 0 when only a restart helps.",
        u64::from(status.failure().is_none()),
    )?;
    gauge(
        registry,
        "carillon_node_ready",
        "1 while nothing keeps the node from its work.",
        u64::from(status.unready().is_empty()),
    )?;
    gauge(
        registry,
        "carillon_operations_accepted",
        "Operations in the log since genesis.",
        progress.accepted,
    )?;
    gauge(
        registry,
        "carillon_operations_open",
        "Operations that are in no batch yet.",
        progress.open,
    )?;
    gauges(
        registry,
        (
            "carillon_batch",
            "Number of the last batch that has come so far.",
            "reached",
        ),
        &[
            ("sealed", progress.batch),
            ("proved", reached.proved),
            ("settled", reached.settled),
            ("final", reached.finalized),
        ],
    )?;
    gauges(
        registry,
        (
            "carillon_queue_entries",
            "Entries of the L1 queue that are executed, and in sealed batches.",
            "reached",
        ),
        &[
            ("executed", progress.queue),
            ("sealed", progress.sealed_queue),
        ],
    )?;
    gauge(
        registry,
        "carillon_queue_stuck",
        "1 while the next entry of the L1 queue cannot be executed.",
        u64::from(progress.stuck.contains_key(&Line::Queue)),
    )?;
    gauge(
        registry,
        "carillon_lane_entries",
        "Entries of lanes from other chains that are taken.",
        progress.lanes.values().sum(),
    )?;
    gauge(
        registry,
        "carillon_lanes_stuck",
        "Lanes from other chains whose next entry cannot be taken.",
        (progress.stuck.keys())
            .filter(|line| **line != Line::Queue)
            .count() as u64,
    )?;
    let unsettled = progress.unsettled.values();
    gauge(
        registry,
        "carillon_lane_entries_unsettled",
        "Entries of lanes that are taken on the word of chains that have not settled them.",
        unsettled.map(|of| of.next - of.first).sum(),
    )?;
    let oldest = progress.unsettled.values().map(|of| of.since).min();
    gauge(
        registry,
        "carillon_lane_unsettled_since_seconds",
        "When the oldest of them was taken, in seconds since the Unix epoch; 0 without any.",
        oldest.unwrap_or_default() / 1000,
    )?;
    let feeds = status.feeds();
    let waiting = feeds.values().filter(|state| state.is_some()).count() as u64;
    gauges(
        registry,
        (
            "carillon_lane_feeds",
            "Feeds of other chains, by whether they go on.",
            "state",
        ),
        &[
            ("followed", feeds.len() as u64 - waiting),
            ("waiting", waiting),
        ],
    )?;
    let jobs = status.jobs();
    let count = |state: &str| jobs.iter().filter(|job| job.state == state).count() as u64;
    gauges(
        registry,
        (
            "carillon_prover_jobs",
            "Jobs for provers by state.",
            "state",
        ),
        &["open", "leased", "proved"].map(|state| (state, count(state))),
    )?;
    gauge(
        registry,
        "carillon_prover_leases_failed",
        "Leases of the present jobs that ended without a proof.",
        jobs.iter().map(|job| u64::from(job.failures)).sum(),
    )?;
    let proving = status.proving().unwrap_or_default();
    let (here, elsewhere) = proving.here_and_elsewhere();
    gauges(
        registry,
        (
            "carillon_proofs_in_flight",
            "Proofs under way, in this process and by provers elsewhere.",
            "prover",
        ),
        &[("in_process", here), ("elsewhere", elsewhere)],
    )?;
    gauge(
        registry,
        "carillon_proof_places",
        "Proofs that the prover in this process has under way at most, 0 without one.",
        proving.places.unwrap_or(0) as u64,
    )?;
    ethereum(registry, status)?;
    servers(registry, status)
}

fn ethereum(registry: &Registry, status: &NodeStatus) -> prometheus::Result<()> {
    let l1 = status.l1().unwrap_or_default();
    let L1Status {
        queue, settlement, ..
    } = &l1;
    let parts = [("queue", queue), ("settlement", settlement)];
    let of = |value: fn(&PartStatus) -> u64| parts.map(|(name, part)| (name, value(part)));
    gauges(
        registry,
        (
            "carillon_l1_failures_in_a_row",
            "Failures of a part that speaks with Ethereum since it worked last.",
            "part",
        ),
        &of(|part| {
            let failing = part.failing_since.and(part.last_failure.as_ref());
            failing.map_or(0, |failure| failure.times)
        }),
    )?;
    let seconds = GaugeVec::new(
        Opts::new(
            "carillon_l1_last_failure_timestamp_seconds",
            "When a part that speaks with Ethereum failed last, 0 for never.",
        ),
        &["part"],
    )?;
    for (name, part) in parts {
        let at = part.last_failure.as_ref().map_or(0, |failure| failure.at);
        seconds.with_label_values(&[name]).set(at as f64 / 1000.0);
    }
    registry.register(Box::new(seconds))?;
    gauge(
        registry,
        "carillon_l1_head_block",
        "The newest block that the node has heard of, 0 for none.",
        l1.head.unwrap_or(0),
    )?;
    gauge(
        registry,
        "carillon_l1_read_block",
        "The last block whose queue entries were read, 0 for none.",
        l1.read.unwrap_or(0),
    )?;
    gauge(
        registry,
        "carillon_l1_head_age_seconds",
        "How long the newest block has been the newest one.",
        status.head_age().unwrap_or_default().as_secs(),
    )
}

fn servers(registry: &Registry, status: &NodeStatus) -> prometheus::Result<()> {
    let (rpc, api) = status.connections();
    let servers = [("rpc", rpc), ("prover_api", api.unwrap_or_default())];
    gauges(
        registry,
        ("carillon_connections", "Open connections.", "server"),
        &servers.map(|(name, counts)| (name, counts.open)),
    )?;
    type Count = fn(&Counts) -> u64;
    let counters: [(&str, &str, Count); 5] = [
        (
            "carillon_connections_accepted_total",
            "Connections accepted.",
            |counts| counts.accepted,
        ),
        (
            "carillon_connections_refused_total",
            "Connections refused because no slot was free and no other connection could be dropped.",
            |counts| counts.refused,
        ),
        (
            "carillon_connections_dropped_total",
            "Connections that waited and were dropped to free their slots.",
            |counts| counts.dropped,
        ),
        (
            "carillon_requests_total",
            "HTTP requests; a WebSocket is one.",
            |counts| counts.requests,
        ),
        (
            "carillon_requests_late_total",
            "Requests cut off because body or answer took too long.",
            |counts| counts.late,
        ),
    ];
    for (name, help, count) in counters {
        let counter = IntCounterVec::new(Opts::new(name, help), &["server"])?;
        for (server, counts) in &servers {
            counter.with_label_values(&[server]).inc_by(count(counts));
        }
        registry.register(Box::new(counter))?;
    }
    Ok(())
}
