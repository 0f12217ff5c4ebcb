//! Traces end to end: the driver works on a recorded card; the recording is
//! read, its failures found, and replayed on every simulated card there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_driver::command::{MsmMode, NttKind};
use carillon_driver::deadline::Deadlines;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardConfig, CardRegion, Msm, Ntt, Product, Quotient, ResetLevel};
use carillon_sim::card::SimCard;
use carillon_sim::faults::{CardFault, Hang};
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::trace::format::{self, Reader};
use carillon_sim::trace::history::{Loss, Why};
use carillon_sim::trace::record::{Entry, Record};
use carillon_sim::trace::replay::{Outcome, ReplayError, ReplayOptions, What, replay};
use carillon_sim::trace::{Keep, Recording, TracingTransport};
use carillon_workload::vectors::{self, BasePattern, Curve, ScalarPattern};

const TWO_THREADS: usize = 2;

/// A recorded card, and how many commands it was given.
struct Session {
    card: Card,
    tap: Arc<TracingTransport>,
    model: Arc<ModelCard>,
    path: PathBuf,
    commands: usize,
    _folder: tempfile::TempDir,
}

impl Session {
    async fn new(keep: Keep) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.trace");
        let model = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
        let inner = Arc::clone(&model) as Arc<dyn Transport>;
        let tap = Arc::new(TracingTransport::new(inner, &path, keep).unwrap());
        let config = CardConfig {
            log2_depth: 3,
            host_memory_limit: 1 << 30,
            deadlines: Deadlines {
                poll: Duration::from_millis(5),
                stall: Duration::from_millis(300),
                abort_grace: Duration::from_millis(150),
                control: Duration::from_millis(500),
                ..Deadlines::default()
            },
        };
        let card = Card::open(Arc::clone(&tap) as Arc<dyn Transport>, config)
            .await
            .unwrap();
        Self {
            card,
            tap,
            model,
            path,
            commands: 1, // IDENTIFY
            _folder: folder,
        }
    }

    async fn put(&mut self, data: &[u8]) -> CardRegion {
        let region = self.card.allocate(data.len() as u64).unwrap();
        let mut buffer = self.card.buffer_to_card(data.len()).unwrap();
        buffer.copy_from_slice(data);
        let queue = self.commands % TWO_THREADS;
        self.commands += 1;
        let done = self.card.queue(queue).write(buffer, &region).await;
        done.ok().unwrap();
        region
    }

    async fn get(&mut self, region: &CardRegion, bytes: usize) -> Vec<u8> {
        let buffer = self.card.buffer_from_card(bytes).unwrap();
        self.commands += 1;
        let (_, buffer) = self.card.queue(0).read(region, buffer).await.ok().unwrap();
        buffer.to_vec()
    }

    /// Every command that computes, lists, and reads of the results.
    async fn work(&mut self) {
        let scalars = self.sum::<G1Projective>().await;
        self.sum::<G2Projective>().await;

        let ntt = self.ntt(&vectors::scalar_images(&scalars[..4])).await;
        self.commands += 1;
        self.card.queue(0).ntt(&ntt).await.unwrap();
        self.get(&ntt.destination, 128).await;

        let quotient = Quotient {
            a: ntt.source.clone(),
            b: ntt.destination.clone(),
            c: ntt.source.clone(),
            destination: self.card.allocate(128).unwrap(),
            n: 4,
            z: self.put(&vectors::scalar_images(&scalars[..2])).await,
        };
        self.commands += 1;
        self.card.queue(0).quotient(&quotient).await.unwrap();
        self.get(&quotient.destination, 128).await;
        self.lists().await;
        self.chain(&ntt).await;
    }

    /// A sum of five terms; its scalars.
    async fn sum<C: Curve>(&mut self) -> Vec<Scalar> {
        let case = vectors::msm_case_in::<C>(5, BasePattern::Negated, ScalarPattern::Random, 1);
        let bytes = C::GROUP.result_bytes();
        let msm = Msm {
            group: C::GROUP,
            bases: self.put(&vectors::base_images(&case.bases)).await,
            scalars: self.put(&vectors::scalar_images(&case.scalars)).await,
            n: 5,
            result: self.card.allocate(bytes).unwrap(),
            window_bits: 0,
            mode: MsmMode::Split,
        };
        self.commands += 1;
        self.card.queue(1).msm(&msm).await.unwrap();
        let result = self.get(&msm.result, bytes as usize).await;
        assert_eq!(vectors::read_result::<C>(&result), Some(case.expected));
        case.scalars
    }

    /// A product and a fill behind it, linked.
    async fn chain(&mut self, ntt: &Ntt) {
        let product = Product {
            a: ntt.source.clone(),
            b: ntt.source.clone(),
            destination: ntt.scratch.clone(),
            n: 4,
        };
        let chain = self.card.queue(1).chain().await;
        let tickets = [
            chain.submit_product(&product).await,
            chain.submit_fill(u64::MAX, &ntt.source).await,
        ];
        chain.finish();
        for ticket in tickets {
            self.commands += 1;
            ticket.await.result.unwrap();
        }
        self.get(&ntt.scratch, 128).await;
        assert_eq!(self.get(&ntt.source, 128).await, [0xff; 128]);
    }

    async fn ntt(&mut self, images: &[u8]) -> Ntt {
        Ntt {
            source: self.put(images).await,
            destination: self.card.allocate(images.len() as u64).unwrap(),
            scratch: self.card.allocate(images.len() as u64).unwrap(),
            log2n: (images.len() / 32).ilog2() as u8,
            kind: NttKind {
                inverse: false,
                coset: true,
                odd: false,
            },
        }
    }

    async fn lists(&mut self) {
        let sizes = [64, 4096, 192];
        let total: usize = sizes.iter().sum();
        let region = self.card.allocate(total as u64).unwrap();
        let down = sizes.map(|size| {
            let mut buffer = self.card.buffer_to_card(size).unwrap();
            buffer.fill(size as u8 ^ 0x5a);
            buffer
        });
        let up = sizes.map(|size| self.card.buffer_from_card(size).unwrap());
        let queue = self.card.queue(1);
        let sent = queue.submit_write_list(down.into(), &region).await;
        let read = queue.submit_read_list(&region, up.into()).await;
        self.commands += 2;
        sent.await.ok().unwrap();
        read.await.ok().unwrap();
    }

    /// A transform of an element that is not below r; its index.
    async fn bad_scalar(&mut self) -> usize {
        let ntt = self.ntt(&[0xff; 128]).await;
        let error = self.card.queue(1).ntt(&ntt).await.unwrap_err();
        assert!(error.to_string().contains("BAD_SCALAR"), "{error}");
        self.commands += 1;
        self.commands - 1
    }

    /// A chain whose second command fails, so that the third does not run; the second's index.
    async fn broken_chain(&mut self) -> usize {
        let ntt = self.ntt(&[0xff; 128]).await;
        let chain = self.card.queue(1).chain().await;
        let tickets = [
            chain.submit_fill(u64::MAX, &ntt.destination).await,
            chain.submit_ntt(&ntt).await,
            chain.submit_fill(0, &ntt.destination).await,
        ];
        chain.finish();
        let mut statuses = Vec::new();
        for ticket in tickets {
            self.commands += 1;
            statuses.push(ticket.await.result.map_err(|error| error.status()).err());
        }
        let (refused, left_out) = (StatusCode::BadScalar, StatusCode::LinkBroken);
        assert_eq!(statuses, [None, Some(Some(refused)), Some(Some(left_out))]);
        self.commands - 2
    }

    /// Closes the card and reads what was recorded.
    async fn end(self) -> (Recording, tempfile::TempDir) {
        self.card.close().await;
        self.tap.finish();
        let recording = Recording::open(&self.path).unwrap();
        assert!(recording.damage.is_none(), "{:?}", recording.damage);
        (recording, self._folder)
    }
}

