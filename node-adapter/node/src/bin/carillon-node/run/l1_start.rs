//! The Ethereum side of `run` at its start: first a comparison of everything that the node has with
//! what the contracts say, then the connection.

use std::path::Path;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use carillon_cli::Output;
use carillon_node::agreement::{self, AgreementError, Disagreement, Intended};
use carillon_node::{Ethereum, EthereumOptions, RollupOptions, STORE_FILE, Store, StoreError};
use carillon_protocol::Home;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_runtime::groth16::VerifyingKey;
use carillon_settlement::archive::{Archive, ArchiveError, ChainId};
use carillon_settlement::deploy::key_hash;
use carillon_settlement::sender::Policy;
use carillon_settlement::watch::{NodeSource, WatchOptions};
use carillon_settlement::{ChainOnL1, DataMode, receipt_key};
use tokio_util::sync::CancellationToken;

use super::args::{L1Plan, Plan};
use crate::deploy::operator_key;
use crate::exit::Failure;

/// How long one answer of the Ethereum node may take.
const ANSWER: Duration = Duration::from_secs(15);

/// A chain on Ethereum that is this node's.
pub struct L1Start<'a> {
    plan: &'a L1Plan,
    operator: PrivateKeySigner,
    found: ChainOnL1,
}

impl<'a> L1Start<'a> {
    /// Reads the contracts and compares settings and folder with them; the first difference is code 12.
    pub async fn look(output: &Output, run: &Plan, plan: &'a L1Plan) -> Result<Self, Failure> {
        let operator = operator_key(&plan.operator_key)?;
        let step = output.step("Ethereum");
        let source = NodeSource::new(&plan.url, plan.chain, ANSWER)
            .map_err(|error| Failure::input(error.to_string()))?;
        let found = ChainOnL1::read(&source, plan.shape)
            .await
            .map_err(|error| {
                Failure::Settlement(format!(
                    "Ethereum at {}: {error}",
                    carillon_redact::url(&plan.url)
                ))
            })?;
        let rollup = RollupOptions {
            home: found.home(),
            mode: found.mode,
            ..run.rollup
        };
        let node = Intended {
            rollup,
            operator: operator.address(),
            shape: plan.shape,
            joins: plan.gateway.is_some(),
        };
        agreement::settings(&found, &node).map_err(differs)?;
        // A folder that is new stays so until all of this agrees.
        // What the settings say by now is what Ethereum says.
        let open = || {
            Store::open(&run.data_dir, &rollup.mark()).map_err(|error| match error {
                StoreError::Foreign { .. } => Failure::Disagreement(error.to_string()),
                other => other.into(),
            })
        };
        let store = match run.data_dir.join(STORE_FILE).exists() {
            true => Some(open()?),
            false => None,
        };
        let sealed = store.as_ref().map(Store::sealed).transpose();
        let sealed = sealed?.flatten().unwrap_or_default();
        let archived = is_archived(plan, &found, sealed.batch + 1).await?;
        let mark = agreement::history(&found, &node, store.as_ref(), archived);
        let mark = mark.map_err(|error| match error {
            AgreementError::Differs(error) => differs(error),
            AgreementError::Archive { .. } => Failure::Disagreement(error.to_string()),
            AgreementError::Store(error) => error.into(),
        })?;
        let store = match store {
            Some(store) => store,
            None => open()?,
        };
        store.bind(&mark)?;
        drop(store);
        step.done(&format!(
            "{} on {}, a {}, {} batches executed",
            plan.chain,
            carillon_redact::url(&plan.url),
            found.mode,
            found.progress.executed
        ));
        if let Some(note) = archive_note(found.mode, &plan.archive, &run.data_dir) {
            output.note(note);
        }
        Ok(Self {
            plan,
            operator,
            found,
        })
    }

    /// Where the chain's contracts are.
    pub fn home(&self) -> Home {
        self.found.home()
    }

    /// Where the batches' data are.
    pub fn mode(&self) -> DataMode {
        self.found.mode
    }

    /// Compares the verifying key with that of the contract.
    pub fn agree_on_key(&self, key: &VerifyingKey) -> Result<(), Failure> {
        let hash = key_hash(key)?;
        agreement::key(&self.found, hash).map_err(differs)
    }

