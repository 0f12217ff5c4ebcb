//! Archive and resync: a chain with real contracts and blobs on anvil, its batches archived and
//! replayed, and everything that can be wrong with an archive; `reclaim` while the chain moves on.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/terminal.rs"]
#[allow(dead_code)]
mod terminal;

mod chain;

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use blstrs::Scalar;
use carillon_protocol::Header;
use carillon_protocol::ledger::State;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::archive::{
    Archive, ArchiveError, Batch, Field, HistoryError, ObjectError, PutOutcome, ResyncError,
    ResyncOptions, ResyncReport, resync, resync_ahead, resync_until,
};
use carillon_settlement::watch::{NodeSource, WatchError, WatchOptions};
use carillon_testing as common;
use chain::Chain;
use common::proxy::{Modes, Proxy};
use ff::Field as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::json;
use terminal::Terminal;

fn options() -> ResyncOptions {
    ResyncOptions {
        watch: WatchOptions {
            confirmations: 0,
            range: 7,
            ..WatchOptions::default()
        },
        ..ResyncOptions::default()
    }
}

fn source(chain: &Chain) -> NodeSource {
    let url = chain.world.anvil.url();
    NodeSource::new(url, chain.world.l1.chain, Duration::from_secs(20)).unwrap()
}

async fn run(chain: &Chain, archive: &Archive) -> Result<(State, ResyncReport), ResyncError> {
    resync(&source(chain), archive, options(), |_| {}).await
}

/// An archive in memory with these batches.
async fn archive_of(chain: &Chain, batches: &[Batch]) -> (Arc<InMemory>, Archive) {
    let store = Arc::new(InMemory::new());
    let archive = Archive::create_in(store.clone(), Path::default(), chain.id());
    let archive = archive.await.unwrap();
    for batch in batches {
        assert_eq!(archive.put(batch).await.unwrap(), PutOutcome::Written);
    }
    (store, archive)
}

fn field(result: Result<(State, ResyncReport), ResyncError>) -> (u64, Field) {
    match result.map(|(_, report)| report) {
        Err(ResyncError::Mismatch(mismatch)) => (mismatch.batch, mismatch.field),
        other => panic!("not a mismatch: {other:?}"),
    }
}

