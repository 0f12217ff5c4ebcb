//! `carillon-node`: the rollup node from the command line.
//!
//! One file or folder a command; `exit` holds the exit codes, `config` the configuration file,
//! `keys` the home of proving keys, `secret` files that nobody else may read, `node_url` and `node_rpc`
//! where a node is and how it is asked. Output is that of `carillon-cli`. Uses the library of this crate
//! and the crates that it is built on.

mod backup;
mod chain;
mod circuit;
mod config;
mod demo;
mod deploy;
mod devnet;
mod evidence;
mod exit;
mod gateway;
mod keys;
mod keys_command;
mod node_rpc;
mod node_url;
mod prover;
mod receipt_key;
mod resync;
mod run;
mod secret;
mod send;
mod status;
#[cfg(test)]
mod surface;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use carillon_cli::{CompletionsArgs, ManArgs, Output, PrintArgs};
use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::exit::Failure;

#[derive(Debug, Parser)]
#[command(
    name = "carillon-node",
    version,
    about = "A rollup that is proved on Carillon cards and settles on Ethereum"
)]
#[command(after_help = exit::help())]
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
    /// Configuration file (TOML) of an operator; options and environment variables win over it.
    /// Above all sections: engine, txs, batch_capacity, seed, key_dir, anvil. In [run], [prover] and [gateway]:
    /// what these commands' options are called, with _ for -. In [fees]: margin_percent,
    /// fill_percent, base_fee, blob_base_fee; in [fees.tokens]: units of a token that are worth a wei,
    /// by slot. It is read by run, deploy, chain create, keys, resync, backup, status, send, bundle send, deposit,
    /// account, prover, gateway and demo [default: carillon/node.toml in the user's configuration folder, if it
    /// exists]
    #[arg(long, global = true, env = "CARILLON_NODE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove a batch of signed transfers and settle it on a local Ethereum node
    ///
    /// Starts anvil, deploys the contracts, creates funded accounts, signs transfers, seals them into
    /// a batch, proves it on the engine, verifies the proof and settles the batch; then shows that
    /// forgeries and a replay are refused. The last line is `settled`.
    Demo(demo::DemoArgs),
    /// Run the sequencer: accept operations, seal batches, have them proved
    ///
    /// Serves users over JSON-RPC (HTTP and WebSocket) and provers over the prover API. An operation
    /// is acknowledged once it is on disk; a restart goes on where the last run ended, however it
    /// ended. Ends cleanly on SIGINT and SIGTERM.
    Run(Box<run::RunArgs>),
    /// Run a whole chain on this machine: Ethereum, contracts, node, prover, funded keys
    ///
    /// Starts anvil with a block every second, deploys the contracts on a new chain, and runs node and
    /// prover until Ctrl-C or SIGTERM. With --data-dir the chain goes on where it ended, however it
    /// ended.
    Devnet(Box<devnet::DevnetArgs>),
    /// Put the contracts of a chain on an Ethereum node
    ///
    /// Timelock, hub, bridge, interop handler, chain and verifier. Everything is checked before the
    /// first transaction; a deployment that was cut off goes on when the command is given again. The
    /// verifying key is an INSECURE development key: for test networks.
    Deploy(Box<deploy::DeployArgs>),
    /// The chains of one hub and bridge, and the lanes between them
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Prove batches of a node, here or across the network
    ///
    /// Polls the node for jobs, proves them on the engine, sends heartbeats meanwhile and delivers
    /// the proofs. On SIGINT and SIGTERM it gives the leases that it holds back.
    Prover(prover::ProverArgs),
    /// Settle batches of several chains in one transaction on Ethereum
    ///
    /// Takes proved batches from nodes (`run --gateway`), puts those together that need each other, checks all
    /// proofs at once, and pays for the transaction. It can delay and never forge: chains look for their operators'
    /// word and proofs themselves. Ends cleanly on SIGINT and SIGTERM.
    Gateway(gateway::GatewayArgs),
    /// Sign an operation and hand it to a node
    #[command(subcommand)]
    Send(send::SendCommand),
    /// Make, check and show the proving keys of chains; register the key of a chain's receipts
    #[command(subcommand)]
    Keys(keys_command::KeysCommand),
    /// Check whether a sequencer has contradicted itself
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Say how a node is, what it waits for, and whether it can make progress
    Status(status::StatusArgs),
    /// Facts about the batch circuit
    #[command(subcommand)]
    Circuit(circuit::CircuitCommand),
    /// Rebuild the state of a chain from Ethereum and its archive, and check every root
    ///
    /// Reads the chain's events from Ethereum and each executed batch from the archive, replays it
    /// natively, and compares roots, commitments, challenge and versioned hash with Ethereum. Ends at
    /// the first mismatch with the batch and the field. With --out it makes the folder that a node
    /// goes on from which has lost its own.
    Resync(Box<resync::ResyncArgs>),
    /// Copy a node's folder, while the node runs or not: database, proving keys, sequencer's key
    ///
    /// A copy that is older than the chain is no place to go on from (`run` refuses it): then the state
    /// comes from `resync --out`, the keys from the copy.
    Backup(backup::BackupArgs),
    /// Deposit ETH or tokens from Ethereum into an account of the rollup
    ///
    /// Checks the chain, the balance and the allowance, and simulates the transaction before it is
    /// sent. With --key the account's public key is registered with it.
    Deposit(user::deposit::DepositArgs),
    /// Have withdrawals and exits of executed batches paid on Ethereum
    ///
    /// Without --batch and --record all open messages of the owner. Needs Ethereum alone.
    Claim(user::claim::ClaimArgs),
    /// Take back withdrawals that nobody can claim: to no address, to the zero address, to the bridge
    ///
    /// The owner of the account that sent one is paid, as a proof of the last executed state shows:
    /// give --archive, from which the proof is made, or --proofs. Anyone may send it for the owner.
    Reclaim(user::reclaim::ReclaimArgs),
    /// Messages from the rollup to Ethereum, and their proofs
    #[command(subcommand)]
    Message(user::message::MessageCommand),
    /// Leave: by a request to the operator, or by state proofs from a halted chain
    #[command(subcommand)]
    Exit(user::exit::ExitCommand),
    /// On a halted chain: have deposits paid back that were never executed
    Recover(user::recover::RecoverArgs),
    /// Agree to a share of a token of which the bridge holds less than it owes
    AcceptShare(user::share::AcceptShareArgs),
    /// Calls on Ethereum that one signature on the rollup pays for and allows
    #[command(subcommand)]
    Bundle(user::bundle::BundleCommand),
    /// Show an account by its index, its owner or its key
    Account(user::account::AccountArgs),
    /// End a chain whose operator leaves the queue's oldest entry waiting for too long; for good
    ///
    /// Anyone may, once an entry is overdue.
    Halt(user::govern::HaltArgs),
    /// For the guardian: stop a chain's deposits and batches for a time
    Pause(user::govern::PauseArgs),
    /// For the guardian: end a pause
    Unpause(user::govern::GovernArgs),
    /// Take back batches that are committed on Ethereum and not executed
    ///
    /// The chain's operator may at any time, anyone else once the first of them was committed longer
    /// ago than the chain's revert delay (`deploy --revert-delay`, a day unless it said otherwise).
    /// Executed batches stay. On a halted chain nobody may, and nobody needs to: such batches are void.
    Revert(user::govern::RevertArgs),
    /// Make a secret key, in a file that nobody else can read
    Keygen(user::key::KeygenArgs),
    /// Print the public key of a secret key
    Pubkey(user::key::PubkeyArgs),
    /// Write manual pages, one a command
    Man(ManArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

fn main() -> ExitCode {
    let cli = match carillon_cli::parse::<Cli>("carillon-node") {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // What serves says what happens; of other commands only what is wrong.
    let level = match cli.command {
        Command::Run(_) | Command::Prover(_) | Command::Gateway(_) => {
            "warn,carillon_node=info,carillon_gateway=info,carillon_runtime=info"
        }
        _ => "warn",
    };
    let output = carillon_cli::start_with("carillon-node", cli.common.print, level);
    // As much as a main thread has: circuits and blobs are large on the stack in builds that are not
    // optimised.
    let runtime = carillon_cli::runtime()
        .map_err(Failure::from)
        .and_then(|mut builder| {
            let runtime = builder.thread_stack_size(8 << 20).build();
            runtime.map_err(|error| Failure::unexpected(format!("no runtime threads: {error}")))
        });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(failure) => return carillon_cli::finish(&output, Err(failure)),
    };
    let stop = CancellationToken::new();
    let result = runtime.block_on(async {
        let serves = matches!(
            cli.command,
            Command::Run(_) | Command::Prover(_) | Command::Gateway(_) | Command::Devnet(_)
        );
        let ended = interrupts(stop.clone(), serves);
        tokio::select! {
            result = run(cli, &output, &stop) => result,
            failure = ended => Err(failure),
        }
    });
    // What still computes after an interrupt ends with the process.
    runtime.shutdown_background();
    carillon_cli::finish(&output, result)
}

async fn run(cli: Cli, output: &Output, stop: &CancellationToken) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            run::run(output, args.merge(config)?, stop).await
        }
        Command::Devnet(args) => devnet::run(output, *args, stop).await,
        Command::Deploy(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            deploy::run(output, *args, config).await
        }
        Command::Chain(command) => {
            let config = Config::read(cli.common.config.as_deref())?;
            chain::run(output, command, config).await
        }
        Command::Prover(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            prover::run(output, args.merge(config)?, stop).await
        }
        Command::Gateway(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            gateway::run(output, args, config, stop).await
        }
        Command::Send(command) => {
            let config = Config::read(cli.common.config.as_deref())?;
            send::run(output, command, &config).await
        }
        Command::Status(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            status::run(output, args, &config).await
        }
        Command::Demo(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            demo::run(output, args.merge(config)?).await
        }
        Command::Keys(command) => {
            let config = Config::read(cli.common.config.as_deref())?;
            keys_command::run(output, command, config).await
        }
        Command::Evidence(command) => evidence::run(output, &command),
        Command::Circuit(command) => circuit::run(output, &command),
        Command::Resync(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            resync::run(output, *args, config).await
        }
        Command::Backup(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            backup::run(output, args, config).await
        }
        Command::Deposit(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            user::deposit::run(output, args, &config).await
        }
        Command::Claim(args) => user::claim::run(output, args).await,
        Command::Reclaim(args) => user::reclaim::run(output, args).await,
        Command::Message(command) => user::message::run(output, command).await,
        Command::Exit(command) => user::exit::run(output, command).await,
        Command::Recover(args) => user::recover::run(output, args).await,
        Command::AcceptShare(args) => user::share::run(output, args).await,
        Command::Bundle(command) => {
            let config = Config::read(cli.common.config.as_deref())?;
            user::bundle::run(output, command, &config).await
        }
        Command::Account(args) => {
            let config = Config::read(cli.common.config.as_deref())?;
            user::account::run(output, args, &config).await
        }
        Command::Halt(args) => user::govern::halt(output, args).await,
        Command::Pause(args) => user::govern::pause(output, args).await,
        Command::Unpause(args) => user::govern::unpause(output, args).await,
        Command::Revert(args) => user::govern::revert(output, args).await,
        Command::Keygen(args) => user::key::generate(output, &args),
        Command::Pubkey(args) => user::key::public(output, &args),
        Command::Man(args) => Ok(args.write(output, Cli::command())?),
        Command::Completions(args) => {
            args.print(output, Cli::command());
            Ok(())
        }
    }
}

/// Ends at the first interrupt. Commands that serve are told by `stop` and end by themselves; only a
/// second interrupt cuts them off.
async fn interrupts(stop: CancellationToken, serves: bool) -> Failure {
    let first = interrupted().await;
    stop.cancel();
    if serves { interrupted().await } else { first }
}

/// Ends when the user or the system asks the process to: the command's future is dropped then, and
/// with it the Ethereum node that it may have started.
async fn interrupted() -> Failure {
    let failed = |error: std::io::Error| Failure::unexpected(format!("no signal handler: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = match signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => return failed(error),
        };
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_or_else(failed, |()| Failure::Interrupted),
            _ = terminate.recv() => Failure::Interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c()
        .await
        .map_or_else(failed, |()| Failure::Interrupted)
}