fn on_model(recording: &Recording, options: ReplayOptions) -> Outcome {
    let card = ModelCard::new(ModelOptions::default()).unwrap();
    replay(recording, Arc::new(card), options, &mut ()).unwrap()
}

/// The recording with its records changed.
fn changed(
    recording: &Recording,
    folder: &Path,
    mut change: impl FnMut(usize, &mut Record),
) -> Recording {
    let path = folder.join("changed.trace");
    let mut entries: Vec<Entry> = recording.entries().unwrap().collect();
    for (number, entry) in entries.iter_mut().enumerate() {
        change(number, &mut entry.record);
    }
    format::write(std::fs::File::create(&path).unwrap(), &entries).unwrap();
    Recording::open(&path).unwrap()
}

async fn whole_session() -> (Recording, usize, tempfile::TempDir) {
    let mut session = Session::new(Keep::All).await;
    session.work().await;
    // Everything again after a restart: rings begin anew, card memory stays.
    session.card.reset(ResetLevel::Controller).await.unwrap();
    session.work().await;
    session.card.reset(ResetLevel::Function).await.unwrap();
    session.work().await;
    // The close is one more: it writes zeros over what was left.
    let commands = session.commands + 1;
    let (recording, folder) = session.end().await;
    (recording, commands, folder)
}

