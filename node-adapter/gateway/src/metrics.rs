//! Figures of a gateway in Prometheus' text format, and whether it can make progress. Called by `http`.

use std::fmt::Write as _;

use carillon_serving::{Probe, Unready};

use super::service::{Place, Service};

/// A service that is watched over.
pub struct Watched(pub Service);

impl Probe for Watched {
    fn failure(&self) -> Option<String> {
        None
    }

    fn unready(&self) -> Vec<Unready> {
        let trouble = self.0.sets().trouble;
        let told = |reason| Unready {
            code: "ethereum",
            reason,
        };
        trouble.map(told).into_iter().collect()
    }

    fn metrics(&self) -> String {
        let (sets, counts) = (self.0.sets(), self.0.counts());
        let waiting = sets
            .batches
            .iter()
            .filter(|batch| batch.place == Place::Waiting)
            .count();
        let sent = sets.batches.len() - waiting;
        let counter = |text: &mut String, name: &str, help: &str, value: u64| {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
            );
        };
        let mut text = String::new();
        for (name, help, value) in [
            (
                "carillon_gateway_batches_taken_total",
                "Batches that were taken in.",
                counts.taken,
            ),
            (
                "carillon_gateway_batches_turned_away_total",
                "Batches that were turned away.",
                counts.turned_away,
            ),
            (
                "carillon_gateway_batches_executed_total",
                "Batches that L1 has executed.",
                counts.executed,
            ),
            (
                "carillon_gateway_calls_total",
                "Calls of settleMany that were handed to the sender.",
                counts.calls,
            ),
            (
                "carillon_gateway_refusals_total",
                "Simulations that were refused.",
                counts.refused,
            ),
        ] {
            counter(&mut text, name, help, value);
        }
        let name = "carillon_gateway_batches";
        let _ = writeln!(
            text,
            "# HELP {name} Batches that are here, by place.\n# TYPE {name} gauge"
        );
        for (place, count) in [("waiting", waiting), ("sent", sent)] {
            let _ = writeln!(text, "{name}{{place=\"{place}\"}} {count}");
        }
        text
    }
}
