//! `carillon`: engines, benchmarks, proofs and the care of cards from the command line.
//!
//! One file a command; `config` holds the configuration file, `report` how costs are printed,
//! `operator` how cards are named and shown. Exit codes and output are those of
//! `carillon-cli`. Uses the library of this crate, `carillon-runtime`, `carillon-operator` and
//! `carillon-workload`; of the driver and the simulators only the types that it shows.

mod bench;
mod bind;
mod chain;
mod config;
mod doctor;
mod engines;
mod events;
mod examine;
mod list;
mod operator;
mod prove;
mod report;
mod reset;
mod setup;
mod simulate;
mod trace;
mod validate;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use carillon_cli::{self, CompletionsArgs, DOCTOR, Failure, ManArgs, Output, PrintArgs};
use carillon_operator::Host;
use carillon_runtime::EngineKind;
use carillon_runtime::engine::{DMA_MEMORY, DmaMemory, ENGINES, EngineOptions};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::Config;

#[derive(Debug, Parser)]
#[command(
    name = "carillon",
    version,
    about = "Groth16 proving on CPU and card engines"
)]
#[command(after_help = carillon_cli::explain_codes("success", &[DOCTOR]))]
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
    /// Configuration file (TOML) with the keys engine and dma_memory, which are the defaults of the
    /// options of these names [default: carillon/config.toml in the user's configuration folder, if it
    /// exists]
    #[arg(long, global = true, env = "CARILLON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read `sys`, `proc` and `dev` below this folder instead of the machine's own
    #[arg(long, global = true, hide = true, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

/// The option of every command whose memory is estimated first.
#[derive(Clone, Copy, Debug, Args)]
struct MemoryArg {
    /// Begin even if the estimate of its memory says that it cannot fit
    #[arg(long)]
    ignore_memory: bool,
}

impl MemoryArg {
    /// Refuses a job that cannot fit.
    fn check(self, what: &str, needed: u64) -> Result<(), Failure> {
        if self.ignore_memory {
            return Ok(());
        }
        Ok(carillon_runtime::memory::check(what, needed)?)
    }
}

/// The option of every command that computes.
#[derive(Clone, Debug, Args)]
struct EngineArg {
    #[arg(long, env = "CARILLON_ENGINE", value_name = "ENGINE",
        help = format!("{ENGINES} [default: the configuration file's, else cpu]"))]
    engine: Option<EngineKind>,
    /// Host memory that a card may use for DMA each way, in MiB; larger operands stream through it [default: the configuration file's, else 4096]
    #[arg(long, env = DMA_MEMORY, value_name = "MIB")]
    dma_memory: Option<DmaMemory>,
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
    /// List the cards of this machine, and the simulated ones of this build
    List(list::ListArgs),
    /// Open a card and print all that it says of itself
    Examine(examine::ExamineArgs),
    /// Check a card against the CPU; overwrites its memory
    Validate(validate::ValidateArgs),
    /// Reset a card and see that it comes back into service
    Reset(reset::ResetArgs),
    /// Hand a card to processes, by the driver vfio-pci (root)
    Bind(bind::BindArgs),
    /// Take a card from vfio-pci and give it back to the kernel (root)
    Unbind(bind::UnbindArgs),
    /// Look for what is wrong with this machine or its cards, and say what fixes it
    Doctor(doctor::DoctorArgs),
    /// Report what happens to the cards of this machine
    Events(events::EventsArgs),
    /// Write manual pages, one a command
    Man(ManArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// What a command needs to know of its surroundings.
struct Context {
    output: Output,
    config: Config,
    host: Host,
}

impl Context {
    /// The engine asked for: option or environment, then configuration file, then the CPU.
    fn engine(&self, arg: &EngineArg) -> EngineKind {
        let chosen = arg.engine.as_ref().or(self.config.engine.as_ref());
        chosen.cloned().unwrap_or(EngineKind::Cpu)
    }

    /// How it is opened.
    fn options(&self, arg: &EngineArg) -> EngineOptions {
        EngineOptions {
            dma_memory: arg.dma_memory.or(self.config.dma_memory),
        }
    }
}

fn main() -> ExitCode {
    let cli = match carillon_cli::parse::<Cli>("carillon") {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = carillon_cli::start("carillon", cli.common.print);
    let result = carillon_cli::runtime().and_then(|mut builder| {
        let runtime = builder
            .build()
            .map_err(|error| Failure::Unexpected(format!("no runtime threads: {error}")))?;
        runtime.block_on(run(cli, output.clone()))
    });
    carillon_cli::finish(&output, result)
}

async fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let context = Context {
        output,
        config: Config::read(cli.common.config.as_deref())?,
        host: operator::host(cli.common.root.as_ref()),
    };
    match cli.command {
        Command::Bench(command) => bench::run(&context, command).await,
        Command::Setup(args) => setup::run(&context, &args),
        Command::Prove(args) => prove::run(&context, &args).await,
        Command::Verify(args) => verify::run(&context, &args),
        Command::Engines => engines::run(&context).await,
        Command::Trace(command) => trace::run(&context, command),
        Command::Simulate(args) => simulate::run(&context, &args).await,
        Command::List(args) => list::run(&context, &args),
        Command::Examine(args) => examine::run(&context, &args).await,
        Command::Validate(args) => validate::run(&context, &args).await,
        Command::Reset(args) => reset::run(&context, &args).await,
        Command::Bind(args) => bind::bind(&context, &args),
        Command::Unbind(args) => bind::unbind(&context, &args),
        Command::Doctor(args) => doctor::run(&context, &args),
        Command::Events(args) => events::run(&context, &args).await,
        Command::Man(args) => args.write(&context.output, Cli::command()),
        Command::Completions(args) => {
            args.print(&context.output, Cli::command());
            Ok(())
        }
    }
}
