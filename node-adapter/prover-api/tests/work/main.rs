//! The loop of a prover with several jobs under way: a plug-in that finishes out of order, fails,
//! hangs and panics, and a source that does not answer, or gives a job to somebody else. The clock is
//! paused where nothing else is said, so that waiting costs no time.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounting;
mod double;
mod ending;
mod failing;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_prover_api::{ProverPlugin, SourceError, WorkEvent, WorkOptions, WorkSummary, work};
use carillon_runtime::progress::ProgressSink;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::double::{Do, Ended, Nasty, Source};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A prover at work, and what it tells.
struct Prover {
    stop: CancellationToken,
    events: Arc<Mutex<Vec<WorkEvent>>>,
    task: JoinHandle<Result<WorkSummary, SourceError>>,
}

impl Prover {
    fn start(source: &Arc<Source>, plugin: &Arc<Nasty>, options: WorkOptions) -> Self {
        let stop = CancellationToken::new();
        let events: Arc<Mutex<Vec<WorkEvent>>> = Arc::default();
        let (source, seen, ends) = (Arc::clone(source), Arc::clone(&events), stop.clone());
        let plugin: Arc<dyn ProverPlugin> = Arc::clone(plugin) as _;
        let task = tokio::spawn(async move {
            let observe = move |event| seen.lock().unwrap().push(event);
            let silent = |_| Arc::new(()) as Arc<dyn ProgressSink>;
            work(&*source, &plugin, &silent, &options, &ends, &observe).await
        });
        Self { stop, events, task }
    }

    /// Stops it; says what it did and how long it took to end.
    async fn end(self) -> (WorkSummary, Duration) {
        let told = tokio::time::Instant::now();
        self.stop.cancel();
        let summary = self.task.await.unwrap().unwrap();
        (summary, told.elapsed())
    }

    /// The jobs of the events of a kind, in order.
    fn jobs(&self, of: impl Fn(&WorkEvent) -> Option<u64>) -> Vec<u64> {
        self.events.lock().unwrap().iter().filter_map(of).collect()
    }
}

fn leased(event: &WorkEvent) -> Option<u64> {
    match event {
        WorkEvent::Leased { job, .. } => Some(*job),
        _ => None,
    }
}

fn limited(limit: u64) -> WorkOptions {
    WorkOptions {
        limit: Some(limit),
        ..WorkOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_place_has_a_job_and_the_quick_ones_overtake() {
    let source = Arc::new(Source::new(4));
    // Its end meets no heartbeat.
    let long = Duration::from_millis(9_500);
    let plugin = Nasty::new(2, &[((1, 0), Do::Prove(long))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(100)).await;
    // Without a number it is what the plug-in says.
    assert_eq!(prover.jobs(leased), [1, 2]);
    let WorkEvent::Leased { under_way: 2, .. } = prover.events.lock().unwrap()[1].clone() else {
        panic!("the second is under way beside the first");
    };
    sleep(seconds(20)).await;
    let (summary, _) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (4, 0));
    assert_eq!(source.state().proved, [2, 3, 4, 1]);
    assert_eq!(
        (plugin.most.load(Ordering::SeqCst), source.state().most),
        (2, 2)
    );
    // That is more than three leases: it has heartbeats of its own.
    assert_eq!(source.ends(1), [Some(Ended::Proved)]);
    assert_eq!(source.state().beats[&1], 9);
}

#[tokio::test(start_paused = true)]
async fn options_lower_and_raise_what_the_plugin_says() {
    for (says, wanted, places) in [
        (1, None, 1),
        (3, None, 3),
        (3, Some(1), 1),
        (2, Some(4), 4),
        (2, Some(0), 1),
        (0, None, 1),
    ] {
        let source = Arc::new(Source::new(12));
        let plugin = Nasty::new(says, &[]);
        let options = WorkOptions {
            at_once: wanted,
            ..limited(12)
        };
        let prover = Prover::start(&source, &plugin, options);
        assert_eq!(prover.task.await.unwrap().unwrap().proved, 12);
        assert_eq!(
            plugin.most.load(Ordering::SeqCst),
            places,
            "{says} {wanted:?}"
        );
        assert_eq!(source.state().most, places, "{says} {wanted:?}");
    }
}

/// With one place the next question comes after the answer to the proof.
#[tokio::test(start_paused = true)]
async fn with_one_place_one_after_another() {
    let source = Arc::new(Source::new(3));
    let plugin = Nasty::new(1, &[((2, 1), Do::Fail(seconds(1)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(20)).await;
    let job = |event: &WorkEvent| match event {
        WorkEvent::Leased { job, .. } => Some(*job),
        WorkEvent::Proved { job, .. } => Some(10 + job),
        WorkEvent::Lost { job, .. } => Some(20 + job),
        WorkEvent::Waiting { .. } => None,
    };
    assert_eq!(prover.jobs(job), [1, 11, 2, 22, 2, 12, 3, 13]);
    let waited = {
        let state = source.state();
        state.leases[2].2 - state.leases[1].2
    };
    assert_eq!(
        waited.as_millis() / 10,
        125,
        "a second, and the first pause"
    );
    let (summary, _) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn no_job_is_leased_that_cannot_count() {
    // The third lease would be one too many while both others may count.
    let source = Arc::new(Source::new(9));
    let plugin = Nasty::new(4, &[((2, 1), Do::Fail(seconds(5)))]);
    let prover = Prover::start(&source, &plugin, limited(2));
    sleep(seconds(3)).await;
    assert_eq!(prover.jobs(leased), [1, 2]);
    let summary = prover.task.await.unwrap().unwrap();
    assert_eq!((summary.proved, summary.lost), (2, 1));
    assert_eq!(source.state().leases.len(), 3);
    assert_eq!(source.held(), 0);

    let nothing = Prover::start(&source, &plugin, limited(0));
    assert_eq!(nothing.task.await.unwrap().unwrap(), WorkSummary::default());
    assert_eq!(source.state().leases.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_question_at_a_time() {
    // While an answer is under way it may be a lease: it counts.
    let source = Arc::new(Source {
        takes: seconds(2),
        valid: seconds(30),
        ..Source::new(9)
    });
    let plugin = Nasty::new(2, &[]);
    let prover = Prover::start(&source, &plugin, limited(5));
    assert_eq!(prover.task.await.unwrap().unwrap().proved, 5);
    assert!(source.state().most <= 2);
    assert_eq!(source.state().leases.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_leased_while_the_plugin_is_not_ready() {
    let source = Arc::new(Source::new(9));
    let plugin = Nasty::new(2, &[((1, 0), Do::Prove(seconds(30)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(500)).await;
    plugin.ready.store(false, Ordering::SeqCst);
    sleep(seconds(20)).await;
    // The second ended, and the first goes on.
    assert_eq!(prover.jobs(leased), [1, 2]);
    assert_eq!(plugin.now.load(Ordering::SeqCst), 1);
    let waits = |event: &WorkEvent| matches!(event, WorkEvent::Waiting { .. }).then_some(0);
    assert!(prover.jobs(waits).len() > 3);
    sleep(seconds(15)).await;
    assert_eq!(source.state().proved, [2, 1]);
    plugin.ready.store(true, Ordering::SeqCst);
    sleep(seconds(60)).await;
    assert_eq!(source.state().proved.len(), 9);
    assert_eq!(prover.end().await.0.lost, 0);
}
