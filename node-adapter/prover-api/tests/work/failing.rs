//! What fails leaves the rest as it is.

use super::*;

#[tokio::test(start_paused = true)]
async fn failures_panics_and_stale_leases_leave_the_others_as_they_are() {
    let source = Arc::new(Source::new(6));
    let script = [
        ((1, 0), Do::Prove(seconds(60))),
        ((2, 1), Do::Fail(seconds(1))),
        ((2, 2), Do::Panic(seconds(1))),
        ((2, 3), Do::Wrong(seconds(1))),
        ((3, 1), Do::Hang),
    ];
    let plugin = Nasty::new(3, &script);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(5)).await;
    source.steal(3);
    sleep(seconds(85)).await;
    assert_eq!(source.ends(1), [Some(Ended::Proved)]);
    let ends = source.ends(2);
    let Some(Ended::GivenBack(reason)) = &ends[0] else {
        panic!("{ends:?}");
    };
    assert!(reason.contains("job 2 fails"), "{reason}");
    let Some(Ended::GivenBack(reason)) = &ends[1] else {
        panic!("{ends:?}");
    };
    assert!(reason.contains("panic"), "{reason}");
    assert_eq!(ends[2..], [Some(Ended::Refused), Some(Ended::Proved)]);
    // The hanging one was given up when its lease was somebody else's, and tried again when that ended.
    assert_eq!(source.ends(3), [Some(Ended::Stale), Some(Ended::Proved)]);
    assert_eq!(source.state().proved.len(), 6);
    assert!(plugin.most.load(Ordering::SeqCst) <= 3);
    let (summary, _) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (6, 4));
}

/// A job that fails at once is tried again after longer and longer pauses, though there is an answer
/// "no job" between two attempts, for the other place.
#[tokio::test(start_paused = true)]
async fn a_job_that_always_fails_is_tried_less_and_less() {
    let source = Arc::new(Source::new(1));
    let plugin = Nasty::new(2, &[((1, 0), Do::Fail(Duration::from_millis(10)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(100)).await;
    let attempts = source.state().leases.len();
    assert!((6..=12).contains(&attempts), "{attempts}");
    assert_eq!(prover.end().await.0.lost, attempts as u64);
}

/// A proof that is accepted shows that the prover works: the pause after another's failure ends.
#[tokio::test(start_paused = true)]
async fn a_proof_ends_the_pause_after_a_failure() {
    let source = Arc::new(Source::new(3));
    let plugin = Nasty::new(
        2,
        &[
            ((1, 0), Do::Fail(seconds(1))),
            ((2, 0), Do::Prove(seconds(3))),
        ],
    );
    let options = WorkOptions {
        backoff: seconds(1000),
        longest_backoff: seconds(1000),
        ..WorkOptions::default()
    };
    let prover = Prover::start(&source, &plugin, options);
    sleep(Duration::from_millis(2900)).await;
    assert_eq!(prover.jobs(leased), [1, 2]);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(prover.jobs(leased), [1, 2, 1, 3]);
    prover.end().await;
}

/// The pause after a failure is not cut short by a "no job" that was under way.
#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_shorten_the_pause() {
    let source = Arc::new(Source {
        late: seconds(2),
        ..Source::new(1)
    });
    let plugin = Nasty::new(2, &[((1, 0), Do::Fail(Duration::from_millis(10)))]);
    let options = WorkOptions {
        backoff: seconds(50),
        longest_backoff: seconds(50),
        ..WorkOptions::default()
    };
    let prover = Prover::start(&source, &plugin, options);
    sleep(seconds(50)).await;
    assert_eq!(prover.jobs(leased), [1]);
    sleep(seconds(10)).await;
    assert_eq!(prover.jobs(leased), [1, 1]);
    prover.end().await;
}

/// The first pause after a proof, and after a source that has answered, is as short as the first ever.
#[tokio::test(start_paused = true)]
async fn pauses_begin_anew_after_a_proof_and_after_an_answer() {
    let source = Arc::new(Source::new(2));
    let script = (1..5).map(|generation| ((1, generation), Do::Fail(Duration::ZERO)));
    let script: Vec<_> = script.chain([((2, 1), Do::Fail(Duration::ZERO))]).collect();
    let plugin = Nasty::new(1, &script);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(30)).await;
    let gaps = |job: u64| -> Vec<u128> {
        let state = source.state();
        let of_job = state.leases.iter().filter(|lease| lease.0 == job);
        let times: Vec<_> = of_job.map(|lease| lease.2).collect();
        let gap = |pair: &[tokio::time::Instant]| (pair[1] - pair[0]).as_millis() / 10;
        times.windows(2).map(gap).collect()
    };
    assert_eq!(gaps(1), [25, 50, 100, 200]);
    assert_eq!(gaps(2), [25]);
    prover.end().await;

    let source = Arc::new(Source::new(0));
    source.busy.lock().unwrap().insert("pick", 5);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(20)).await;
    source.busy.lock().unwrap().insert("pick", 1);
    sleep(seconds(20)).await;
    let pauses: Vec<u128> = {
        let events = prover.events.lock().unwrap();
        let pause = |event: &WorkEvent| match event {
            WorkEvent::Waiting { pause, .. } => Some(pause.as_millis()),
            _ => None,
        };
        events.iter().filter_map(pause).collect()
    };
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 250]);
    prover.end().await;
}