#[tokio::test]
async fn the_state_is_rebuilt_and_every_fault_is_named() {
    let mut chain = Chain::new(1).await;
    let batches = chain.story().await;
    let (store, archive) = archive_of(&chain, &batches).await;

    let (state, report) = run(&chain, &archive).await.unwrap();
    assert_eq!(state.root(), chain.ledger.state().root());
    assert_eq!(report.root, state.root());
    let on_l1 = chain.world.root().await;
    assert_eq!(on_l1, U256::from_be_bytes(report.root.to_bytes_be()));
    assert_eq!((report.batches, report.pending), (3, 0));
    assert_eq!(report.queue, 4);
    for (index, account) in chain.ledger.state().accounts() {
        assert_eq!(state.account(index), Some(account));
    }
    // Writing again is no change, writing another batch of the number is refused.
    assert_eq!(archive.put(&batches[1]).await.unwrap(), PutOutcome::Present);
    let mut other = batches[1].clone();
    other.proof.push(0);
    let error = archive.put(&other).await.unwrap_err();
    assert!(
        matches!(error, ArchiveError::Conflict { number: 2 }),
        "{error}"
    );
    assert!(archive.verify().await.unwrap().faults.is_empty());

    // What L1 has not executed is not looked at, whatever it is.
    let mut early = batches[2].clone();
    early.number = 4;
    archive.put(&early).await.unwrap();
    assert_eq!(run(&chain, &archive).await.unwrap().1.pending, 1);

    // A rebuild takes it if it follows and the chain's verifier accepts its proof, and not else.
    chain.transfer(1, 2, 9);
    let sealed = chain.seal();
    let ahead = async |batch: &Batch| {
        archive.replace(batch).await.unwrap();
        resync_ahead(&source(&chain), &archive, options(), |_| {}, |_| Ok(())).await
    };
    let change = |change: &dyn Fn(&mut Batch)| {
        let mut changed = sealed.clone();
        change(&mut changed);
        changed
    };
    for (wrong, reason) in [
        (early, "batch number"),
        (
            change(&|batch| batch.proof = vec![1; 512]),
            "refused by the verifier",
        ),
        (change(&|batch| batch.header[1] += Scalar::ONE), "old root"),
        (
            change(&|batch| batch.header[2] += Scalar::ONE),
            "operations",
        ),
        (change(&|batch| batch.blob[0] += Scalar::ONE), "operations"),
    ] {
        match ahead(&wrong).await {
            Err(ResyncError::Ahead {
                number: 4,
                reason: found,
            }) => {
                assert!(found.contains(reason), "{reason}: {found}");
            }
            other => panic!("{reason}: {other:?}"),
        }
    }
    let (state, report) = ahead(&sealed).await.unwrap();
    assert_eq!(state.root(), chain.ledger.state().root());
    assert_eq!((report.batches, report.pending), (3, 1));

    // Objects that cannot be read.
    let path = Path::from("batches/000000000002.batch");
    let good = batches[1].to_bytes().unwrap();
    let object = |bytes: Vec<u8>| store.put(&path, PutPayload::from(bytes));
    let mut corrupted = good.clone();
    corrupted[good.len() / 2] ^= 1;
    object(corrupted).await.unwrap();
    let error = run(&chain, &archive).await.unwrap_err();
    assert!(error.to_string().contains("batch 2"), "{error}");
    assert!(
        matches!(
            &error,
            ResyncError::Archive(ArchiveError::Object { number: 2, reason })
                if matches!(reason, ObjectError::Checksum | ObjectError::NotInField { .. })
        ),
        "{error}"
    );
    object(good[..good.len() - 40].to_vec()).await.unwrap();
    let error = run(&chain, &archive).await.unwrap_err();
    assert!(
        matches!(
            error,
            ResyncError::Archive(ArchiveError::Object {
                number: 2,
                reason: ObjectError::Truncated { .. }
            })
        ),
        "{error}"
    );
    object(batches[0].to_bytes().unwrap()).await.unwrap();
    let error = run(&chain, &archive).await.unwrap_err();
    assert!(
        matches!(
            error,
            ResyncError::Archive(ArchiveError::Misplaced {
                number: 2,
                found_number: 1,
                ..
            })
        ),
        "{error}"
    );
    let faults = archive.verify().await.unwrap().faults;
    assert_eq!(faults.iter().map(|f| f.number).collect::<Vec<_>>(), [2]);
    store.delete(&path).await.unwrap();
    let error = run(&chain, &archive).await.unwrap_err();
    assert!(
        matches!(
            error,
            ResyncError::Archive(ArchiveError::Missing { number: 2 })
        ),
        "{error}"
    );

    // L1 is ahead of the archive.
    let (_, short) = archive_of(&chain, &batches[..2]).await;
    let error = run(&chain, &short).await.unwrap_err();
    assert!(
        matches!(
            error,
            ResyncError::ArchiveBehind {
                executed: 3,
                archived: 2
            }
        ),
        "{error}"
    );

    // Another chain's archive.
    let mut foreign = chain.id();
    foreign.chain += 1;
    let store = Arc::new(InMemory::new());
    let foreign = Archive::create_in(store.clone(), Path::default(), foreign);
    let foreign = foreign.await.unwrap();
    let error = run(&chain, &foreign).await.unwrap_err();
    assert!(
        matches!(error, ResyncError::Archive(ArchiveError::OtherChain { .. })),
        "{error}"
    );
    let error = Archive::open_in(store, Path::default(), chain.id())
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::OtherChain { .. }), "{error}");

    // Objects with good checksums that say something else than L1.
    let forge = |change: &dyn Fn(&mut Batch)| {
        let mut forged = batches.clone();
        change(&mut forged[1]);
        forged
    };
    // The first word, a root, a record's words.
    let last = batches[1].header.len() - 1;
    let mut cases: Vec<(Vec<Batch>, Field)> = [0, 2, 3, last]
        .into_iter()
        .map(|word| {
            let forged = forge(&|batch| batch.header[word] += Scalar::ONE);
            (forged, Field::HeaderWord(word))
        })
        .collect();
    // Commitments are over groups of 24 words: a slightly larger shape may have the same commitment.
    cases.extend([
        (forge(&|b| b.header.truncate(3)), Field::HeaderWord(3)),
        (
            forge(&|b| b.header.push(Scalar::ZERO)),
            Field::HeaderWord(batches[1].header.len()),
        ),
        (forge(&|b| b.shape.number += 1), Field::Shape),
        (forge(&|b| b.shape.records = 0), Field::Shape),
        (forge(&|b| b.shape.records += 20), Field::HeaderCommitment),
        (forge(&|b| b.shape.slots += 100), Field::BlobCommitment),
        (forge(&|b| b.blob[0] += Scalar::ONE), Field::VersionedHash),
        (forge(&|b| b.blob[1] = Scalar::ZERO), Field::VersionedHash),
        (
            forge(&|b| b.blob.resize(4097, Scalar::ZERO)),
            Field::VersionedHash,
        ),
    ]);
    for (forged, expected) in cases {
        let (_, archive) = archive_of(&chain, &forged).await;
        assert_eq!(field(run(&chain, &archive).await), (2, expected));
    }
}

