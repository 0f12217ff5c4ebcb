//! What one sum cost beside its ideal, as JSON, as rows and as a line of the table.

use carillon_cli::{NOT_MODELLED, duration, timed};
use carillon_driver::command::{Group, MsmMode};
use carillon_runtime::{CardStats, JobStats};
use carillon_sim::digits::Digits;
use carillon_workload::Distribution;
use serde_json::{Value, json};

use crate::report::stats_json;

/// What an MSM would cost if its adders never waited.
pub struct Ideal {
    /// How the scalars are cut.
    pub digits: Digits,
    /// Digits that are not zero.
    pub non_zero: u64,
    /// The card's adders.
    pub adders: u64,
}

impl Ideal {
    fn additions(&self) -> u64 {
        self.non_zero + 2 * u64::from(self.digits.windows()) * self.digits.buckets()
    }

    fn cycles(&self) -> f64 {
        let slots = self.additions() as f64 / self.adders as f64;
        slots * self.digits.group().slot_cycles() as f64
    }
}

/// One sum.
pub struct Measured {
    /// Its group.
    pub group: Group,
    /// The scalars.
    pub dist: Distribution,
    /// What it cost.
    pub stats: JobStats,
    /// Where the card says enough for it.
    pub ideal: Option<Ideal>,
}

/// Above [`Measured::line`]s.
pub fn heading() -> Vec<String> {
    [
        "scalars",
        "window",
        "cycles",
        "per point",
        "ideal",
        "ratio",
        "occupancy",
        "hazard",
        "memory",
        "other",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

impl Measured {
    /// Counters of the card, if it has a clock.
    fn clocked(&self) -> Option<&CardStats> {
        self.stats.card.as_ref().and_then(timed)
    }

    /// Cycles of the command itself.
    fn cycles(&self) -> Option<u64> {
        self.clocked().map(|card| match self.group {
            Group::G1 => card.cycles_by.msm,
            Group::G2 => card.cycles_by.msm_g2,
        })
    }

    fn per_point(&self, count: usize) -> Option<f64> {
        self.cycles().map(|cycles| cycles as f64 / count as f64)
    }

    /// Cycles over the ideal's.
    fn ratio(&self) -> Option<f64> {
        Some(self.cycles()? as f64 / self.ideal.as_ref()?.cycles())
    }

    fn window(&self) -> Option<String> {
        let Ideal { digits, .. } = self.ideal.as_ref()?;
        let how = match digits.mode() {
            MsmMode::Split => "split",
            MsmMode::Full => "whole",
        };
        Some(format!("{} x {} {how}", digits.windows(), digits.bits()))
    }

    /// In a few words.
    pub fn headline(&self) -> String {
        match self.cycles() {
            Some(cycles) => format!("{cycles} cycles"),
            None => duration(self.stats.wall),
        }
    }

    /// The command's own figures: its completion, and the ideal.
    pub fn json(&self, count: usize) -> Value {
        let card = self.clocked();
        let digits = self.ideal.as_ref().map(|ideal| &ideal.digits);
        json!({
            "cycles": self.cycles(),
            "cycles_per_point": self.per_point(count),
            "bucket_additions": card.map(|card| card.additions),
            "node_additions": card.map(|card| card.aggregation_additions),
            "bubble_hazard": card.map(|card| card.bubble_hazard),
            "bubble_memory": card.map(|card| card.bubble_memory),
            "bubble_other": card.map(|card| card.bubble_other),
            "occupancy": card.and_then(CardStats::occupancy),
            "window_bits": digits.map(Digits::bits),
            "split": digits.map(|digits| digits.mode() == MsmMode::Split),
            "windows": digits.map(Digits::windows),
            "non_zero_digits": self.ideal.as_ref().map(|ideal| ideal.non_zero),
            "ideal_cycles": self.ideal.as_ref().map(Ideal::cycles),
            "ratio": self.ratio(),
        })
    }

    /// An element of the table's JSON.
    pub fn run(&self, count: usize) -> Value {
        json!({
            "dist": self.dist.name(),
            "stats": stats_json(&self.stats),
            "msm": self.json(count),
        })
    }

    /// The table of one sum.
    pub fn rows(&self, count: usize) -> Vec<(&'static str, String)> {
        let mut rows = vec![("time", duration(self.stats.wall))];
        if let Some(window) = self.window() {
            rows.push(("windows", window));
        }
        if let Some(ideal) = &self.ideal {
            rows.push(("digits not zero", ideal.non_zero.to_string()));
            rows.push(("ideal cycles", format!("{:.0}", ideal.cycles())));
        }
        let Some(card) = &self.stats.card else {
            return rows;
        };
        if let (Some(cycles), Some(per_point)) = (self.cycles(), self.per_point(count)) {
            rows.push(("msm cycles", format!("{cycles} ({per_point:.2} a point)")));
            if let Some(ratio) = self.ratio() {
                rows.push(("msm cycles / ideal", format!("{ratio:.3}")));
            }
            rows.extend([
                ("bucket additions", card.additions.to_string()),
                ("node additions", card.aggregation_additions.to_string()),
                (
                    "bubbles",
                    format!(
                        "{} hazard, {} memory, {} other",
                        card.bubble_hazard, card.bubble_memory, card.bubble_other
                    ),
                ),
                ("occupancy", percent(card.occupancy())),
                ("write cycles", card.cycles_by.write.to_string()),
                ("read cycles", card.cycles_by.read.to_string()),
                ("card cycles in all", card.cycles.to_string()),
            ]);
        } else {
            rows.push(("msm cycles", NOT_MODELLED.to_owned()));
        }
        rows.extend([
            ("bytes to card", card.bytes_to_card.to_string()),
            ("bytes from card", card.bytes_from_card.to_string()),
        ]);
        rows
    }

    /// A line under [`heading`].
    pub fn line(&self, count: usize) -> Vec<String> {
        let dash = || "-".to_owned();
        let number = |value: Option<u64>| value.map_or_else(dash, |value| value.to_string());
        let card = self.clocked();
        let ideal = self.ideal.as_ref();
        vec![
            self.dist.name().to_owned(),
            self.window().unwrap_or_else(dash),
            number(self.cycles()),
            self.per_point(count)
                .map_or_else(dash, |cycles| format!("{cycles:.2}")),
            ideal.map_or_else(dash, |ideal| format!("{:.0}", ideal.cycles())),
            self.ratio()
                .map_or_else(dash, |ratio| format!("{ratio:.3}")),
            percent(card.and_then(CardStats::occupancy)),
            number(card.map(|card| card.bubble_hazard)),
            number(card.map(|card| card.bubble_memory)),
            number(card.map(|card| card.bubble_other)),
        ]
    }
}
