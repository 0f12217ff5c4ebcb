//! `carillon validate`: whether a card does what it should, in four levels.

use carillon_cli::{Failure, Output, Step, Tone, duration};
use carillon_operator::validate::{self, LEVELS, Observer, Options, Outcome};
use clap::Args;
use serde_json::json;

use crate::Context;
use crate::operator::CardArg;

/// The column at which the text of a check begins.
const TEXT_AT: usize = 51;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    card: CardArg,
    /// 1 identity and counters; 2 also DMA, interrupts, a sample of card memory; 3 also every
    /// compute command, error statuses, resets; 4 also all of card memory, large jobs, a proof
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(LEVELS)))]
    level: u8,
    /// Elements of the large jobs of level 4 as a power of two
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(2..=24))]
    log2: u32,
    /// How often level 4 repeats the large jobs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Go on after a check that fails
    #[arg(long)]
    keep_going: bool,
}

/// Shows checks as they run.
struct Show<'a> {
    output: &'a Output,
    step: Option<Step<'a>>,
}

impl Observer for Show<'_> {
    fn begins(&mut self, name: &'static str) {
        self.step = Some(self.output.spinner(name));
    }

    fn ended(&mut self, outcome: &Outcome) {
        let (verdict, text) = verdict(outcome);
        if let Some(step) = self.step.take() {
            step.clear();
        }
        let Outcome {
            level, name, wall, ..
        } = outcome;
        let time = duration(*wall);
        let tone = match outcome.result {
            Ok(_) => Tone::Good,
            Err(_) => Tone::Bad,
        };
        let verdict = self.output.paint(tone, &format!("{verdict:4}"));
        let text = self.output.hang(TEXT_AT, text);
        self.output.closing(&format!(
            "{verdict}  {level}  {name:28}  {time:>10}  {text}"
        ));
    }
}

fn verdict(outcome: &Outcome) -> (&'static str, &str) {
    match &outcome.result {
        Ok(found) => ("ok", found),
        Err(wrong) => ("FAIL", wrong),
    }
}

/// Runs the checks; a failed one ends with its own exit code.
pub async fn run(context: &Context, args: &ValidateArgs) -> Result<(), Failure> {
    let address = args.card.choose(&context.host)?;
    let options = Options {
        level: args.level,
        log2: args.log2,
        rounds: args.rounds,
        keep_going: args.keep_going,
    };
    let mut show = Show {
        output: &context.output,
        step: None,
    };
    let outcomes = validate::run(&address, options, &mut show)
        .await
        .map_err(Failure::card)?;
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .collect();
    let checks: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "level": outcome.level,
                "name": outcome.name,
                "passed": outcome.result.is_ok(),
                "text": verdict(outcome).1,
                "wall_seconds": outcome.wall.as_secs_f64(),
            })
        })
        .collect();
    let fields = json!({
        "card": address.to_string(),
        "level": args.level,
        "passed": failed.is_empty(),
        "gone": outcomes.iter().any(|outcome| outcome.gone),
        "checks": checks,
    });
    let rows: [(&str, String); 0] = [];
    context.output.result("carillon.validate/1", fields, &rows);
    match &*failed {
        [.., last] if last.gone => Err(Failure::Left(format!(
            "{address} has left the bus during `{}`: that says nothing of the card; check slot and power \
             (`carillon doctor`), or the simulation, and validate it again",
            last.name
        ))),
        [] => {
            let count = outcomes.len();
            context
                .output
                .closing(&format!("{address}: {count} checks passed"));
            Ok(())
        }
        failed => {
            let names: Vec<_> = failed.iter().map(|outcome| outcome.name).collect();
            Err(Failure::CheckFailed(format!(
                "{address} failed {}: take it out of service; `carillon examine {address}` shows its \
                 counters",
                names.join(", ")
            )))
        }
    }
}