/// Without blobs C_B alone binds the data: in the calldata, and in the hash that the contract keeps.
#[tokio::test]
async fn a_validium_is_rebuilt_and_other_data_are_found() {
    let mut chain = Chain::validium(7).await;
    let batches = chain.story().await;
    let (_, archive) = archive_of(&chain, &batches).await;
    let (state, report) = run(&chain, &archive).await.unwrap();
    assert_eq!(state.root(), chain.ledger.state().root());
    assert_eq!(report.batches, 3);
    let change = |change: &dyn Fn(&mut Batch)| {
        let mut forged = batches.clone();
        change(&mut forged[1]);
        forged
    };
    for forged in [
        change(&|batch| batch.blob[0] += Scalar::ONE),
        change(&|batch| batch.blob[1] = Scalar::ZERO),
        change(&|batch| batch.blob.swap(0, 1)),
    ] {
        let (_, archive) = archive_of(&chain, &forged).await;
        let found = field(run(&chain, &archive).await);
        assert_eq!(found, (2, Field::BlobCommitment));
    }

    // Two batches with the same effect, whose transfers are in another order: Ethereum has the one as
    // committed, the archive the other.
    chain.transfer(1, 2, 100);
    let before = chain.ledger.clone();
    chain.transfer(1, 2, 9);
    chain.transfer(2, 1, 4);
    let (committed, honest) = chain.batch(&chain.ledger.clone().close());
    chain.ledger = before;
    chain.transfer(2, 1, 4);
    chain.transfer(1, 2, 9);
    let other = chain.seal();
    assert_eq!(honest.header, other.header);
    assert_ne!(honest.blob, other.blob);
    chain.world.commit(&committed).await.unwrap();
    let mut good = honest.clone();
    good.proof = chain.world.settle_call(&committed).proof.proof.to_vec();
    let ahead = async |batch: &Batch| {
        archive.replace(batch).await.unwrap();
        resync_ahead(&source(&chain), &archive, options(), |_| {}, |_| Ok(())).await
    };
    match ahead(&other).await {
        Err(ResyncError::Ahead { number: 4, reason }) => {
            assert!(reason.contains("with the hash"), "{reason}");
        }
        found => panic!("{found:?}"),
    }
    let (state, report) = ahead(&good).await.unwrap();
    assert_eq!(state.root(), chain.ledger.state().root());
    assert_eq!(report.pending, 1);
}

/// With a known trapdoor anything can be proved: resync does not rely on the proof.
#[tokio::test]
async fn a_batch_that_the_circuit_would_never_prove_is_found_by_replay() {
    let mut chain = Chain::new(2).await;
    chain.deposit(1, 1_000).await;
    let first = chain.settle().await;
    let honest = chain.ledger.clone();
    chain.deposit(1, 500).await;
    let mut opened = chain.ledger.close();
    opened.header.new_root += Scalar::ONE;
    let second = chain.settle_opened(opened).await;
    let (_, archive) = archive_of(&chain, &[first, second]).await;
    assert_eq!(field(run(&chain, &archive).await), (2, Field::Operations));
    assert_ne!(honest.state().root(), chain.ledger.state().root());
}

