//! Random histories on the model chain: whatever happens, each batch takes effect once, in order, and
//! nothing is left open.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use carillon_settlement::sender::{
    CrashPoint, Event, FeePolicy, Fees, Freed, Journal, News, Policy, Sender, SenderError,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Chain, Fuse, Node, batch};

const CONFIRMATIONS: u64 = 4;

fn policy() -> Policy {
    let second = Duration::from_secs;
    Policy {
        confirmations: CONFIRMATIONS,
        poll: second(1),
        resend_after: second(3),
        bump_after: second(6),
        retry_after: second(2),
        jitter: 0,
        doubts: 2,
        gas_margin: 20,
        fees: FeePolicy {
            cap: Fees {
                max: 1_000_000,
                tip: 1_000_000,
                blob: 1_000_000,
            },
            least_tip: 1,
        },
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Enqueue,
    Tick(u8),
    Mine,
    Reorg { depth: usize, forget: bool },
    Drop,
    BaseFee(u128),
    Down(bool),
    Crash { point: CrashPoint, passes: usize },
    Foreign { settles: bool },
}

fn happening(with_foreign: bool) -> impl Strategy<Value = Happening> {
    let points: Vec<CrashPoint> = CrashPoint::all().collect();
    let crash = (proptest::sample::select(points), 0usize..3)
        .prop_map(|(point, passes)| Happening::Crash { point, passes });
    let foreign = any::<bool>().prop_map(|settles| Happening::Foreign { settles });
    prop_oneof![
        3 => Just(Happening::Enqueue),
        8 => (1u8..5).prop_map(Happening::Tick),
        6 => Just(Happening::Mine),
        2 => (1usize..=CONFIRMATIONS as usize, any::<bool>())
            .prop_map(|(depth, forget)| Happening::Reorg { depth, forget }),
        1 => Just(Happening::Drop),
        1 => prop_oneof![Just(10u128), 10u128..500, Just(2_000_000)].prop_map(Happening::BaseFee),
        1 => any::<bool>().prop_map(Happening::Down),
        3 => crash,
        (if with_foreign { 2 } else { 0 }) => foreign,
    ]
}

struct World {
    node: Node,
    fuse: Fuse,
    signer: PrivateKeySigner,
    sender: Option<Sender<Node, Node, Fuse>>,
    now: Duration,
    batches: u64,
    events: Vec<Event>,
    crashes: usize,
}

impl World {
    async fn new(guarded: bool) -> Self {
        let mut world = Self {
            node: Node(Arc::new(Mutex::new(Chain::new(guarded)))),
            fuse: Fuse::default(),
            signer: PrivateKeySigner::from_slice(&[7; 32]).unwrap(),
            sender: None,
            now: Duration::ZERO,
            batches: 0,
            events: Vec::new(),
            crashes: 0,
        };
        world.open(Journal::in_memory().unwrap()).await;
        world
    }

    async fn open(&mut self, journal: Journal) {
        let sender = Sender::open_with(
            self.node.clone(),
            self.node.clone(),
            self.signer.clone(),
            journal,
            policy(),
            self.fuse.clone(),
        );
        self.sender = Some(sender.await.unwrap());
    }

    async fn restart(&mut self) {
        self.crashes += 1;
        let journal = self.sender.take().unwrap().into_journal();
        self.open(journal).await;
    }

    /// Hands the next batch in, again after a crash, as the sequencer does.
    async fn enqueue(&mut self) {
        self.batches += 1;
        loop {
            match self.sender.as_mut().unwrap().enqueue(batch(self.batches)) {
                Ok(_) => return,
                Err(SenderError::Killed) => self.restart().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn tick(&mut self) {
        self.now += Duration::from_secs(1);
        let sender = self.sender.as_mut().unwrap();
        let result = sender.tick(self.now).await;
        self.events.extend(sender.take_events());
        match result {
            Ok(wake) => {
                let open = sender.open_intents().count();
                assert!(
                    open == 0 || wake <= self.now + policy().poll,
                    "{open} open and no timer"
                );
            }
            Err(SenderError::Killed) => self.restart().await,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }

    fn chain(&self) -> std::sync::MutexGuard<'_, Chain> {
        self.node.0.lock().unwrap()
    }

    async fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Enqueue => self.enqueue().await,
            Happening::Tick(times) => {
                for _ in 0..times {
                    self.tick().await;
                }
            }
            Happening::Mine => self.chain().mine(),
            Happening::Reorg { depth, forget } => self.chain().reorg(depth, forget),
            Happening::Drop => self.chain().drop_all(),
            Happening::BaseFee(base) => self.chain().base = base,
            Happening::Down(down) => self.chain().down = down,
            Happening::Crash { point, passes } => self.fuse.set(point, passes),
            Happening::Foreign { settles } => {
                // A foreign transaction settles only what our side has ready.
                let ready = (self.chain().effects().len() as u64) < self.batches;
                self.chain().foreign(settles && ready);
            }
        }
    }

    /// The storm is over: everything must close.
    async fn calm(&mut self) {
        self.fuse.clear();
        self.chain().down = false;
        self.chain().base = 10;
        for _ in 0..400 {
            self.tick().await;
            self.chain().mine();
            if self
                .sender
                .as_ref()
                .unwrap()
                .open_intents()
                .next()
                .is_none()
            {
                return;
            }
        }
        let open: Vec<_> = self.sender.as_ref().unwrap().open_intents().collect();
        panic!("still open: {open:#?}");
    }
}

fn run(guarded: bool, happenings: Vec<Happening>) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(guarded).await;
        for happening in happenings {
            world.happen(happening).await;
        }
        world.calm().await;
        world
    })
}

