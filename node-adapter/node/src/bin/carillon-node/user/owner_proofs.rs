//! Proofs of who owns an account, for `reclaim`. Those made here are renewed when the chain has moved
//! on: the bridge is asked to keep its state root first, so that this is needed once.

use std::path::{Path, PathBuf};

use alloy::primitives::U256;
use alloy::sol_types::{SolEvent, SolValue};
use carillon_cli::Output;
use carillon_protocol::ledger::State;
use carillon_settlement::abi::ISharedBridge::StateProof;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::abi::state::StateVerifier;
use carillon_settlement::archive::SentMessage;
use carillon_settlement::calls::state_proof;
use serde_json::{Value, json};

use super::chain::{Chain, failure};
use super::exit::read_proofs;
use super::message::PlaceArgs;
use super::wallet::Wallet;
use crate::exit::Failure;

/// The contract's name for a proof of no root that it knows.
pub const STALE: &str = "StateProofInvalid";

/// Where proofs are to come from.
#[derive(Debug)]
pub enum Origin {
    /// A file of `exit proof --out`.
    File(PathBuf),
    /// The state, rebuilt from the archive at this URL.
    Archive(String),
}

impl Origin {
    /// What the arguments name, a file before an archive.
    pub fn named(place: &PlaceArgs, file: Option<&Path>) -> Result<Self, Failure> {
        match (file, &place.archive) {
            (Some(path), _) => Ok(Self::File(path.to_owned())),
            (None, Some(archive)) => Ok(Self::Archive(archive.clone())),
            (None, None) => Err(Failure::input(
                "the owner of an account is shown by a proof of the state: name the chain's archive with --archive, or a file of proofs with --proofs".into(),
            )),
        }
    }
}

/// An origin, read.
#[derive(Debug)]
enum Source {
    File(PathBuf, Vec<StateProof>),
    Archive(String, Box<State>),
}

/// Proofs of cells, each of which shows the owner of its account.
#[derive(Debug)]
pub struct OwnerProofs<'a> {
    output: &'a Output,
    chain: &'a Chain,
    place: &'a PlaceArgs,
    source: Source,
    /// What was sent to keep state roots.
    kept: Vec<Value>,
}

impl<'a> OwnerProofs<'a> {
    /// Reads the file, or rebuilds the newest state.
    pub async fn open(
        output: &'a Output,
        chain: &'a Chain,
        place: &'a PlaceArgs,
        origin: Origin,
    ) -> Result<Self, Failure> {
        let source = match origin {
            Origin::File(path) => {
                let proofs = read_proofs(&path)?;
                Source::File(path, proofs)
            }
            Origin::Archive(archive) => {
                let state = chain.state(output, &place.past, &archive).await?;
                Source::Archive(archive, Box::new(state))
            }
        };
        Ok(Self {
            output,
            chain,
            place,
            source,
            kept: Vec::new(),
        })
    }

    /// A proof of the account that sent a message.
    pub fn of(&self, sent: &SentMessage) -> Option<StateProof> {
        match &self.source {
            Source::File(_, proofs) => {
                let account = U256::from(sent.account);
                let mut proofs = proofs.iter();
                proofs.find(|proof| proof.account == account).cloned()
            }
            Source::Archive(_, state) => {
                state_proof(&state.prove(sent.account, sent.token), sent.token)
            }
        }
    }

    /// The transactions that kept state roots, for JSON.
    pub fn kept(&self) -> &[Value] {
        &self.kept
    }

    /// Makes proofs that no later batch voids, after the contract has refused `refused`.
    pub async fn renew(&mut self, wallet: &Wallet, refused: &StateProof) -> Result<(), Failure> {
        let (output, chain, place) = (self.output, self.chain, self.place);
        let archive = match &self.source {
            Source::File(path, _) => {
                return Err(self.too_old(path, refused).await?);
            }
            Source::Archive(archive, _) => archive.clone(),
        };
        if wallet.dry_run() {
            return Err(Failure::unavailable(
                "the chain executed a batch while its state was rebuilt, and --dry-run does not keep a state root on Ethereum: run it again, or without --dry-run".into(),
            ));
        }
        output.note(
            "the chain executed a batch while its state was rebuilt; a transaction keeps the newest state root, so that no later batch voids proofs against it",
        );
        let call = SharedBridge::keepStateRootCall {
            chainId: chain.contracts.chain_id,
        };
        let bridge = chain.contracts.bridge;
        let step = "keep the state root";
        let sent = wallet.send(output, step, bridge, U256::ZERO, call).await?;
        let announced = sent.mined().and_then(|mined| {
            let logs = mined.receipt.inner.logs().iter();
            let ours = logs.filter(|log| log.address() == bridge);
            ours.filter_map(|log| SharedBridge::StateRootKept::decode_log(&log.inner).ok())
                .next()
        });
        let Some(announced) = announced else {
            return Err(Failure::wrong_result(format!(
                "the bridge {bridge} did not say which state root it keeps: it is no bridge of this version"
            )));
        };
        self.kept.push(json!({
            "batch": announced.batch,
            "state_root": format!("{:#066x}", announced.root),
            "transaction": sent.json(),
        }));
        let last = Some(announced.batch);
        let state = chain
            .state_until(output, &place.past, &archive, last)
            .await?;
        let root = U256::from_be_bytes(state.root().to_bytes_be());
        if root != announced.root {
            return Err(Failure::wrong_result(format!(
                "the state after batch {} has the root {root:#066x}, the bridge keeps {:#066x}: Ethereum turned meanwhile; run it again",
                announced.batch, announced.root
            )));
        }
        self.source = Source::Archive(archive, Box::new(state));
        Ok(())
    }

    /// What is wrong with a file whose proof leads to no root that the contract takes.
    async fn too_old(&self, path: &Path, refused: &StateProof) -> Result<Failure, Failure> {
        let (chain, path) = (self.chain, path.display());
        let bridge = chain.contracts.bridge;
        let verifier = SharedBridge::stateVerifierCall {};
        let verifier = chain.source.read(bridge, verifier).await.map_err(failure)?;
        let recoded = SolValue::abi_decode(&refused.abi_encode());
        let proof = recoded.map_err(|error| Failure::unexpected(error.to_string()))?;
        let call = StateVerifier::rootOfCall { proof };
        let root = chain.source.read(verifier, call).await.map_err(failure)?;
        let history = chain.history(self.output, &self.place.past).await?;
        let newest = history.executed.len();
        let known = history.executed.iter().find(|batch| batch.new_root == root);
        Ok(Failure::input(match known {
            Some(batch) => format!(
                "the proofs {path} are of the state after batch {}, and the chain has executed {newest}: only the newest state counts, or one whose root the bridge keeps. Give --archive instead of --proofs, which makes proofs that no later batch voids; or make the file anew (`exit proof --out`) and use it before the next batch",
                batch.number
            ),
            None => format!(
                "the proofs {path} are of no state of this chain: their root is {root:#066x}, which no batch has; make them anew (`exit proof --out`), or give --archive instead of --proofs"
            ),
        }))
    }
}