fn carillon_node(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carillon-node"))
        .args(args)
        .env_remove("CARILLON_NODE_CONFIG")
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_command_rebuilds_from_a_folder() {
    let mut chain = Chain::new(3).await;
    let batches = chain.story().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let url = format!("file://{}", folder.display());
    let archive = Archive::create(&url, chain.id()).await.unwrap();
    for batch in &batches {
        archive.put(batch).await.unwrap();
    }
    drop(archive);

    let contract = chain.world.l1.chain.to_string();
    let l1 = chain.world.anvil.url().to_owned();
    let plain = folder.display().to_string();
    let args = |archive: &str| {
        let args = ["resync", "--json", "--confirmations", "0", "--l1", &l1];
        let mut args: Vec<String> = args.map(String::from).to_vec();
        args.extend(["--chain", &contract, "--archive", archive].map(String::from));
        args
    };
    let node = |archive: &str| {
        let args = args(archive);
        carillon_node(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for archive in [url.as_str(), plain.as_str()] {
        let output = node(archive);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}{errors}");
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["schema"], "carillon.resync/1");
        assert_eq!(report["batches"], 3);
        let root = report["state_root"].as_str().unwrap();
        assert_eq!(root.parse::<U256>().unwrap(), chain.world.root().await);
    }

    // A wrong batch: exit code 5, and the message names batch and field.
    let archive = Archive::open(&plain, chain.id()).await.unwrap();
    let mut forged = batches[2].clone();
    forged.blob[0] += Scalar::ONE;
    archive.replace(&forged).await.unwrap();
    let output = node(&plain);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{errors}");
    assert!(errors.contains("batch 3: versioned hash"), "{errors}");
    std::fs::remove_file(folder.join("batches/000000000002.batch")).unwrap();
    assert_eq!(node(&plain).status.code(), Some(4));
    let output = node("/nowhere/at/all");
    assert_eq!(output.status.code(), Some(4));
    assert!(!std::path::Path::new("/nowhere").exists());
}

/// Batches that are executed while `reclaim` works do not keep it from its end: it has the newest state
/// root kept, and proves that state's owners, though the archive does not have what came later.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_claim_is_taken_back_from_a_chain_that_moves_on() {
    let mut chain = Chain::new(4).await;
    let (alice, bridge) = (chain.world.user(1), chain.world.l1.bridge);
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("archive").display().to_string();
    let archive = Archive::create(&url, chain.id()).await.unwrap();
    chain.deposit(1, 1_000_000).await;
    chain.withdraw_to(1, bridge, 700);
    chain.withdraw_to(1, bridge, 50);
    archive.put(&chain.settle().await).await.unwrap();

    let proxy = Proxy::start(chain.world.anvil.url()).await;
    let selector = format!("0x{}", hex::encode(SharedBridge::reclaimCall::SELECTOR));
    // The n-th simulation of the payment waits.
    let hold = |from| Modes {
        hold: Some((selector.clone(), from)),
        ..Modes::default()
    };
    let reached = async |count| {
        for _ in 0..3_000 {
            if proxy.held() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} requests of {count}", proxy.held());
    };
    proxy.set(hold(1));
    let user = Arc::new(Terminal::new(&chain.world.anvil, chain.world.l1.chain));
    let reclaim = |more: &str| {
        let (user, l1) = (Arc::clone(&user), proxy.url().to_owned());
        let args = format!("reclaim --archive {url}{more}");
        tokio::task::spawn_blocking(move || {
            let key = user.path("1.l1");
            user.with(
                &[("CARILLON_L1_KEY_FILE", &key), ("CARILLON_L1", &l1)],
                &args,
            )
        })
    };
    let running = reclaim("");
    reached(1).await;
    chain.transfer(1, 1, 5);
    archive.put(&chain.settle().await).await.unwrap();
    proxy.set(hold(2));
    reached(2).await;
    // Not archived.
    chain.transfer(1, 1, 6);
    let third = chain.settle().await;
    let before = chain.world.balance(chain.world.l1.bridge).await;
    proxy.set(Modes::default());
    let (code, done) = running.await.unwrap();
    assert_eq!(code, 0, "{done}");
    assert_eq!(done["reclaims"].as_array().unwrap().len(), 2);
    assert_eq!(done["reclaims"][1]["account_owner"], json!(alice));
    let kept = done["kept_state_roots"].as_array().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["batch"], 2);
    let after = chain.world.balance(chain.world.l1.bridge).await;
    assert_eq!(before - after, U256::from(750));

    // A trial keeps nothing, and says so.
    archive.put(&third).await.unwrap();
    chain.withdraw_to(1, bridge, 9);
    archive.put(&chain.settle().await).await.unwrap();
    proxy.set(hold(proxy.held() + 1));
    let (next, running) = (proxy.held() + 1, reclaim(" --dry-run"));
    reached(next).await;
    chain.transfer(1, 1, 7);
    archive.put(&chain.settle().await).await.unwrap();
    proxy.set(Modes::default());
    let (code, said) = running.await.unwrap();
    assert_eq!(code, 3, "{said}");
    let said = said["message"].as_str().unwrap();
    assert!(said.contains("without --dry-run"), "{said}");
}