/// The replay of so many rounds of [`Session::work`] gave what the recording has.
fn same(outcome: &Outcome, commands: usize, rounds: u64) {
    assert_eq!(outcome.differences, [], "{:?}", outcome.stopped);
    assert_eq!(outcome.stopped, None);
    assert_eq!(
        (outcome.commands as usize, outcome.compared as usize),
        (commands, commands)
    );
    // Of each round, two of seven reads are those of sums.
    let reads = (outcome.data_compared, outcome.data_open);
    assert_eq!(reads, (5 * rounds, 2 * rounds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_replays_on_the_model() {
    let (recording, commands, _folder) = whole_session().await;
    let summary = &recording.history.summary;
    assert_eq!(summary.commands as usize, commands);
    assert_eq!((summary.succeeded as usize, summary.errors), (commands, 0));
    assert_eq!((summary.lost, summary.resets), (0, 1));
    assert!(summary.interrupts > 0 && summary.memory_bytes > 3 * 4352);
    assert_eq!(recording.history.failure, None);
    same(&on_model(&recording, ReplayOptions::default()), commands, 3);
}

#[cfg(feature = "rtl")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_replays_on_the_gateware() {
    use carillon_sim::rtl::{RtlCard, RtlOptions};
    let (recording, commands, _folder) = whole_session().await;
    let card = RtlCard::new(RtlOptions::default()).unwrap();
    let outcome = replay(
        &recording,
        Arc::new(card),
        ReplayOptions::default(),
        &mut (),
    );
    same(&outcome.unwrap(), commands, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_failing_command_is_found_and_replayed_alone() {
    let mut session = Session::new(Keep::All).await;
    session.work().await;
    let index = session.bad_scalar().await;
    session.work().await;
    let (recording, _folder) = session.end().await;
    let failure = recording.history.failure.unwrap();
    assert_eq!(failure.command, index);
    assert_eq!(failure.why, Why::Status(StatusCode::BadScalar));

    let all = on_model(&recording, ReplayOptions::default());
    assert_eq!((all.differences.len(), all.left_out), (0, 0));
    let alone = on_model(
        &recording,
        ReplayOptions {
            failure_only: true,
            ..ReplayOptions::default()
        },
    );
    assert_eq!(alone.differences, []);
    // IDENTIFY, the write of its operand, and itself.
    assert_eq!((alone.commands, alone.left_out as usize), (3, index - 2));
    assert_eq!(alone.compared as usize, index + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_hangs_is_found() {
    let aborted = Why::Status(StatusCode::Aborted);
    let rows = [
        (Hang::UntilAbort, aborted),
        (Hang::UntilQueueStop, Why::Lost(Loss::QueueStop)),
        (Hang::UntilReset, Why::Lost(Loss::QueueStop)),
    ];
    for (until, why) in rows {
        let mut session = Session::new(Keep::All).await;
        session.put(&[1; 64]).await;
        let region = session.card.allocate(64).unwrap();
        session
            .model
            .inject(CardFault::Hang { queue: 2, until })
            .unwrap();
        let index = session.commands;
        let buffer = session.card.buffer_to_card(64).unwrap();
        let hanging = session.card.queue(1).submit_write(buffer, &region).await;
        // The other queue goes on meanwhile.
        let other = session.card.buffer_to_card(64).unwrap();
        let place = session.card.allocate(64).unwrap();
        session
            .card
            .queue(0)
            .write(other, &place)
            .await
            .ok()
            .unwrap();
        assert!(hanging.await.result.is_err());
        let (recording, _folder) = session.end().await;
        let failure = recording.history.failure.unwrap();
        assert_eq!((failure.command, failure.why), (index, why), "{until:?}");

        // A sound card does not hang, and that is the difference.
        let outcome = on_model(&recording, ReplayOptions::default());
        let first = outcome.differences.first().expect("a sound card differs");
        assert_eq!(first.command, index, "{until:?}");
        match first.what {
            What::Completion { replayed, .. } => {
                assert_eq!(
                    (until, replayed.status.code),
                    (Hang::UntilAbort, StatusCode::Success)
                );
            }
            What::Ended { replayed } => assert_eq!(replayed.status.code, StatusCode::Success),
            what => panic!("{until:?}: {what}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_completions_and_other_bytes_are_differences() {
    let (recording, _, folder) = whole_session().await;
    let is_write = |words: &[u64; 8]| words[0] & 0xff == 0x10;

    // Another status than any card would give.
    let mut target = None;
    let status = changed(&recording, folder.path(), |_, record| {
        if let Record::Completion {
            queue: 1, words, ..
        } = record
            && target.is_none()
        {
            target = Some(());
            words[3] |= 7 << 49 | 1 << 52; // INTERNAL
        }
    });
    let index = status.history.failure.unwrap().command;
    let outcome = on_model(&status, ReplayOptions::default());
    assert_eq!(outcome.differences.len(), 1);
    let first = &outcome.differences[0];
    assert_eq!(first.command, index);
    assert!(matches!(first.what, What::Completion { .. }), "{first:?}");

    // A payload that is not what the recorded card was given.
    let data = changed(&recording, folder.path(), |_, record| {
        if let Record::Memory { data, .. } = record
            && data.len() == 4096
        {
            data[100] ^= 1;
        }
    });
    let outcome = on_model(&data, ReplayOptions::default());
    assert_eq!(
        outcome.differences.len(),
        3,
        "the list's read of each round"
    );
    assert!(outcome.differences.iter().all(|d| d.what == What::Data));

    // A command that the recorded card had, and a sound one refuses.
    let mut done = false;
    let command = changed(&recording, folder.path(), |_, record| {
        if let Record::Command { words, .. } = record
            && is_write(words)
            && !done
        {
            done = true;
            words[0] |= 0x80 << 8; // a flag that no command has
        }
    });
    let outcome = on_model(&command, ReplayOptions::default());
    let first = &outcome.differences[0];
    assert!(
        first.what.to_string().contains("INVALID_FIELD"),
        "{}",
        first.what
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_stands_still_in_the_replay_is_left() {
    let (recording, _, _folder) = whole_session().await;
    let card = ModelCard::new(ModelOptions::default()).unwrap();
    let hang = CardFault::Hang {
        queue: 2,
        until: Hang::UntilReset,
    };
    card.inject(hang).unwrap();
    let options = ReplayOptions {
        patience: Duration::from_millis(300),
        ..ReplayOptions::default()
    };
    let outcome = replay(&recording, Arc::new(card), options, &mut ()).unwrap();
    assert_eq!(outcome.differences.len(), 1);
    assert_eq!(outcome.differences[0].what, What::Missing);
    assert!(outcome.stopped.unwrap().contains("did not complete"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_keeps_its_bound_and_is_written_at_the_first_failure() {
    const LIMIT: usize = 64 << 10;
    let mut session = Session::new(Keep::Latest { bytes: LIMIT }).await;
    for _ in 0..20 {
        session.put(&[7; 8192]).await;
    }
    let header_only = std::fs::metadata(&session.path).unwrap().len();
    assert_eq!(header_only, 0, "nothing is written before it must be");
    session.bad_scalar().await;
    // The card is open still.
    let size = std::fs::metadata(&session.path).unwrap().len();
    assert!(size as usize <= LIMIT + 256, "{size} bytes");
    let recording = Recording::open(&session.path).unwrap();
    assert!(recording.damage.is_none());
    let summary = &recording.history.summary;
    assert!(summary.dropped_records > 0 && summary.dropped_bytes as usize > 20 * 8192 - LIMIT);
    let failure = recording.history.failure.unwrap();
    assert_eq!(failure.why, Why::Status(StatusCode::BadScalar));
    let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
    let refused = replay(&recording, card, ReplayOptions::default(), &mut ());
    assert!(matches!(refused, Err(ReplayError::Incomplete { .. })));
    // Nothing is added after the failure.
    session.put(&[8; 64]).await;
    let (again, _folder) = session.end().await;
    assert_eq!(again.history.summary, recording.history.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_leaves_can_be_read_and_replayed() {
    let mut session = Session::new(Keep::All).await;
    session.work().await;
    let copy = session.path.with_extension("copy");
    std::fs::copy(&session.path, &copy).unwrap();
    let cut = Recording::open(&copy).unwrap();
    assert!(cut.damage.as_ref().unwrap().is_cut(), "{:?}", cut.damage);
    assert_eq!(cut.history.summary.commands as usize, session.commands);
    let outcome = on_model(&cut, ReplayOptions::default());
    assert_eq!(outcome.differences, []);
    assert!(outcome.compared as usize >= session.commands - 1);
    session.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_chain_is_shown_at_its_failure_and_replayed() {
    let mut session = Session::new(Keep::All).await;
    let index = session.broken_chain().await;
    session.work().await;
    let commands = session.commands + 1;
    let (recording, _folder) = session.end().await;
    let failure = recording.history.failure.as_ref().unwrap();
    assert_eq!(failure.command, index);
    assert_eq!(failure.why, Why::Status(StatusCode::BadScalar));
    same(&on_model(&recording, ReplayOptions::default()), commands, 1);
    let alone = ReplayOptions {
        failure_only: true,
        ..ReplayOptions::default()
    };
    let alone = on_model(&recording, alone);
    assert_eq!(alone.differences, []);
    assert_eq!(alone.stopped, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_recorded_while_it_is_off() {
    let mut session = Session::new(Keep::All).await;
    session.put(&[1; 64]).await;
    session.tap.record(false);
    let before = std::fs::metadata(&session.path).unwrap().len();
    session.put(&[2; 64]).await;
    assert_eq!(std::fs::metadata(&session.path).unwrap().len(), before);
    session.tap.record(true);
    // The queues are known again from their next start.
    session.card.reset(ResetLevel::Controller).await.unwrap();
    session.put(&[3; 64]).await;
    let path = session.path.clone();
    let (recording, _folder) = session.end().await;
    // The close is one more command, which fills what was left with zeros; it reads no memory.
    assert_eq!(recording.history.summary.commands, 4);
    let payloads: Vec<u8> = Reader::new(std::fs::File::open(path).unwrap())
        .unwrap()
        .filter_map(|entry| match entry.unwrap().record {
            Record::Memory { data, .. } => Some(data[0]),
            _ => None,
        })
        .collect();
    assert_eq!(payloads, [1, 3]);
}

#[test]
fn what_is_no_recording_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Recording::open(&folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("cannot open"), "{missing}");
    let text = folder.path().join("text");
    std::fs::write(&text, "not a trace, only words").unwrap();
    let refused = Recording::open(&text).unwrap_err();
    assert!(
        refused.to_string().contains("no Carillon trace"),
        "{refused}"
    );
}

#[cfg(feature = "rtl-trace")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_waveform_opens_at_the_failing_command() {
    use carillon_sim::rtl::{RtlCard, RtlOptions};
    use carillon_sim::trace::waveform::{Waveform, save_file, time_of};

    let mut session = Session::new(Keep::All).await;
    session.work().await;
    session.bad_scalar().await;
    session.work().await;
    let (recording, folder) = session.end().await;
    let vcd = folder.path().join("failure.vcd");
    let card = Arc::new(
        RtlCard::new(RtlOptions {
            trace: Some(vcd.clone()),
            trace_waits: true,
            ..RtlOptions::default()
        })
        .unwrap(),
    );
    let mut watch = Waveform::new(Arc::clone(&card));
    let transport = Arc::clone(&card) as Arc<dyn Transport>;
    let options = ReplayOptions {
        failure_only: true,
        ..ReplayOptions::default()
    };
    let outcome = replay(&recording, transport, options, &mut watch).unwrap();
    assert_eq!(outcome.differences, []);
    let (begin, end) = (watch.begin.unwrap(), watch.end.unwrap());
    assert!(begin > 0 && begin < end, "{begin} to {end}");
    drop((watch, card));

    let text = std::fs::read_to_string(&vcd).unwrap();
    let times: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.parse().ok())
        .collect();
    // From the failing command's doorbell on, and not beyond its end.
    assert!(
        (time_of(begin) - 1..=time_of(begin)).contains(&times[0]),
        "{}",
        times[0]
    );
    assert!(*times.last().unwrap() <= time_of(end), "{begin} to {end}");
    let save = std::fs::read_to_string(save_file(&vcd, begin).unwrap()).unwrap();
    assert!(save.contains(&format!("*-2.0 {} ", time_of(begin))));
    for signal in ["clk_i", "irq_o[", "s_axil_awaddr[", "m_axi_host_arvalid"] {
        let shown = save
            .lines()
            .find(|line| line.contains(&format!(".{signal}")));
        assert!(shown.is_some(), "{signal} is not in {save}");
    }
}
