//! `carillon reset`: resets a card and proves that it comes back into service.

use std::sync::Arc;
use std::time::Instant;

use carillon_cli::{Failure, duration};
use carillon_driver::ResetLevel;
use carillon_driver::transport::Transport;
use carillon_operator::reach;
use carillon_runtime::EngineError;
use carillon_runtime::card::{CardAddress, open_on};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::Context;
use crate::operator::CardArg;

/// How deep.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// All queues are stopped and started; card memory keeps its content
    Controller,
    /// Function-level reset: as after power-on, card memory is lost
    Function,
}

/// Arguments of `reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    card: CardArg,
    /// How deep
    #[arg(long, value_enum, default_value = "controller")]
    level: Level,
}

/// Resets, then opens the card.
pub async fn run(context: &Context, args: &ResetArgs) -> Result<(), Failure> {
    let address = args.card.choose(&context.host)?;
    let started = Instant::now();
    let reached = reach(&address).map_err(Failure::card)?;
    if matches!(args.level, Level::Function) {
        // Before opening: a card that cannot be opened is why it is reset.
        function(&address, Arc::clone(&reached)).await?;
    }
    let card = open_on(&address, reached).await.map_err(Failure::card)?;
    let result = match args.level {
        Level::Controller => card.reset(ResetLevel::Controller).await,
        Level::Function => Ok(()),
    };
    card.close().await;
    result.map_err(|source| failed(&address, source))?;
    let wall = started.elapsed();
    let level = match args.level {
        Level::Controller => "controller",
        Level::Function => "function",
    };
    context.output.result(
        "carillon.reset/1",
        json!({
            "card": address.to_string(),
            "level": level,
            "in_service": true,
            "wall_seconds": wall.as_secs_f64(),
        }),
        &[
            ("card", address.to_string()),
            ("reset", level.to_owned()),
            ("after", "opened, identity page right".to_owned()),
            ("time", duration(wall)),
        ],
    );
    Ok(())
}

/// The function-level reset blocks for as long as the kernel takes.
async fn function(address: &CardAddress, reached: Arc<dyn Transport>) -> Result<(), Failure> {
    let reset = move || {
        let _claim = reached.claim()?;
        reached.reset()
    };
    let result = tokio::task::spawn_blocking(reset)
        .await
        .map_err(|error| Failure::Unexpected(error.to_string()))?;
    result.map_err(|error| failed(address, error.into()))
}

fn failed(address: &CardAddress, source: carillon_driver::CardError) -> Failure {
    Failure::card(EngineError::Card {
        engine: address.to_string(),
        operation: "reset",
        step: None,
        source: Box::new(source),
    })
}
