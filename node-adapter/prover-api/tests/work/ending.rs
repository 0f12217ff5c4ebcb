//! The end: every lease is given back, whatever hangs.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stop_gives_every_lease_back_at_once() {
    let source = Arc::new(Source::new(5));
    let plugin = Nasty::new(3, &[((1, 0), Do::Hang), ((3, 0), Do::Prove(seconds(50)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(900)).await;
    assert_eq!(source.held(), 3);
    let lost = |event: &WorkEvent| match event {
        WorkEvent::Lost { job, reason } => {
            assert_eq!(reason, "the prover was told to stop");
            Some(*job)
        }
        _ => None,
    };
    let events = Arc::clone(&prover.events);
    let (summary, took) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (0, 3));
    assert_eq!((source.held(), plugin.now.load(Ordering::SeqCst)), (0, 0));
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!(events.lock().unwrap().iter().filter_map(lost).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_holds_no_prover() {
    for silent in ["pick", "submit", "fail", "heartbeat"] {
        let source = Arc::new(Source::new(5));
        source.silent.lock().unwrap().push(silent);
        let plugin = Nasty::new(2, &[((2, 0), Do::Hang)]);
        let prover = Prover::start(&source, &plugin, WorkOptions::default());
        sleep(seconds(2)).await;
        let (_, took) = prover.end().await;
        let most = match silent {
            // Nothing is left to ask.
            "heartbeat" => 0,
            // The answer, and then what can be given back.
            "submit" | "pick" | "fail" => 3,
            _ => unreachable!(),
        };
        assert!(
            took <= seconds(most) + Duration::from_millis(100),
            "{silent}: {took:?}"
        );
        assert_eq!(plugin.now.load(Ordering::SeqCst), 0, "{silent}");
        if silent != "fail" {
            assert_eq!(source.held(), 0, "{silent}");
        }
    }
}

/// The proof is there, and the source is too busy for it: it is told that there will be none.
#[tokio::test(start_paused = true)]
async fn a_stop_while_a_proof_is_delivered_gives_the_lease_back() {
    let source = Arc::new(Source::new(1));
    source.busy.lock().unwrap().insert("submit", 1000);
    let plugin = Nasty::new(1, &[]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(seconds(20)).await;
    let (summary, took) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (0, 1));
    assert!(took < Duration::from_millis(100), "{took:?}");
    let ends = source.ends(1);
    let Some(Ended::GivenBack(reason)) = &ends[0] else {
        panic!("{ends:?}");
    };
    assert!(reason.contains("come again"), "{reason}");
}

/// An answer that is on its way counts: the proof is taken.
#[tokio::test(start_paused = true)]
async fn a_proof_that_is_being_taken_is_waited_for() {
    let source = Arc::new(Source {
        takes: seconds(1),
        ..Source::new(1)
    });
    let plugin = Nasty::new(1, &[]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(2500)).await;
    let (summary, took) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (1, 0));
    assert_eq!(took.as_millis() / 10, 50);
}

/// In real time, on threads: work that does not let go is waited for, though not for ever, and its
/// lease is given back at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stop_waits_a_while_for_work_that_does_not_let_go() {
    let source = Arc::new(Source::new(1));
    let plugin = Nasty::new(1, &[((1, 0), Do::Busy(Duration::from_millis(4500)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    while plugin.begun.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let ended = tokio::spawn(prover.end());
    sleep(seconds(1)).await;
    assert_eq!((source.held(), plugin.now.load(Ordering::SeqCst)), (0, 1));
    let (summary, took) = ended.await.unwrap();
    assert_eq!((summary.proved, summary.lost), (0, 1));
    assert!(
        took >= seconds(3) && took < Duration::from_millis(4200),
        "{took:?}"
    );
}

/// A lease that is answered after the stop is known, given back, and not worked on.
#[tokio::test(start_paused = true)]
async fn a_lease_that_comes_with_the_stop_is_given_back() {
    let source = Arc::new(Source {
        takes: seconds(1),
        ..Source::new(1)
    });
    let plugin = Nasty::new(1, &[]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(500)).await;
    let (summary, took) = prover.end().await;
    assert_eq!((summary.proved, summary.lost), (0, 1));
    assert!(took < seconds(3), "{took:?}");
    assert_eq!(plugin.begun.load(Ordering::SeqCst), 0);
    assert_eq!(source.held(), 0);
    assert!(matches!(source.ends(1)[0], Some(Ended::GivenBack(_))));
}

/// Between two questions a stop waits for nothing.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_pause() {
    for jobs in [0, 1] {
        let source = Arc::new(Source::new(jobs));
        let plugin = Nasty::new(2, &[((1, 0), Do::Fail(Duration::ZERO))]);
        let options = WorkOptions {
            poll: seconds(1000),
            backoff: seconds(1000),
            longest_backoff: seconds(1000),
            ..WorkOptions::default()
        };
        let prover = Prover::start(&source, &plugin, options);
        sleep(seconds(10)).await;
        let (_, took) = prover.end().await;
        assert_eq!(took, Duration::ZERO);
    }
}

/// An engine that does not say whether it is ready holds no prover, and no job beside it.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_no_plugin() {
    let source = Arc::new(Source::new(2));
    let plugin = Nasty::new(2, &[((1, 0), Do::Prove(seconds(5)))]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(100)).await;
    plugin.dark.store(true, Ordering::SeqCst);
    sleep(seconds(10)).await;
    assert_eq!(source.state().proved, [2, 1]);
    let (_, took) = prover.end().await;
    assert_eq!(took, Duration::ZERO);
}

/// A token that counts no longer ends the prover, with all that it has under way.
#[tokio::test(start_paused = true)]
async fn a_prover_that_is_not_known_any_more_ends_with_its_jobs() {
    let source = Arc::new(Source {
        valid: seconds(3000),
        ..Source::new(9)
    });
    let plugin = Nasty::new(2, &[((1, 0), Do::Hang)]);
    let prover = Prover::start(&source, &plugin, WorkOptions::default());
    sleep(Duration::from_millis(1500)).await;
    source.known.store(false, Ordering::SeqCst);
    let events = Arc::clone(&prover.events);
    let ended = tokio::time::timeout(seconds(10), prover.task)
        .await
        .unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Unauthorised(_)), "{error}");
    assert_eq!(plugin.now.load(Ordering::SeqCst), 0);
    let events = events.lock().unwrap();
    let lost = events
        .iter()
        .filter(|event| matches!(event, WorkEvent::Lost { .. }));
    assert_eq!(lost.count(), 2);
}
