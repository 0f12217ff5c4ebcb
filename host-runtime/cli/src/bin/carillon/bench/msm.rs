//! `carillon bench msm`: one sum, or a table over all distributions, beside the ideal.
//!
//! The ideal is one addition for every digit that is not zero and two for every bucket of every
//! window, shared by the card's adders, which an addition in G2 occupies for three cycles. The digits
//! are counted here, from the contract's recoding.

mod measured;

use blstrs::{G1Affine, G2Affine, Scalar};
use carillon_cli::Failure;
use carillon_driver::command::{Group, MsmMode};
use carillon_driver::windows::Window;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, Bases, EngineInfo, MsmOptions, SumPoint};
use carillon_runtime::memory;
use carillon_runtime::{Engine, EngineKind, JobStats};
use carillon_sim::digits::Digits;
use carillon_workload::Distribution;
use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{BenchArgs, VectorArgs, differs, verdict};
use crate::Context;
use crate::report::stats_json;
use measured::{Ideal, Measured, heading};

/// The group of the sum.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum GroupArg {
    /// Points over Fp
    G1,
    /// Points over Fp2; on a card without MSM_G2 the CPU computes it
    G2,
}

/// Arguments of `bench msm`.
#[derive(Debug, Args)]
pub struct MsmArgs {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(flatten)]
    vector: VectorArgs,
    /// The group of bases and sum
    #[arg(long, value_enum, default_value_t = GroupArg::G1)]
    group: GroupArg,
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
    fn group(&self) -> Group {
        match self.group {
            GroupArg::G1 => Group::G1,
            GroupArg::G2 => Group::G2,
        }
    }

    fn mode(&self) -> MsmMode {
        if self.full_scalars {
            MsmMode::Full
        } else {
            MsmMode::Split
        }
    }

    /// The window that the card will use, as far as it is known.
    fn window(&self, info: &EngineInfo) -> Option<Window> {
        if !info.sums_on_card(self.group()) {
            return None;
        }
        match self.window_bits {
            Some(bits) => Some(Window {
                bits,
                mode: self.mode(),
            }),
            None => {
                let choice = info.window_choice_in(self.group())?;
                Some(choice.of(1 << self.vector.log2, self.mode()))
            }
        }
    }
}

/// Measures, checks and prints.
pub async fn run(context: &Context, args: &MsmArgs) -> Result<(), Failure> {
    let (bench, vector) = (&args.bench, &args.vector);
    let kind = context.engine(&bench.engine);
    let what = format!("a sum of 2^{} terms", vector.log2);
    let needed = memory::of_msm(args.group(), 1 << vector.log2);
    bench.memory.check(&what, needed)?;
    let opened = engine::open_with(kind.clone(), context.options(&bench.engine));
    let engine = opened.await.map_err(Failure::opening)?;
    let (count, seed) = (1 << vector.log2, bench.seed);
    match args.group {
        GroupArg::G1 => {
            let points: Vec<G1Affine> = carillon_workload::g1_bases(count, seed);
            measure(context, args, &*engine, &points).await
        }
        GroupArg::G2 => {
            let points: Vec<G2Affine> = carillon_workload::g2_bases(count, seed);
            measure(context, args, &*engine, &points).await
        }
    }
}

async fn measure<P: SumPoint>(
    context: &Context,
    args: &MsmArgs,
    engine: &dyn Engine,
    points: &[P],
) -> Result<(), Failure> {
    let (bench, vector) = (&args.bench, &args.vector);
    let kind = context.engine(&bench.engine);
    let count = points.len();
    let info = engine.info();
    let digits = args
        .window(&info)
        .map(|window| Digits::new(P::GROUP, window));
    let bases = if args.full_scalars {
        Bases::unknown(points)
    } else {
        Bases::checked(points)
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
        let stats = args.checked(engine, &kind, bases, &scalars, dist).await?;
        let ideal = digits.zip(info.msm_adders).map(|(digits, adders)| Ideal {
            digits,
            non_zero: scalars.par_iter().map(|k| digits.non_zero(k)).sum(),
            adders: u64::from(adders).max(1),
        });
        let measured = Measured {
            group: P::GROUP,
            dist,
            stats,
            ideal,
        };
        step.done(&measured.headline());
        all.push(measured);
    }
    args.print(context, &info, &all);
    Ok(())
}

impl MsmArgs {
    /// Computes one sum and compares it with the CPU's.
    async fn checked<P: SumPoint>(
        &self,
        engine: &dyn Engine,
        kind: &EngineKind,
        bases: Bases<'_, P>,
        scalars: &[Scalar],
        dist: Distribution,
    ) -> Result<JobStats, Failure> {
        let options = MsmOptions {
            window_bits: self.window_bits,
        };
        let (sum, stats) = P::sum(engine, bases, scalars, options).await?;
        if !self.vector.no_check {
            let (expected, _) = P::sum(&CpuEngine::new(), bases, scalars, options).await?;
            if sum != expected {
                return Err(differs(&format!("msm of {dist} scalars"), kind));
            }
        }
        Ok(stats)
    }

    fn print(&self, context: &Context, info: &EngineInfo, all: &[Measured]) {
        let vector = &self.vector;
        let (count, engine) = (1 << vector.log2, context.engine(&self.bench.engine).name());
        let mut fields = json!({
            "engine": engine,
            "group": self.group().name(),
            "log2": vector.log2,
            "elements": count,
            "seed": self.bench.seed,
            "checked": !vector.no_check,
            "window_bits": self.window_bits,
            "full_scalars": self.full_scalars,
            "adders": info.msm_adders,
        });
        if let ([measured], false) = (all, self.all_dists) {
            fields["dist"] = json!(measured.dist.name());
            fields["stats"] = stats_json(&measured.stats);
            fields["msm"] = measured.json(count);
            let mut rows = vec![
                ("engine", engine),
                ("group", self.group().name().to_owned()),
                ("elements", format!("2^{}", vector.log2)),
                ("distribution", measured.dist.name().to_owned()),
            ];
            rows.extend(measured.rows(count));
            rows.push(verdict(vector));
            context.output.result("carillon.bench.msm/1", fields, &rows);
            return;
        }
        let runs: Vec<Value> = all.iter().map(|measured| measured.run(count)).collect();
        fields["runs"] = json!(runs);
        let lines: Vec<Vec<String>> = std::iter::once(heading())
            .chain(all.iter().map(|measured| measured.line(count)))
            .collect();
        context
            .output
            .table("carillon.bench.msm.all/1", fields, &lines);
    }
}
