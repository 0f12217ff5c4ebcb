//! `carillon`: engines, benchmarks and proofs from the command line.
//!
//! One file a command; `config` holds the configuration file, `report` how costs are printed.
//! Exit codes and output are those of `carillon_runtime::cli`. Uses the library of this crate and
//! nothing below it.

mod bench;
mod config;
mod engines;
mod prove;
mod report;
mod setup;
mod simulate;
mod trace;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use carillon_runtime::EngineKind;
use carillon_runtime::cli::{self, CompletionsArgs, EXIT_CODES, Failure, Output, PrintArgs};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::Config;

#[derive(Debug, Parser)]
#[command(
    name = "carillon",
    version,
    about = "Groth16 proving on CPU and card engines"
)]
#[command(after_help = exit_codes())]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    print: PrintArgs,
    /// Configuration file (TOML); `engine = "..."` sets the default engine
    #[arg(long, global = true, env = "CARILLON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The option of every command that computes.
#[derive(Clone, Debug, Args)]
struct EngineArg {
    /// cpu, sim:rtl, sim:rtl-structural, sim:model, vfio-user:PATH or a card's PCI address [default: the configuration file's, else cpu]
    #[arg(long, env = "CARILLON_ENGINE", value_name = "ENGINE")]
    engine: Option<EngineKind>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure an operation and check its result against the CPU
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Make an INSECURE development key for the built-in benchmark circuit
    Setup(setup::SetupArgs),
    /// Prove the built-in benchmark circuit with a key made by `setup`
    Prove(prove::ProveArgs),
    /// Verify a proof made by `prove`
    Verify(verify::VerifyArgs),
    /// List the engines and whether this build has them
    Engines,
    /// Record what passes between driver and card, list it, replay it
    #[command(subcommand)]
    Trace(trace::TraceCommand),
    /// Serve a simulated card on a socket, for other processes and virtual machines
    Simulate(simulate::SimulateArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// What a command needs to know of its surroundings.
struct Context {
    output: Output,
    config: Config,
}

impl Context {
    /// The engine asked for: option or environment, then configuration file, then the CPU.
    fn engine(&self, arg: &EngineArg) -> EngineKind {
        let chosen = arg.engine.as_ref().or(self.config.engine.as_ref());
        chosen.cloned().unwrap_or(EngineKind::Cpu)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli::start("carillon", cli.common.print);
    let result = run(cli, output.clone()).await;
    cli::finish(&output, result)
}

fn exit_codes() -> String {
    let lines = EXIT_CODES.map(|(code, meaning)| format!("  {code}  {meaning}"));
    format!("Exit codes:\n  0  success\n{}", lines.join("\n"))
}

async fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let context = Context {
        output,
        config: Config::read(cli.common.config.as_deref())?,
    };
    match cli.command {
        Command::Bench(command) => bench::run(&context, command).await,
        Command::Setup(args) => setup::run(&context, &args),
        Command::Prove(args) => prove::run(&context, &args).await,
        Command::Verify(args) => verify::run(&context, &args),
        Command::Engines => engines::run(&context).await,
        Command::Trace(command) => trace::run(&context, command),
        Command::Simulate(args) => simulate::run(&context, &args).await,
        Command::Completions(args) => {
            args.print(Cli::command());
            Ok(())
        }
    }
}
