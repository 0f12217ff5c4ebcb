//! What a job cost on an engine that does not model time, as JSON and as text: no figure at all rather than 0.

use carillon_runtime::CardStats;
use serde::Serialize;
use serde_json::{Value, json};

/// What stands in place of a figure that the engine does not model; null in JSON.
pub const NOT_MODELLED: &str = "not modelled by this engine";

/// What a card without a clock does not count.
const BY_TIME: [&str; 6] = [
    "cycles",
    "additions",
    "aggregation_additions",
    "bubble_hazard",
    "bubble_memory",
    "bubble_other",
];

/// The counters of a card that has a clock; `None` for the functional model's.
pub fn timed(card: &CardStats) -> Option<&CardStats> {
    (card.cycles > 0).then_some(card)
}

/// Anything with [`CardStats`] in it as JSON: what commands without a clock did not count is null.
pub fn cost_json(of: &impl Serialize) -> Value {
    let mut value = json!(of);
    leave_out(&mut value);
    value
}

fn leave_out(value: &mut Value) {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => return items.iter_mut().for_each(leave_out),
        _ => return,
    };
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    // Only a job without commands takes no cycles where there is a clock.
    let commands = number("commands").is_some_and(|commands| commands > 0);
    if fields.contains_key("cycles_by") && commands && number("cycles") == Some(0) {
        for name in BY_TIME {
            fields.insert(name.to_owned(), Value::Null);
        }
        if let Some(kinds) = fields.get_mut("cycles_by").and_then(Value::as_object_mut) {
            kinds.values_mut().for_each(|cycles| *cycles = Value::Null);
        }
        if let Some(overlap) = fields.get_mut("overlap").and_then(Value::as_object_mut) {
            overlap.insert("cycles".to_owned(), Value::Null);
        }
    }
    fields.values_mut().for_each(leave_out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_runtime::JobStats;

    fn job(commands: u64, cycles: u64) -> Value {
        let card = CardStats {
            commands,
            cycles,
            bytes_to_card: 5,
            ..CardStats::default()
        };
        let job = JobStats {
            card: Some(card),
            ..JobStats::default()
        };
        cost_json(&[job])[0]["card"].clone()
    }

    #[test]
    fn what_has_no_clock_counts_nothing_by_time() {
        let model = job(2, 0);
        for name in BY_TIME {
            assert!(model[name].is_null(), "{name}: {model}");
        }
        assert!(model["cycles_by"]["msm_g2"].is_null() && model["overlap"]["cycles"].is_null());
        assert_eq!(
            (&model["commands"], &model["bytes_to_card"]),
            (&2.into(), &5.into())
        );
        // A job without commands, and a card with a clock.
        for card in [job(0, 0), job(2, 9)] {
            assert!(card["cycles"].is_u64() && card["additions"] == 0, "{card}");
            assert_eq!(card["cycles_by"]["msm"], 0);
        }
    }
}
