//! The gateway's service against the contracts: circles, what is turned away, what is put aside, restarts.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Bytes, U256};
use alloy::providers::Provider;
use carillon_gateway::{
    AllExecuted, BatchView, Chains, Options, Place, Service, ServiceError, Store, Submission, Way,
};
use carillon_settlement::L1Reporter;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::sender::{Journal, NodePort, Policy, Sender};
use tokio_util::sync::CancellationToken;

use super::common::batch::{Batch, Record};
use super::gateway::validiums;
use super::network::Network;
use super::together::LATE;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// A service on a folder, its sender at work until the token is dropped.
struct Running {
    service: Service,
    stop: CancellationToken,
    work: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    async fn start(net: &Network, folder: &Path) -> Self {
        let poll = Duration::from_millis(20);
        let client = net
            .world
            .client
            .with_signer(net.world.anvil.signers()[8].clone());
        let chains = Chains::find(client.clone(), net.world.l1.gateway, 31337)
            .await
            .unwrap();
        let port = NodePort::new(net.world.anvil.url(), Duration::from_secs(10)).unwrap();
        let journal = Journal::open(&folder.join("sender.redb")).unwrap();
        let policy = Policy {
            confirmations: 0,
            poll,
            retry_after: poll,
            ..Policy::default()
        };
        let outcome = AllExecuted {
            client: client.clone(),
        };
        let signer = net.world.anvil.signers()[8].clone();
        let sender = Sender::open(port, outcome, signer, journal, policy)
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let reporter = L1Reporter::default();
        let (handle, sending) = sender.reporting(reporter.clone()).start(stop.clone());
        let store = Store::open(&folder.join("gateway.redb")).unwrap();
        let options = Options {
            poll,
            linger: Duration::ZERO,
            retry: Duration::from_secs(1),
            ..Options::default()
        };
        let service = Service::open(chains, client, store, (handle, reporter), options).unwrap();
        let works = service.clone();
        let token = stop.clone();
        let work = vec![
            tokio::spawn(async move { sending.await.unwrap() }),
            tokio::spawn(async move { works.run(token).await.unwrap() }),
        ];
        Self {
            service,
            stop,
            work,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        for work in self.work {
            work.await.unwrap();
        }
        drop(self.service);
    }

    /// Waits until a batch is as wanted.
    async fn until(&self, chain: u64, number: u64, done: impl Fn(&BatchView) -> bool) -> BatchView {
        for _ in 0..1_500 {
            if let Some(view) = self.service.batch(chain, number).await.unwrap()
                && done(&view)
            {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.service.sets());
    }

    async fn executed(&self, chain: u64, number: u64) {
        self.until(chain, number, |view| view.place == Place::Executed)
            .await;
    }
}

/// As a node of a validium chain would bring it.
fn submission(net: &mut Network, at: usize, batch: &Batch, deadline: u64) -> Submission {
    let proof = batch.proof(&net.world.key, &mut net.world.rng);
    Submission {
        chain_id: batch.chain_id,
        shape: batch.shape,
        h: batch.h(),
        c_h: batch.c_h,
        c_b: batch.c_b,
        y_b: proof.yB,
        proof: proof.proof,
        tails: vec![],
        way: Way::Signed {
            deadline,
            signature: net.sign(at, batch, 0, deadline),
        },
    }
}

fn next(net: &mut Network, at: usize, records: Vec<Record>) -> Submission {
    let batch = net.batch(at, records);
    net.sides[at].number += 1;
    net.sides[at].root += 1;
    submission(net, at, &batch, LATE)
}

fn reason(error: ServiceError) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_circle_waits_for_its_last_member_and_goes_at_once() {
    let mut net = validiums(340, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let ids: Vec<u64> = net.sides.iter().map(|side| side.id).collect();
    let legs: Vec<_> = (0..3).map(|at| net.entry(true, 100 + at, 7)).collect();
    let records = |net: &Network, at: usize| {
        let before = (at + 2) % 3;
        vec![
            net.takes(before, at, &legs[before]),
            net.sends(at, (at + 1) % 3, &legs[at]),
        ]
    };
    for at in [A, B] {
        let records = records(&net, at);
        let one = next(&mut net, at, records);
        let view = running.service.submit(one.clone()).await.unwrap();
        // The same again is no other.
        let again = running.service.submit(one).await.unwrap();
        assert_eq!(view.digest, again.digest);
    }
    let missing = format!("takes 1 entries of the lane from chain {}", ids[C]);
    let waits = |view: &BatchView| {
        view.reason
            .as_ref()
            .is_some_and(|reason| reason.contains(&missing))
    };
    running.until(ids[A], 1, waits).await;
    running.until(ids[B], 1, waits).await;

    // It is kept over a restart.
    running.stop().await;
    let running = Running::start(&net, folder.path()).await;
    assert_eq!(running.service.sets().batches.len(), 2);
    let records = records(&net, C);
    let last = next(&mut net, C, records);
    running.service.submit(last).await.unwrap();
    for id in &ids {
        running.executed(*id, 1).await;
    }
    assert_eq!(running.service.sets().batches, []);
    let counts = running.service.counts();
    assert_eq!((counts.calls, counts.executed), (1, 3));
    // What is taken of a lane only in part gets its tail from what the set sends.
    let sends: Vec<_> = (0..3).map(|i| net.entry(false, 10 + i, 1)).collect();
    let records = sends.iter().map(|entry| net.sends(A, B, entry)).collect();
    let first = next(&mut net, A, records);
    let records = vec![net.takes(A, B, &sends[0])];
    let second = next(&mut net, B, records);
    for one in [second, first] {
        running.service.submit(one).await.unwrap();
    }
    running.executed(ids[B], 2).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_batch_of_its_chain_is_turned_away_with_the_reason() {
    let mut net = validiums(341, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let service = &running.service;
    let batch = net.batch(A, vec![]);
    let good = submission(&mut net, A, &batch, LATE);
    let now = net.world.now().await;
    let mut cases: Vec<(Submission, &str)> = Vec::new();
    let mut case = |reason, change: &dyn Fn(&mut Submission)| {
        let mut one = good.clone();
        change(&mut one);
        cases.push((one, reason));
    };
    case("no chain 5", &|one| one.chain_id = 5);
    case("not signed by the chain's operator", &|one| {
        one.c_h += U256::ONE
    });
    case("not signed by the chain's operator", &|one| {
        one.way = Way::Signed {
            deadline: LATE,
            signature: vec![7; 65].into(),
        };
    });
    case("not signed by the chain's operator", &|one| {
        one.way = Way::Signed {
            deadline: LATE,
            signature: Bytes::new(),
        };
    });
    case("too short from now", &|one| {
        one.way = Way::Signed {
            deadline: now,
            signature: vec![7; 65].into(),
        };
    });
    case("not signed by the chain's operator", &|one| one.shape = 9);
    case("the verifier refuses the proof", &|one| {
        one.y_b += U256::ONE
    });
    case("has 511 bytes", &|one| one.proof = one.proof.slice(1..));
    case("not below the order", &|one| one.c_b = U256::MAX);
    case("no header of a batch", &|one| one.h.truncate(2));
    case("is a validium", &|one| {
        one.way = Way::Committed {
            versioned_hash: Default::default(),
            queue_start: 0,
            committed_at: 0,
            kzg_commitment: vec![0; 48].into(),
            kzg_proof: vec![0; 48].into(),
        };
    });
    let nine = Batch {
        shape: 9,
        ..batch.clone()
    };
    let nine = submission(&mut net, A, &nine, LATE);
    cases.push((nine, "no verifier for shape 9"));
    for (one, expected) in cases {
        let told = reason(service.submit(one).await.unwrap_err());
        assert!(told.contains(expected), "{told} for {expected}");
    }
    let far = Batch {
        number: 200,
        ..batch.clone()
    };
    let far = submission(&mut net, A, &far, LATE);
    let told = reason(service.submit(far).await.unwrap_err());
    assert!(told.contains("at most 64 batches wait"), "{told}");
    assert_eq!(service.counts().taken, 0);
    service.submit(good.clone()).await.unwrap();
    running.executed(net.sides[A].id, 1).await;
    // What is executed is known, and done.
    assert_eq!(service.submit(good).await.unwrap().place, Place::Executed);
    running.stop().await;

    // A chain with blobs commits first.
    let mut net = Network::new(342, 1, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let batch = Batch {
        validium: true,
        ..net.batch(A, vec![])
    };
    let one = submission(&mut net, A, &batch, LATE);
    let told = reason(running.service.submit(one).await.unwrap_err());
    assert!(
        told.contains("commit the batch with its blob first"),
        "{told}"
    );
    running.stop().await;
}

#[tokio::test]
async fn one_that_is_refused_waits_alone_and_the_others_go() {
    let mut net = validiums(343, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let ids: Vec<u64> = net.sides.iter().map(|side| side.id).collect();
    // By its own chain: it is paused.
    let pause = RollupChain::pauseCall { duration: 1_000 };
    let (guardian, chain) = (net.world.user(0), net.sides[B].contract);
    net.world.send(guardian, chain, &pause).await.unwrap();
    // By the lanes: it takes what was sent otherwise.
    let sent = net.entry(true, 5, 1);
    let records = vec![net.sends(A, C, &sent)];
    let first = next(&mut net, A, records);
    let paused = next(&mut net, B, vec![]);
    let other = net.entry(true, 6, 1);
    let records = vec![net.takes(A, C, &other)];
    let wrong = next(&mut net, C, records);
    for one in [paused, wrong, first] {
        running.service.submit(one).await.unwrap();
    }
    running.executed(ids[A], 1).await;
    let told = |word: &'static str| {
        move |view: &BatchView| {
            view.reason
                .as_ref()
                .is_some_and(|reason| reason.contains(word))
        }
    };
    running.until(ids[B], 1, told("ChainPaused")).await;
    running.until(ids[C], 1, told("LaneMismatch")).await;
    // Its operator seals another batch of that number.
    net.sides[C].number = 0;
    net.sides[C].root = 10;
    let records = vec![net.takes(A, C, &sent)];
    let right = next(&mut net, C, records);
    running.service.submit(right).await.unwrap();
    running.executed(ids[C], 1).await;
    let unpause = RollupChain::unpauseCall {};
    net.world.send(guardian, chain, &unpause).await.unwrap();
    running.executed(ids[B], 1).await;
    running.stop().await;
}

/// What anybody can send again in another form changes nothing.
#[tokio::test]
async fn a_batch_that_is_here_is_not_replaced_by_a_worse_form_of_it() {
    let mut net = validiums(344, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let ids: Vec<u64> = net.sides.iter().map(|side| side.id).collect();
    let entry = net.entry(true, 5, 1);
    let records = vec![net.takes(A, B, &entry)];
    let good = next(&mut net, B, records);
    running.service.submit(good.clone()).await.unwrap();
    for _ in 0..3 {
        let mut garbage = good.clone();
        garbage.proof = vec![7; 512].into();
        running.service.submit(garbage).await.unwrap();
    }
    let records = vec![net.sends(A, B, &entry)];
    let first = next(&mut net, A, records);
    running.service.submit(first).await.unwrap();
    running.executed(ids[B], 1).await;
    assert_eq!(running.service.counts().refused, 0);
    running.stop().await;
}

/// A batch that takes what was not sent so is refused; the batch that it takes from is not to blame.
#[tokio::test]
async fn who_is_taken_from_goes_whoever_takes_wrongly() {
    let mut net = validiums(345, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let ids: Vec<u64> = net.sides.iter().map(|side| side.id).collect();
    let (sent, other) = (net.entry(true, 5, 1), net.entry(true, 6, 1));
    // The one that takes has the lower id, and was here first.
    let records = vec![net.takes(B, A, &other)];
    let wrong = next(&mut net, A, records);
    let records = vec![net.sends(B, A, &sent)];
    let right = next(&mut net, B, records);
    running.service.submit(wrong.clone()).await.unwrap();
    running.service.submit(right).await.unwrap();
    running.executed(ids[B], 1).await;
    let view = running.until(ids[A], 1, |view| view.reason.is_some()).await;
    // Brought again and again it stays put aside.
    let before = running.service.counts().refused;
    for _ in 0..5 {
        running.service.submit(wrong.clone()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(running.service.counts().refused <= before + 2, "{view:?}");
    running.stop().await;
}

/// Killed with a call on its way that comes to nothing: the next one goes.
#[tokio::test]
async fn a_call_that_nobody_remembers_would_stop_all_others() {
    let mut net = validiums(346, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&net, folder.path()).await;
    let ids: Vec<u64> = net.sides.iter().map(|side| side.id).collect();
    let set = |net: &Network, on: bool| {
        let provider = net.world.provider.clone();
        async move {
            let done = provider.raw_request::<_, serde_json::Value>("evm_setAutomine".into(), [on]);
            done.await.unwrap();
        }
    };
    set(&net, false).await;
    let batch = net.batch(A, vec![]);
    let one = submission(&mut net, A, &batch, LATE);
    running.service.submit(one).await.unwrap();
    running
        .until(ids[A], 1, |view| view.place == Place::Sent)
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.stop().await;
    // Its operator settles alone, before the transaction of the gateway, which reverts.
    let call = net.world.settle_call(&batch);
    let request = alloy::rpc::types::TransactionRequest {
        from: Some(net.world.user(0)),
        to: Some(net.sides[A].contract.into()),
        gas: Some(2_000_000),
        max_fee_per_gas: Some(200_000_000_000),
        max_priority_fee_per_gas: Some(100_000_000_000),
        input: Bytes::from(alloy::sol_types::SolCall::abi_encode(&call)).into(),
        ..Default::default()
    };
    let provider = &net.world.provider;
    let _ = provider.send_transaction(request).await.unwrap();
    let _: serde_json::Value = provider.raw_request("evm_mine".into(), ()).await.unwrap();
    set(&net, true).await;
    net.sides[A].number += 1;
    net.sides[A].root += 1;
    assert_eq!(net.executed(A).await.0, 1);

    let running = Running::start(&net, folder.path()).await;
    let two = next(&mut net, A, vec![]);
    running.service.submit(two).await.unwrap();
    running.executed(ids[A], 2).await;
    assert_eq!(running.service.sets().trouble, None);
    running.stop().await;
}
