//! `carillon events`: what happens to the cards of this machine.

use std::time::Duration;

use carillon_cli::Failure;
use carillon_operator::events::{self, Event, KernelEvents};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::Context;

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on until interrupted; otherwise only the cards that are there are reported
    #[arg(long, short)]
    follow: bool,
    /// Seconds between two looks, for what the kernel does not announce
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    poll: f64,
}

/// Reports until a signal comes, or the reader of standard output is gone.
pub async fn run(context: &Context, args: &EventsArgs) -> Result<(), Failure> {
    let period = Duration::try_from_secs_f64(args.poll)
        .ok()
        .filter(|period| *period >= Duration::from_millis(10))
        .ok_or_else(|| {
            Failure::Input(format!("--poll {}: give 0.01 seconds or more", args.poll))
        })?;
    let report = |event: &Event| {
        let line = event.to_string();
        context
            .output
            .event("carillon.event/1", event.fields(), &line)
    };
    if !args.follow {
        return Ok(events::now(&context.host, report)?);
    }
    let unexpected = |error: std::io::Error| Failure::Unexpected(error.to_string());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unexpected)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unexpected)?;
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let kernel = match KernelEvents::open() {
        Ok(kernel) => Some(kernel),
        Err(error) => {
            context.output.note(&format!(
                "no kernel messages here ({error}): looking every {} s only",
                args.poll
            ));
            None
        }
    };
    events::follow(&context.host, period, kernel, stop, report).await?;
    Ok(())
}