/// The state after any executed batch, and none after one that L1 has not executed.
#[tokio::test]
async fn an_earlier_state_is_rebuilt() {
    let mut chain = Chain::new(5).await;
    let batches = chain.story().await;
    let (_, archive) = archive_of(&chain, &batches[..2]).await;
    for last in [0, 1, 2] {
        let rebuilt = resync_until(&source(&chain), &archive, options(), last, |_| {}).await;
        let (state, report) = rebuilt.unwrap();
        assert_eq!((report.batches, report.root), (last, state.root()));
        let expected = match last {
            0 => State::genesis(options().depth).root(),
            last => {
                Header::from_words(&batches[last as usize - 1].header)
                    .unwrap()
                    .new_root
            }
        };
        assert_eq!(state.root(), expected, "batch {last}");
    }
    let behind = resync_until(&source(&chain), &archive, options(), 3, |_| {}).await;
    assert!(matches!(behind, Err(ResyncError::ArchiveBehind { .. })));
    let ahead = resync_until(&source(&chain), &archive, options(), 4, |_| {}).await;
    let ahead = ahead.map(|_| ()).unwrap_err();
    assert!(
        matches!(
            ahead,
            ResyncError::NotExecuted {
                number: 4,
                executed: 3
            }
        ),
        "{ahead}"
    );
}

/// A node may know a block before it tells its events: it is read again, though not for ever.
#[tokio::test]
async fn a_node_whose_events_come_late_is_read_again() {
    let mut chain = Chain::new(6).await;
    let batches = chain.story().await;
    let (_, archive) = archive_of(&chain, &batches).await;
    let proxy = Proxy::start(chain.world.anvil.url()).await;
    let deadline = Duration::from_secs(20);
    let source = NodeSource::new(proxy.url(), chain.world.l1.chain, deadline).unwrap();
    let (root, _) = resync(&source, &archive, options(), |_| {}).await.unwrap();
    let logs = proxy.count("eth_getLogs");
    // All of them, and all but those of the last blocks, to which they then do not lead.
    for late_logs in [logs, logs - 1] {
        let late = Modes {
            late_logs,
            ..Modes::default()
        };
        proxy.set(late);
        let (late, _) = resync(&source, &archive, options(), |_| {}).await.unwrap();
        assert_eq!(late.root(), root.root());
    }
    assert_eq!(proxy.count("eth_getLogs"), 5 * logs);
    let never = Modes {
        late_logs: usize::MAX,
        ..Modes::default()
    };
    proxy.set(never);
    let refused = resync(&source, &archive, options(), |_| {}).await;
    let refused = refused.map(|_| ()).unwrap_err();
    let ResyncError::History(HistoryError::Watch(WatchError::Counters(_))) = refused else {
        panic!("{refused}");
    };
}
