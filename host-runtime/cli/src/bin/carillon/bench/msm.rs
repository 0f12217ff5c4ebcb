//! `carillon bench msm`: one sum, or a table over all distributions, beside the ideal.
//!
//! The ideal is one addition for every digit that is not zero and two for every bucket of every
//! window, shared by the card's adders. The digits are counted here, from the contract's recoding.

use carillon_cli::{Failure, duration};
use carillon_driver::command::{Group, MsmMode};
use carillon_driver::windows::Window;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, Bases, EngineInfo, MsmOptions};
use carillon_runtime::memory;
use carillon_runtime::{CardStats, Engine, JobStats};
use carillon_sim::digits::Digits;
use carillon_workload::Distribution;
use clap::Args;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{BenchArgs, VectorArgs, differs, verdict};
use crate::Context;
use crate::report::stats_json;

/// Arguments of `bench msm`.
#[derive(Debug, Args)]
pub struct MsmArgs {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(flatten)]
    vector: VectorArgs,
    /// Bits of a signed window on the card [default: the card chooses]
    #[arg(long)]
    window_bits: Option<u8>,
    /// Do not let the card split scalars, as for bases outside the subgroup of order r
    #[arg(long)]
    full_scalars: bool,
    /// Measure every distribution and print a table
    #[arg(long, conflicts_with = "dist")]
    all_dists: bool,
}

impl MsmArgs {
    fn mode(&self) -> MsmMode {
        if self.full_scalars {
            MsmMode::Full
        } else {
            MsmMode::Split
        }
    }

    /// The window that the card will use, as far as it is known.
    fn window(&self, info: &EngineInfo) -> Option<Window> {
        info.msm_adders?;
        match self.window_bits {
            Some(bits) => Some(Window {
                bits,
                mode: self.mode(),
            }),
            None => Some(info.window_choice?.of(1 << self.vector.log2, self.mode())),
        }
    }
}

/// What an MSM would cost if its adders never waited.
struct Ideal {
    digits: Digits,
    non_zero: u64,
    adders: u64,
}

impl Ideal {
    fn additions(&self) -> u64 {
        self.non_zero + 2 * u64::from(self.digits.windows()) * self.digits.buckets()
    }

    fn cycles(&self) -> f64 {
        self.additions() as f64 / self.adders as f64
    }
}

/// One sum.
struct Measured {
    dist: Distribution,
    stats: JobStats,
    ideal: Option<Ideal>,
}

/// Measures, checks and prints.
pub async fn run(context: &Context, args: &MsmArgs) -> Result<(), Failure> {
    let (bench, vector) = (&args.bench, &args.vector);
    let kind = context.engine(&bench.engine);
    let what = format!("a sum of 2^{} terms", vector.log2);
    bench
        .memory
        .check(&what, memory::of_msm(1 << vector.log2))?;
    let opened = engine::open_with(kind.clone(), context.options(&bench.engine));
    let engine = opened.await.map_err(Failure::opening)?;
    let info = engine.info();
    let digits = args
        .window(&info)
        .map(|window| Digits::new(Group::G1, window));
    let options = MsmOptions {
        window_bits: args.window_bits,
    };
    let count = 1 << vector.log2;
    let points = carillon_workload::g1_bases(count, bench.seed);
    let bases = if args.full_scalars {
        Bases::unknown(&points)
    } else {
        Bases::checked(&points)
    };
    let single = [vector.dist];
    let dists = if args.all_dists {
        &Distribution::ALL[..]
    } else {
        &single
    };
    let mut all = Vec::with_capacity(dists.len());
    for (at, dist) in dists.iter().copied().enumerate() {
        let turn = match dists.len() {
            1 => String::new(),
            turns => format!(" ({} of {turns})", at + 1),
        };
        let step = context
            .output
            .step(format!("2^{} {dist}{turn}", vector.log2));
        let scalars = match &digits {
            Some(digits) => carillon_workload::scalars_against(digits, count, dist, bench.seed),
            None => carillon_workload::scalars(count, dist, bench.seed),
        };
        let (sum, stats) = engine.msm_g1_with(bases, &scalars, options).await?;
        if !vector.no_check {
            let (expected, _) = CpuEngine::new().msm_g1(&points, &scalars).await?;
            if sum != expected {
                return Err(differs(&format!("msm of {dist} scalars"), &kind));
            }
        }
        let ideal = digits.zip(info.msm_adders).map(|(digits, adders)| Ideal {
            digits,
            non_zero: scalars.par_iter().map(|k| digits.non_zero(k)).sum(),
            adders: u64::from(adders).max(1),
        });
        let measured = Measured { dist, stats, ideal };
        step.done(&measured.headline());
        all.push(measured);
    }
    let mut fields = json!({
        "engine": kind.name(),
        "log2": vector.log2,
        "elements": count,
        "seed": bench.seed,
        "checked": !vector.no_check,
        "window_bits": args.window_bits,
        "full_scalars": args.full_scalars,
        "adders": info.msm_adders,
    });
    if let ([measured], false) = (&all[..], args.all_dists) {
        fields["dist"] = json!(measured.dist.name());
        fields["stats"] = stats_json(&measured.stats);
        fields["msm"] = measured.json(count);
        let mut rows = vec![
            ("engine", kind.name()),
            ("elements", format!("2^{}", vector.log2)),
            ("distribution", measured.dist.name().to_owned()),
        ];
        rows.extend(measured.rows(count));
        rows.push(verdict(vector));
        context.output.result("carillon.bench.msm/1", fields, &rows);
        return Ok(());
    }
    let runs: Vec<Value> = all.iter().map(|measured| measured.run(count)).collect();
    fields["runs"] = json!(runs);
    let lines: Vec<Vec<String>> = std::iter::once(heading())
        .chain(all.iter().map(|measured| measured.line(count)))
        .collect();
    context
        .output
        .table("carillon.bench.msm.all/1", fields, &lines);
    Ok(())
}

fn heading() -> Vec<String> {
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
        self.stats.card.as_ref().filter(|card| card.cycles > 0)
    }

    /// Cycles of the command itself.
    fn cycles(&self) -> Option<u64> {
        self.clocked().map(|card| card.cycles_by.msm)
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

    fn headline(&self) -> String {
        match self.cycles() {
            Some(cycles) => format!("{cycles} cycles"),
            None => duration(self.stats.wall),
        }
    }

    /// The command's own figures: its completion, and the ideal.
    fn json(&self, count: usize) -> Value {
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
    fn run(&self, count: usize) -> Value {
        json!({
            "dist": self.dist.name(),
            "stats": stats_json(&self.stats),
            "msm": self.json(count),
        })
    }

    fn rows(&self, count: usize) -> Vec<(&'static str, String)> {
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
            rows.push(("msm cycles", "not modelled by this engine".to_owned()));
        }
        rows.extend([
            ("bytes to card", card.bytes_to_card.to_string()),
            ("bytes from card", card.bytes_from_card.to_string()),
        ]);
        rows
    }

    /// A line under [`heading`].
    fn line(&self, count: usize) -> Vec<String> {
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
