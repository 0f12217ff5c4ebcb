//! `carillon`: engines, benchmarks and proofs from the command line.
//!
//! One file a command; `exit` holds the exit codes, `output` what is printed, `config` the
//! configuration file. Uses the library of this crate and nothing below it.

mod bench;
mod completions;
mod config;
mod engines;
mod exit;
mod output;
mod prove;
mod setup;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use carillon_runtime::EngineKind;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::exit::Failure;
use crate::output::Output;

#[derive(Debug, Parser)]
#[command(
    name = "carillon",
    version,
    about = "Groth16 proving on CPU and card engines"
)]
#[command(after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    /// Print one JSON object with a versioned `schema` to standard output instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Print no progress
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Configuration file (TOML); `engine = "..."` sets the default engine
    #[arg(long, global = true, env = "CARILLON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The option of every command that computes.
#[derive(Clone, Debug, Args)]
struct EngineArg {
    /// cpu, sim:rtl, sim:rtl-structural or sim:model [default: the configuration file's, else cpu]
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
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// What a command needs to know of its surroundings.
struct Context {
    output: Output,
    config: Config,
}

impl Context {
    /// The engine asked for: option or environment, then configuration file, then the CPU.
    fn engine(&self, arg: &EngineArg) -> EngineKind {
        arg.engine.or(self.config.engine).unwrap_or(EngineKind::Cpu)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let output = Output::new(cli.common.json, cli.common.quiet);
    match run(cli, output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
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
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
    }
}