#[tokio::test(start_paused = true)]
async fn proofs_outlast_a_source_that_does_not_answer() {
    let source = Arc::new(Source::new(2));
    // Heartbeats hang for ever: the lease may run out, the proof is delivered all the same.
    source.silent.lock().unwrap().push("heartbeat");
    let plugin = Nasty::new(2, &[]);
    let prover = Prover::start(&source, &plugin, limited(2));
    assert_eq!(prover.task.await.unwrap().unwrap().proved, 2);
}

/// Heartbeats go on while a proof is delivered: twelve attempts take longer than many leases.
#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_until_the_proof_is_taken() {
    let source = Arc::new(Source::new(2));
    source.busy.lock().unwrap().insert("submit", 12);
    // Some of the heartbeats are lost, too.
    source.busy.lock().unwrap().insert("heartbeat", 1);
    let plugin = Nasty::new(2, &[]);
    let prover = Prover::start(&source, &plugin, limited(2));
    let summary = prover.task.await.unwrap().unwrap();
    assert_eq!((summary.proved, summary.lost), (2, 0));
    assert_eq!(source.state().leases.len(), 2);
    assert!(source.state().beats[&1] > 10);
}

/// A proof counts although the lease ends with it before its answer is here.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_meets_the_proof_loses_nothing() {
    let source = Arc::new(Source {
        valid: Duration::from_millis(300),
        ..Source::new(1)
    });
    let plugin = Nasty::new(1, &[((1, 0), Do::Prove(Duration::from_millis(90)))]);
    let prover = Prover::start(&source, &plugin, limited(1));
    // Taken, and the answer is lost: heartbeats find the job proved.
    source.busy.lock().unwrap().insert("answer", 3);
    let summary = prover.task.await.unwrap().unwrap();
    assert_eq!((summary.proved, summary.lost), (1, 0));
    assert_eq!(source.ends(1)[0], Some(Ended::Proved));
}

/// A lease that holds for no time at all makes no storm of heartbeats, and no panic.
#[tokio::test(start_paused = true)]
async fn leases_of_no_time_are_lost_and_nothing_else() {
    let source = Arc::new(Source {
        valid: Duration::ZERO,
        ..Source::new(1)
    });
    let plugin = Nasty::new(2, &[]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(5)).await;
    let (summary, _) = prover.end().await;
    assert_eq!(summary.proved, 0);
    assert!(summary.lost > 0);
    assert!(source.state().beats[&1] < 100);
}

/// In real time, on threads: a proof that goes on although its lease is lost keeps its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_proof_that_does_not_let_go_keeps_its_place() {
    let source = Arc::new(Source {
        valid: Duration::from_millis(60),
        ..Source::new(1)
    });
    let plugin = Nasty::new(1, &[((1, 1), Do::Busy(Duration::from_millis(600)))]);
    let options = WorkOptions {
        backoff: Duration::from_millis(10),
        ..limited(1)
    };
    let prover = Prover::start(&source, &plugin, options);
    while plugin.begun.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // Its lease is gone, and the job is open again.
    {
        let mut state = source.state();
        let mut entry = state.book.get(1).unwrap().clone();
        entry.state = carillon_prover_api::LeaseState::Open;
        state.book.put(1, entry);
    }
    assert_eq!(prover.task.await.unwrap().unwrap().proved, 1);
    assert_eq!(plugin.most.load(Ordering::SeqCst), 1);
    assert_eq!(source.ends(1)[0], Some(Ended::Stale));
}