    /// Compares the key that signs receipts with the one that other chains find on Ethereum. Without one there
    /// nobody believes this chain before it settles; that, and another key there, is said, and with --lane-api another key ends the start.
    pub async fn agree_on_receipts(
        &self,
        output: &Output,
        own: &PublicKey,
        speaks: bool,
    ) -> Result<(), Failure> {
        let source = NodeSource::new(&self.plan.url, self.plan.chain, ANSWER)
            .map_err(|error| Failure::input(error.to_string()))?;
        let found = receipt_key(&source, self.found.hub, self.found.chain).await;
        let found = found.map_err(|error| Failure::Settlement(error.to_string()))?;
        match found.map(|found| agreement::receipts(own, &found)) {
            Some(Ok(())) => {}
            // Other chains would refuse each of its statements, and the old key may be at work elsewhere.
            Some(Err(error)) if speaks => return Err(differs(error)),
            Some(Err(error)) => output.note(&error.to_string()),
            None if speaks => output.note(
                "no key of receipts is registered on Ethereum: no other chain takes what this one sends before it is settled; register it with `carillon-node keys register`",
            ),
            None => {}
        }
        Ok(())
    }

    /// Connects, and goes on where the folder's files end.
    pub async fn start(
        self,
        output: &Output,
        run: &Plan,
        stop: &CancellationToken,
    ) -> Result<Ethereum, Failure> {
        let step = output.step("queue and settlement");
        let options = EthereumOptions {
            url: self.plan.url.clone(),
            chain: self.plan.chain,
            hub: self.found.hub,
            bridge: self.found.bridge,
            operator: self.operator,
            shape: self.plan.shape,
            budget: run.rollup.budget,
            mode: self.found.mode,
            archive: self.plan.archive.clone(),
            watch: WatchOptions {
                start: self.plan.from_block,
                confirmations: self.plan.confirmations,
                ..WatchOptions::default()
            },
            gateway: self.plan.gateway.clone(),
            policy: Policy {
                confirmations: self.plan.confirmations,
                poll: self.plan.poll,
                retry_after: self.plan.poll * 3,
                ..Policy::default()
            },
        };
        let chain = run.rollup.chain_id;
        let ethereum = Ethereum::start(&run.data_dir, chain, options, stop.clone())
            .await
            .map_err(|error| Failure::Settlement(error.to_string()))?;
        step.done("go on");
        Ok(ethereum)
    }
}

/// What is said of an archive that is lost together with the node's database.
fn archive_note(mode: DataMode, archive: &str, data_dir: &Path) -> Option<&'static str> {
    match mode {
        DataMode::Rollup if Path::new(archive) == data_dir.join("archive") => Some(
            "the archive is in the node's folder: whoever loses the one loses both; name another disk with --archive",
        ),
        DataMode::Validium if on_one_disk(archive, data_dir) => Some(
            "VALIDIUM: the archive is the only copy of the chain's data, and it is on the same disk as the node's database: whoever loses both can never rebuild the state, and nobody can leave; name another disk with --archive",
        ),
        _ => None,
    }
}

/// Whether an archive is a folder of the file system that a node's folder is on. What cannot be told
/// counts as one.
fn on_one_disk(archive: &str, data_dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let folder = match archive.split_once("://") {
        Some(("file", path)) => Path::new(path),
        Some(_) => return false,
        None => Path::new(archive),
    };
    let disk = |path: &Path| {
        let there = std::path::absolute(path).ok()?;
        let found = there.ancestors().find_map(|path| path.metadata().ok());
        found.map(|found| found.dev())
    };
    match (disk(folder), disk(data_dir)) {
        (Some(archive), Some(data)) => archive == data,
        _ => true,
    }
}

/// Whether the archive has a batch.
async fn is_archived(plan: &L1Plan, found: &ChainOnL1, number: u64) -> Result<bool, Failure> {
    let chain = ChainId {
        l1: found.l1,
        contract: found.contract,
        chain: found.chain,
    };
    match Archive::open(&plan.archive, chain).await {
        // The first start makes it.
        Err(ArchiveError::Empty) => Ok(false),
        Ok(archive) => archive.contains(number).await.map_err(archive_failure),
        Err(error) => Err(archive_failure(error)),
    }
}

fn archive_failure(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::OtherChain { .. } => Failure::Disagreement(error.to_string()),
        ArchiveError::Store(_) => Failure::unavailable(error.to_string()),
        other => Failure::input(other.to_string()),
    }
}

fn differs(error: Disagreement) -> Failure {
    Failure::Disagreement(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validium_whose_only_copy_is_beside_its_database_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let beside = folder.path().join("elsewhere/archive");
        let beside = beside.to_str().unwrap();
        let said = |mode, archive: &str| archive_note(mode, archive, &data);
        let within = data.join("archive");
        let within = within.to_str().unwrap();
        assert!(
            said(DataMode::Rollup, within)
                .unwrap()
                .contains("loses both")
        );
        assert_eq!(said(DataMode::Rollup, beside), None);
        for archive in [within, beside, &format!("file://{beside}")] {
            let note = said(DataMode::Validium, archive).unwrap();
            assert!(note.contains("only copy"), "{note}");
        }
        assert_eq!(said(DataMode::Validium, "s3://bucket/archive"), None);
    }
}
