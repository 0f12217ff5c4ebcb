//! `carillon simulate`: serves a simulated card on a Unix socket, for other processes and for
//! virtual machines (vfio-user).

use std::path::PathBuf;
use std::sync::Arc;

use carillon_runtime::cli::Failure;
use carillon_sim::faults::SimCard;
use carillon_sim::vfio_user::Server;
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::Context;

/// What to simulate.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The functional model: quick, without time
    Model,
    /// The gateware under Verilator
    Rtl,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Model => "sim:model",
            Kind::Rtl => "sim:rtl",
        }
    }
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Which card
    #[arg(long, value_enum, default_value = "model")]
    card: Kind,
    /// The socket to make; clients use it as `vfio-user:PATH`
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
}

/// Serves until a signal ends the process.
pub async fn run(context: &Context, args: &SimulateArgs) -> Result<(), Failure> {
    let unavailable = |error: &dyn std::fmt::Display| Failure::Unavailable(error.to_string());
    // Before the socket is there, so that whoever sees it may end us.
    let mut end = signal(SignalKind::terminate()).map_err(|e| unavailable(&e))?;
    let card = card(args.card)?;
    let server = Server::start(&args.socket, card).map_err(|e| unavailable(&e))?;
    let fields = json!({ "card": args.card.name(), "socket": args.socket });
    let rows = [
        ("card", args.card.name().to_owned()),
        ("serving", format!("vfio-user:{}", args.socket.display())),
    ];
    context.output.result("carillon.simulate/1", fields, &rows);
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.map_err(|e| unavailable(&e))?,
        _ = end.recv() => {}
    }
    drop(server);
    Ok(())
}

fn card(kind: Kind) -> Result<Arc<dyn SimCard>, Failure> {
    match kind {
        Kind::Model => {
            use carillon_sim::model::{ModelCard, ModelOptions};
            let card = ModelCard::new(ModelOptions::default());
            card.map(|card| Arc::new(card) as Arc<dyn SimCard>)
                .map_err(|error| Failure::Unavailable(format!("cannot start the card: {error}")))
        }
        Kind::Rtl => rtl(),
    }
}

#[cfg(feature = "rtl")]
fn rtl() -> Result<Arc<dyn SimCard>, Failure> {
    use carillon_sim::rtl::{RtlCard, RtlOptions};
    let card = RtlCard::new(RtlOptions::default());
    card.map(|card| Arc::new(card) as Arc<dyn SimCard>)
        .map_err(|error| Failure::Unavailable(error.to_string()))
}

#[cfg(not(feature = "rtl"))]
fn rtl() -> Result<Arc<dyn SimCard>, Failure> {
    Err(Failure::Unavailable(
        "the gateware was not built in: build with `--features rtl`".into(),
    ))
}
