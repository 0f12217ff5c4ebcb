//! `carillon-node chain`: the chains of one hub and bridge, and the lanes between them.
//!
//! | file | what it is |
//! |---|---|
//! | `file` | `chain.toml`: what a new chain is |
//! | `create` | puts it up |
//! | `govern` | has calls made by a governor, a key or a timelock |
//! | `read` | `list`, `show`, `lanes` |
//! | `lane` | `lane open`, `lane close`, `retire` |
//! | `bounce` | gives back what was not taken, pays out what nobody would take back |
//!
//! Everything is read from Ethereum: no node of a rollup is asked.

mod bounce;
mod create;
mod file;
mod govern;
mod lane;
mod read;

use carillon_cli::Output;
use carillon_settlement::network::{Network, Registered};
use clap::{Args, Subcommand};

use crate::config::Config;
use crate::exit::Failure;
use crate::user::chain::{Chain, ChainArgs, PastArgs, failure};

/// Commands about the chains of a hub.
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Put a further chain under a hub and bridge that stand already
    ///
    /// The chain's contract, verifiers where none there has the chain's key, registration, tokens, its
    /// side of lanes. Everything is checked before the first transaction, and what was cut off goes on
    /// when the command is given again. Where a timelock governs, the chain is put up and the rest is
    /// shown; --propose announces it, --execute brings it to effect after the timelock's delay.
    Create(Box<create::CreateArgs>),
    /// List every chain of the hub
    List(PlaceArgs),
    /// Show a chain: contracts, who may do what, tokens, lanes
    Show(read::ShowArgs),
    /// Show lanes: sides, counts, what is on its way
    Lanes(read::LanesArgs),
    /// Open or close a chain's side of a lane, by its governor
    #[command(subcommand)]
    Lane(lane::LaneCommand),
    /// Give the sends of a lane back that nobody took for a week, or that are for a halted chain
    ///
    /// Anyone may. Each goes into its sender's chain as an import, or, where that takes none, waits for
    /// `chain collect`. At most 32 with one transaction: give the command again for more.
    Bounce(bounce::BounceArgs),
    /// Have sends paid out on Ethereum that went back and that no chain took
    Collect(bounce::CollectArgs),
    /// Close a chain's lanes, and say what it still holds and how that leaves
    ///
    /// Nothing new comes from other chains any more. The contracts have no end of a chain but `halt`:
    /// deposits go on as long as somebody makes them, and everything that is there can leave. The command
    /// says what is left and what is to be done until nothing is; give it again to see how far it is.
    Retire(lane::RetireArgs),
}

/// Which hub: that of a chain, read from a block on.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub past: PastArgs,
}

impl PlaceArgs {
    /// Finds the contracts.
    pub async fn open(&self) -> Result<(Chain, Network), Failure> {
        let chain = self.chain.connect().await?;
        let network = Network {
            source: chain.source.clone(),
            hub: chain.contracts.hub,
            bridge: chain.contracts.bridge,
            start: self.past.from_block,
            range: self.past.range,
        };
        Ok((chain, network))
    }
}

/// The chain with an id, which the hub must have.
async fn registered(network: &Network, id: u64) -> Result<Registered, Failure> {
    let found = network.chain(id).await.map_err(failure)?;
    found.ok_or_else(|| {
        Failure::input(format!(
            "the hub {} has no chain {id}; `chain list` shows those that it has",
            network.hub
        ))
    })
}

/// A chain whose lanes are read from events: none of them may be older than what is read.
async fn registered_in_range(network: &Network, id: u64) -> Result<Registered, Failure> {
    let found = registered(network, id).await?;
    let chains = network.chains().await.map_err(failure)?;
    if !chains.contains(&found) {
        return Err(Failure::input(format!(
            "chain {id} was registered before the first block that is read, so some of its lanes would not be seen: give --from-block, the block of the bridge's creation or one before it"
        )));
    }
    Ok(found)
}

/// Runs a command.
pub async fn run(output: &Output, command: ChainCommand, config: Config) -> Result<(), Failure> {
    match command {
        ChainCommand::Create(args) => create::run(output, *args, config).await,
        ChainCommand::List(args) => read::list(output, args).await,
        ChainCommand::Show(args) => read::show(output, args).await,
        ChainCommand::Lanes(args) => read::lanes(output, args).await,
        ChainCommand::Lane(command) => lane::run(output, command).await,
        ChainCommand::Bounce(args) => bounce::bounce(output, args).await,
        ChainCommand::Collect(args) => bounce::collect(output, args).await,
        ChainCommand::Retire(args) => lane::retire(output, args).await,
    }
}
