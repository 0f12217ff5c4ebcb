//! What a job cost, as JSON and as table rows.

use carillon_cli::{NOT_MODELLED, cost_json, duration, timed};
use carillon_runtime::JobStats;
use serde_json::{Value, json};

/// A job's cost as JSON: wall seconds, and the card's counters with the occupancy, or null. What the engine does not model
/// is null, too.
pub fn stats_json(stats: &JobStats) -> Value {
    let mut card = cost_json(&stats.card);
    if let (Some(object), Some(stats)) = (card.as_object_mut(), &stats.card) {
        object.insert("occupancy".to_owned(), json!(stats.occupancy()));
    }
    json!({ "wall_seconds": stats.wall.as_secs_f64(), "card": card })
}

/// A job's cost as table rows.
pub fn stats_rows(stats: &JobStats) -> Vec<(&'static str, String)> {
    let mut rows = vec![("time", duration(stats.wall))];
    if let Some(card) = &stats.card {
        match timed(card) {
            Some(card) => {
                let occupancy = card
                    .occupancy()
                    .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
                rows.extend([
                    ("card cycles", card.cycles.to_string()),
                    ("additions issued", card.additions.to_string()),
                    (
                        "aggregation additions",
                        card.aggregation_additions.to_string(),
                    ),
                    ("occupancy", occupancy),
                ]);
            }
            None => rows.push(("card cycles", NOT_MODELLED.to_owned())),
        }
        rows.extend([
            ("butterflies", card.butterflies.to_string()),
            ("bytes to card", card.bytes_to_card.to_string()),
            ("bytes from card", card.bytes_from_card.to_string()),
        ]);
        if card.rows.bytes > 0 {
            rows.extend([
                ("computing rows of A and B", duration(card.rows.wall)),
                (
                    "bytes sent before all rows were there",
                    card.rows.sent_meanwhile.to_string(),
                ),
            ]);
        }
    }
    rows
}
