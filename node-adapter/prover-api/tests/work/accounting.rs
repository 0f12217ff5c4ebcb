//! Random histories: places are never exceeded, and every lease ends.

use proptest::prelude::*;

use super::*;

const LAST_ANSWER: u64 = 3;
/// Longer than any history takes in which everything is proved in the end.
const LATE: u64 = 2_000;

#[derive(Clone, Debug)]
struct History {
    jobs: u64,
    places: usize,
    limit: Option<u64>,
    takes: Duration,
    script: Vec<((u64, u64), Do)>,
    /// When a job is given to somebody else.
    steals: Vec<(u64, u64)>,
    busy: Vec<(&'static str, usize)>,
    stop: u64,
}

fn told() -> impl Strategy<Value = Do> {
    let time = || (0..12_000u64).prop_map(Duration::from_millis);
    prop_oneof![
        3 => time().prop_map(Do::Prove),
        1 => time().prop_map(Do::Wrong),
        2 => time().prop_map(Do::Fail),
        1 => time().prop_map(Do::Panic),
        1 => Just(Do::Hang),
    ]
}

fn history() -> impl Strategy<Value = History> {
    let busy = |what: &'static str| {
        let times = prop_oneof![2 => Just(0usize), 1 => 1..8usize];
        times.prop_map(move |times| (what, times))
    };
    let busy = (
        busy("pick"),
        busy("heartbeat"),
        busy("submit"),
        busy("answer"),
        busy("fail"),
    );
    let script = prop::collection::vec(((1..8u64, 1..4u64), told()), 0..16);
    let steals = prop::collection::vec((0..60_000u64, 1..8u64), 0..4);
    let limit = prop_oneof![2 => Just(None), 1 => (0..6u64).prop_map(Some)];
    let stop = prop_oneof![2 => 0..40_000u64, 1 => Just(LATE * 1000)];
    let takes = prop_oneof![Just(0), 0..2_000u64].prop_map(Duration::from_millis);
    (0..8u64, 1..5usize, limit, takes, script, steals, busy, stop).prop_map(
        |(jobs, places, limit, takes, script, steals, busy, stop)| History {
            jobs,
            places,
            limit,
            takes,
            script,
            steals,
            busy: vec![busy.0, busy.1, busy.2, busy.3, busy.4],
            stop,
        },
    )
}

/// Counts as the events tell.
fn check_events(history: &History, events: &[WorkEvent], summary: WorkSummary) {
    let (mut now, mut proved, mut lost) = (0, 0, 0);
    for event in events {
        match event {
            WorkEvent::Leased { under_way, .. } => {
                let may = history.limit.is_none_or(|limit| proved + now < limit);
                assert!(may, "one too many: {events:?}");
                now += 1;
                assert_eq!(
                    (*under_way as u64, true),
                    (now, now <= history.places as u64)
                );
            }
            WorkEvent::Proved { .. } => (now, proved) = (now - 1, proved + 1),
            WorkEvent::Lost { .. } => (now, lost) = (now - 1, lost + 1),
            WorkEvent::Waiting { .. } => {}
        }
    }
    assert_eq!((now, proved, lost), (0, summary.proved, summary.lost));
}

async fn live(history: History) {
    let source = Arc::new(Source {
        takes: history.takes,
        valid: seconds(10),
        ..Source::new(history.jobs)
    });
    source
        .busy
        .lock()
        .unwrap()
        .extend(history.busy.iter().copied());
    let plugin = Nasty::new(history.places, &history.script);
    for (at, job) in history.steals.clone() {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            sleep(Duration::from_millis(at)).await;
            source.steal(job);
        });
    }
    let options = WorkOptions {
        limit: history.limit,
        ..WorkOptions::default()
    };
    let mut prover = Prover::start(&source, &plugin, options);
    let time = Duration::from_millis(history.stop);
    let by_itself = tokio::time::timeout(time, &mut prover.task).await;
    let events = Arc::clone(&prover.events);
    let summary = match by_itself {
        Ok(ended) => {
            let summary = ended.unwrap().unwrap();
            assert_eq!(Some(summary.proved), history.limit);
            summary
        }
        Err(_) => {
            let (summary, took) = prover.end().await;
            assert!(took <= seconds(2 * LAST_ANSWER), "{took:?}");
            summary
        }
    };
    assert_eq!(plugin.now.load(Ordering::SeqCst), 0, "work goes on");
    assert!(plugin.most.load(Ordering::SeqCst) <= history.places);
    check_events(&history, &events.lock().unwrap(), summary);

    let busy = |what| history.busy.contains(&(what, 0));
    let state = source.state();
    assert_eq!(state.leases.len() as u64, summary.proved + summary.lost);
    let proved = state.proved.len() as u64;
    // What was taken and not answered is not known to the prover.
    assert!(summary.proved <= proved && (summary.proved == proved || !busy("answer")));
    if busy("fail") {
        assert!(state.most <= history.places);
        for lease in &state.leases {
            assert!(
                lease.3.is_some(),
                "lease {} of job {} has no end",
                lease.1,
                lease.0
            );
        }
    }
    if history.stop == LATE * 1000 && history.limit.is_none() {
        assert_eq!(proved, history.jobs, "not everything was proved");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn places_are_never_exceeded_and_every_lease_ends(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(history));
    }
}
