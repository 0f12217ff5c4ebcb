//! The devnet's Ethereum: anvil that keeps its state, and the contracts, deployed once.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use carillon_circuit::rollup::Shape;
use carillon_cli::{Output, grouped};
use carillon_protocol::ledger::State;
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::{Anvil, AnvilOptions, Deadlines, L1Client};

use super::args::DevnetArgs;
use super::deployed::{Capacity, Deployed};
use super::home::Home;
use crate::exit::Failure;
use crate::keys;

/// The devnet's chain.
const CHAIN_ID: u64 = 270;
/// How long the anvil of the run before may hold its port.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running anvil with the contracts.
#[derive(Debug)]
pub struct Ethereum {
    /// The node of Ethereum; ended when dropped.
    pub anvil: Anvil,
    /// What is on it.
    pub deployed: Deployed,
    /// Where the proving key is.
    pub key_dir: PathBuf,
    /// Whether the chain was there before.
    pub resumed: bool,
}

impl Ethereum {
    /// Starts anvil; deploys the contracts on a new chain.
    pub async fn start(
        output: &Output,
        args: &DevnetArgs,
        home: &Home,
        shape: Shape,
    ) -> Result<Self, Failure> {
        let before: Option<Deployed> = home.deployed()?;
        if before.is_some() && !home.anvil().exists() {
            return Err(Failure::input(format!(
                "{} has a chain, but Ethereum's state {} is gone: the chain is lost with it; delete the folder or name another",
                home.folder().display(),
                home.anvil().display()
            )));
        }
        let step = output.step("Ethereum node");
        free(args.l1_port).await?;
        let anvil = Anvil::start(&AnvilOptions {
            program: args.anvil.clone(),
            port: args.l1_port,
            // The deployment need not wait for blocks.
            block_time: before.is_some().then_some(args.block_time),
            state: Some(home.anvil()),
            ..AnvilOptions::default()
        })
        .await?;
        step.done(&format!(
            "anvil on {}, a block every {} s",
            anvil.url(),
            args.block_time
        ));
        home.write_keys(anvil.signers())?;
        let key_dir = args.key_dir.clone().unwrap_or_else(|| home.keys());
        let resumed = before.is_some();
        let deployed = match before {
            Some(deployed) => deployed,
            None => {
                let deployed = deploy(output, args, home, &anvil, &key_dir, shape).await?;
                anvil.mine_every(args.block_time).await?;
                deployed
            }
        };
        Ok(Self {
            anvil,
            deployed,
            key_dir,
            resumed,
        })
    }
}

/// Waits until nobody listens on the port: the anvil of a devnet that was killed may still write its
/// state.
async fn free(port: u16) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(()),
            Err(_) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => {
                return Err(Failure::unavailable(format!(
                    "port {port} on 127.0.0.1 cannot be used: {error}; end what listens there, or give another with --l1-port"
                )));
            }
        }
    }
}

async fn deploy(
    output: &Output,
    args: &DevnetArgs,
    home: &Home,
    anvil: &Anvil,
    key_dir: &std::path::Path,
    shape: Shape,
) -> Result<Deployed, Failure> {
    let step = output.step("proving key (made once, some seconds to a minute)");
    let folder = key_dir.to_owned();
    let made = tokio::task::spawn_blocking(move || keys::load_or_make(&folder, shape));
    let key = made
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))??;
    step.done(&format!("INSECURE development key {}", key.path.display()));

    let step = output.step("contracts");
    let operator = anvil.signers().first().cloned().ok_or_else(|| {
        Failure::unavailable("anvil printed no funded accounts; is it another program?".into())
    })?;
    let client = L1Client::new(anvil.url(), operator, Deadlines::default())?;
    let genesis = State::genesis(shape.depth()).root();
    let mut options = DeployOptions::new(CHAIN_ID, &genesis).verifier(1, key.key.vk.clone());
    if let Some(delay) = args.queue_delay {
        options = options.with_queue_delay(delay);
        // Time for some entries before the deadlines of later ones move on.
        options.entry_interval = options.entry_interval.min((delay / 30).max(1));
    }
    let l1 = Deployment::deploy(&client, options).await?;
    step.done(&format!("{} gas", grouped(l1.gas)));
    let deployed = Deployed {
        chain_id: CHAIN_ID,
        chain: l1.chain,
        bridge: l1.bridge,
        hub: l1.hub,
        handler: l1.handler,
        shape: Capacity {
            slots: shape.slots(),
            cells: shape.cells(),
            records: shape.records(),
        },
    };
    home.keep(&deployed)?;
    Ok(deployed)
}
