//! `chain.toml`: what a new chain is. Read and compared with itself here; what it names on Ethereum is
//! looked at by `create`.

use std::path::Path;

use alloy::primitives::{Address, B256};
use carillon_circuit::rollup::Shape;
use carillon_protocol::ledger::State;
use carillon_settlement::DataMode;
use carillon_settlement::deploy::DeployOptions;
use carillon_settlement::limits::check_records;
use serde::Deserialize;

use crate::exit::Failure;

/// The file.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainFile {
    /// The chain's id.
    id: u64,
    /// `rollup` or `validium`.
    data_mode: String,
    /// Blobs of a batch; 1 for a rollup, 0 for a validium.
    blobs: Option<u64>,
    /// Who commits batches; without it the key that deploys.
    operator: Option<Address>,
    /// The account that fees go to.
    #[serde(default)]
    operator_account: u32,
    /// Who may pause; without it the key that deploys.
    guardian: Option<Address>,
    /// The root of the state that the chain begins with. It can only be the empty state's.
    genesis: Option<B256>,
    /// Circuits of its batches.
    shapes: Vec<ShapeTable>,
    /// Times in seconds.
    #[serde(default)]
    delays: DelayTable,
    /// Wei of a request for an exit while the queue is short.
    entry_fee: Option<u64>,
    /// Wei below which deposits of ETH are refused.
    least_deposit: Option<u64>,
    /// Tokens.
    #[serde(default)]
    tokens: Vec<TokenTable>,
    /// Ids of the chains towards which its side of lanes is opened.
    #[serde(default)]
    lanes: Vec<u64>,
}

/// A circuit.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShapeTable {
    number: u32,
    slots: usize,
    cells: Option<usize>,
    records: Option<usize>,
    /// A verifier that stands already and must be of the circuit's key.
    verifier: Option<Address>,
}

/// Those of `deploy`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DelayTable {
    queue: Option<u64>,
    exit_window: Option<u64>,
    revert: Option<u64>,
    max_pause: Option<u64>,
    pause_cooldown: Option<u64>,
    entry_interval: Option<u64>,
}

/// A token.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenTable {
    slot: u8,
    address: Address,
    /// Units below which deposits are refused.
    #[serde(default)]
    least: u64,
}

/// A circuit of the chain.
#[derive(Debug)]
pub struct Circuit {
    /// Its number on Ethereum.
    pub number: u32,
    /// The circuit.
    pub shape: Shape,
    /// The verifier that was named.
    pub verifier: Option<Address>,
}

/// A chain as the file describes it, before its keys are known.
#[derive(Debug)]
pub struct Described {
    /// What the contracts are given, without verifiers.
    pub options: DeployOptions,
    /// The circuits.
    pub circuits: Vec<Circuit>,
    /// Chains towards which lanes are opened.
    pub lanes: Vec<u64>,
}

