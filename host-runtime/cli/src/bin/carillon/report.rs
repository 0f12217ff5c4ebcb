//! What a job cost, as JSON and as table rows.

use carillon_cli::duration;
use carillon_runtime::JobStats;
use serde_json::{Value, json};

/// A job's cost as JSON: wall seconds, and the card's counters with the occupancy, or null.
pub fn stats_json(stats: &JobStats) -> Value {
    let mut card = json!(stats.card);
    if let (Some(object), Some(stats)) = (card.as_object_mut(), &stats.card) {
        object.insert("occupancy".to_owned(), json!(stats.occupancy()));
    }
    json!({ "wall_seconds": stats.wall.as_secs_f64(), "card": card })
}

/// A job's cost as table rows.
pub fn stats_rows(stats: &JobStats) -> Vec<(&'static str, String)> {
    let mut rows = vec![("time", duration(stats.wall))];
    if let Some(card) = &stats.card {
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
            ("butterflies", card.butterflies.to_string()),
            ("occupancy", occupancy),
            ("bytes to card", card.bytes_to_card.to_string()),
            ("bytes from card", card.bytes_from_card.to_string()),
        ]);
        if card.rows.bytes > 0 {
            rows.extend([
                ("rows of A and B", duration(card.rows.wall)),
                ("bytes meanwhile", card.rows.sent_meanwhile.to_string()),
            ]);
        }
    }
    rows
}
