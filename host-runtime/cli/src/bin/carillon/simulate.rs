//! `carillon simulate`: serves a simulated card on a Unix socket, for other processes and for
//! virtual machines (vfio-user).

use std::path::PathBuf;

use carillon_cli::Failure;
use carillon_runtime::card::{self, CardAddress};
use carillon_sim::vfio_user::{ServeError, Server};
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
    /// The gateware with its own multipliers: slow
    RtlStructural,
}

impl Kind {
    fn address(self) -> CardAddress {
        match self {
            Kind::Model => CardAddress::SimModel,
            Kind::Rtl => CardAddress::SimRtl,
            Kind::RtlStructural => CardAddress::SimRtlStructural,
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
    let address = args.card.address();
    let card = card::simulated(&address).map_err(Failure::opening)?;
    let server = Server::start(&args.socket, card).map_err(|error| match error {
        ServeError::NotASocket { .. } => Failure::Input(error.to_string()),
        _ => unavailable(&error),
    })?;
    let fields = json!({ "card": address.to_string(), "socket": args.socket });
    let rows = [
        ("card", address.to_string()),
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