impl ChainFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::input(format!("cannot read the chain's file {shown}: {error}"))
        })?;
        toml::from_str(&text)
            .map_err(|error| Failure::input(format!("the chain's file {shown}: {error}")))
    }

    /// What it describes; `delay` is that of the timelock which is to govern the chain, if one is.
    pub fn describe(self, delay: Option<u64>) -> Result<Described, Failure> {
        let input = |reason: String| Failure::input(format!("the chain's file: {reason}"));
        let mode: DataMode = self.data_mode.parse().map_err(input)?;
        let needed = u64::from(!mode.is_validium());
        if let Some(blobs) = self.blobs.filter(|blobs| *blobs != needed) {
            return Err(input(format!(
                "a {mode} with {blobs} blobs a batch: a validium has none, a rollup 1"
            )));
        }
        if self.shapes.is_empty() {
            return Err(input("it has no [[shapes]]: batches need a circuit".into()));
        }
        let mut circuits: Vec<Circuit> = Vec::new();
        for table in &self.shapes {
            let records = table.records.unwrap_or(table.slots.div_ceil(4));
            check_records(records).map_err(|error| input(error.to_string()))?;
            let cells = table.cells.unwrap_or(table.slots.max(3));
            if circuits.iter().any(|other| other.number == table.number) {
                return Err(input(format!("shape {} is named twice", table.number)));
            }
            circuits.push(Circuit {
                number: table.number,
                shape: Shape::production(table.slots, cells, records)?,
                verifier: table.verifier,
            });
        }
        // All circuits of this program have one depth.
        let depth = circuits.first().map_or(0, |circuit| circuit.shape.depth());
        let genesis = State::genesis(depth).root();
        let root = B256::from(genesis.to_bytes_be());
        if let Some(given) = self.genesis.filter(|given| *given != root) {
            return Err(input(format!(
                "genesis is {given}: a chain begins with the empty state, whose root is {root}"
            )));
        }
        let mut options = DeployOptions::new(self.id, &genesis);
        options.validium = mode.is_validium();
        options.operator = self.operator;
        options.operator_account = self.operator_account;
        options.guardian = self.guardian;
        let delays = self.delays;
        options.exit_window = delays.exit_window.unwrap_or(options.exit_window);
        options.revert_delay = delays.revert.unwrap_or(options.revert_delay);
        let queue = delays.queue.unwrap_or(options.queue_delay);
        options = options.with_queue_delay(queue);
        options.max_pause = delays.max_pause.unwrap_or(options.max_pause);
        options.pause_cooldown = delays.pause_cooldown.unwrap_or(options.pause_cooldown);
        options.entry_interval = delays.entry_interval.unwrap_or(options.entry_interval);
        // Without a timelock whoever governs waits for nothing, and the rule has no object.
        options.governance_delay = delay.unwrap_or(options.governance_delay);
        options.entry_fee = self.entry_fee.map_or(options.entry_fee, u128::from);
        if let Some(least) = self.least_deposit {
            options.least_deposits = vec![(0, least.into())];
        }
        for token in self.tokens {
            options.tokens.push((token.slot, token.address));
            if token.least != 0 {
                options
                    .least_deposits
                    .push((token.slot, token.least.into()));
            }
        }
        Ok(Described {
            options,
            circuits,
            lanes: self.lanes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "id = 272\ndata_mode = \"validium\"\n";
    const SHAPE: &str = "[[shapes]]\nnumber = 1\nslots = 4\ncells = 3\nrecords = 2\n";

    fn describe(head: &str, tail: &str) -> Result<Described, String> {
        let text = format!("{SMALL}{head}{SHAPE}{tail}");
        let file: ChainFile = toml::from_str(&text).map_err(|error| error.to_string())?;
        file.describe(None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_describes_a_chain() {
        let head = "lanes = [270, 271]\nblobs = 0\nentry_fee = 5\nleast_deposit = 0\n";
        let tail = "[delays]\nqueue = 3600\nexit_window = 60\n[[tokens]]\nslot = 3\naddress = \"0x0000000000000000000000000000000000000009\"\nleast = 7\n";
        let chain = describe(head, tail).unwrap();
        let options = &chain.options;
        options.check().unwrap();
        assert!(options.validium);
        assert_eq!((options.chain_id, options.queue_delay), (272, 3600));
        assert_eq!((options.entry_fee, options.least_deposit(0)), (5, 0));
        assert_eq!((options.max_pause, options.least_deposit(3)), (1800, 7));
        assert_eq!(chain.lanes, [270, 271]);
        assert_eq!(chain.circuits[0].shape.depth(), 12);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (head, tail, reason) in [
            ("blobs = 1\n", "", "a validium with 1 blobs"),
            ("blbos = 0\n", "", "unknown field"),
            ("", SHAPE, "shape 1 is named twice"),
            (
                "genesis = \"0x0000000000000000000000000000000000000000000000000000000000000001\"\n",
                "",
                "begins with the empty state",
            ),
            ("", "[delays]\nqueue = -1\n", "invalid value"),
        ] {
            let error = describe(head, tail).unwrap_err();
            assert!(error.contains(reason), "{reason}: {error}");
        }
        let none = toml::from_str::<ChainFile>(&format!("{SMALL}shapes = []\n")).unwrap();
        let error = none.describe(None).unwrap_err().to_string();
        assert!(error.contains("need a circuit"), "{error}");
        let plasma = format!("id = 1\ndata_mode = \"plasma\"\n{SHAPE}");
        let plasma = toml::from_str::<ChainFile>(&plasma).unwrap();
        let error = plasma.describe(None).unwrap_err().to_string();
        assert!(error.contains("rollup or validium"), "{error}");
        // The timelock that is to govern it leaves no time to leave.
        let file = toml::from_str::<ChainFile>(&format!("{SMALL}{SHAPE}")).unwrap();
        let short = file.describe(Some(60)).unwrap().options.check();
        assert!(short.unwrap_err().to_string().contains("must be longer"));
    }
}