fn all(world: &World) -> Vec<u64> {
    (1..=world.batches).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// The contract here accepts everything: only the sender's care keeps effects single and in order.
    #[test]
    fn alone_with_the_key_nothing_is_sent_twice_with_effect(
        happenings in vec(happening(false), 1..80)
    ) {
        let world = run(false, happenings);
        prop_assert_eq!(world.chain().effects(), all(&world));
    }

    #[test]
    fn with_foreign_transactions_of_the_key_each_batch_is_settled_once_and_in_order(
        happenings in vec(happening(true), 1..80)
    ) {
        let world = run(true, happenings);
        prop_assert_eq!(world.chain().effects(), all(&world));
    }
}

#[test]
fn every_crash_point_is_passed_and_survived() {
    let points = CrashPoint::all().filter(|point| {
        // These need a reorganisation or a foreign transaction: below.
        !format!("{point:?}").contains("Freed")
            && !format!("{point:?}").contains("Reorged")
            && !format!("{point:?}").contains("Withdrawn")
    });
    for point in points {
        let mut story = vec![Happening::Crash { point, passes: 0 }];
        story.extend([Happening::Enqueue, Happening::Enqueue]);
        for _ in 0..6 {
            story.extend([Happening::Tick(2), Happening::Mine]);
        }
        let world = run(false, story);
        assert_eq!(world.crashes, 1, "{point:?}");
        assert!(!world.fuse.is_set(), "{point:?}");
        assert_eq!(world.chain().effects(), all(&world), "{point:?}");
    }
    for point in CrashPoint::all().filter(|point| format!("{point:?}").contains("Reorged")) {
        let world = run(
            false,
            vec![
                Happening::Crash { point, passes: 0 },
                Happening::Enqueue,
                Happening::Tick(1),
                Happening::Mine,
                Happening::Tick(2),
                Happening::Reorg {
                    depth: 1,
                    forget: true,
                },
                Happening::Tick(3),
            ],
        );
        assert_eq!(world.crashes, 1, "{point:?}");
        assert_eq!(world.chain().effects(), all(&world), "{point:?}");
    }
    for point in CrashPoint::all().filter(|point| format!("{point:?}").contains("Freed")) {
        let world = run(
            true,
            vec![
                Happening::Crash { point, passes: 0 },
                Happening::Enqueue,
                Happening::Tick(1),
                Happening::Foreign { settles: false },
                Happening::Tick(4),
            ],
        );
        assert_eq!(world.crashes, 1, "{point:?}");
        assert_eq!(world.chain().effects(), all(&world), "{point:?}");
        let foreign = News::Freed(Freed::Foreign);
        assert!(world.events.iter().any(|event| event.news == foreign));
    }
}
