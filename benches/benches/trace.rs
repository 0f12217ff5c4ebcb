//! Criterion benchmark: what the tap costs a command on the functional card, where the transport is
//! quickest. `bare` has no tap, `off` a tap that is switched off, `on` one that records to a file.
//! The ratios `off / bare` and `on / bare` are printed at the end.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a bench stops where it fails

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardConfig};
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::trace::{Keep, TracingTransport};
use criterion::{Criterion, criterion_group, criterion_main};

/// Bytes that a command of the benchmark moves.
const BYTES: usize = 4096;

enum Tap {
    Bare,
    Off,
    On,
}

/// A card with a queue and a region to write to.
struct Rig {
    runtime: tokio::runtime::Runtime,
    card: Card,
    region: carillon_driver::CardRegion,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(tap: &Tap) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model: Arc<dyn Transport> = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
        let transport = match tap {
            Tap::Bare => model,
            Tap::Off | Tap::On => {
                let path = folder.path().join("bench.trace");
                let keep = Keep::Latest { bytes: 64 << 20 };
                let traced = TracingTransport::new(model, &path, keep).unwrap();
                traced.record(matches!(tap, Tap::On));
                Arc::new(traced)
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let card = runtime
            .block_on(Card::open(transport, CardConfig::default()))
            .unwrap();
        let region = card.allocate(BYTES as u64).unwrap();
        Self {
            runtime,
            card,
            region,
            _folder: folder,
        }
    }

    /// One command, there and back.
    fn write(&self) {
        self.runtime.block_on(async {
            let buffer = self.card.buffer_to_card(BYTES).unwrap();
            let done = self.card.queue(0).write(buffer, &self.region).await;
            done.ok().unwrap();
        });
    }
}

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace/write-4KiB");
    for (name, tap) in [("bare", Tap::Bare), ("off", Tap::Off), ("on", Tap::On)] {
        let rig = Rig::new(&tap);
        group.bench_function(name, |bencher| bencher.iter(|| rig.write()));
    }
}

/// A doorbell that the card ignores (its queue is off): the tap's cost by itself.
fn accesses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace/register-read");
    for (name, tap) in [("bare", Tap::Bare), ("off", Tap::Off), ("on", Tap::On)] {
        let folder = tempfile::tempdir().unwrap();
        let transport = register_card(&tap, folder.path());
        group.bench_function(name, |bencher| bencher.iter(|| transport.read32(0x104)));
    }
}

fn register_card(tap: &Tap, folder: &std::path::Path) -> Arc<dyn Transport> {
    let model: Arc<dyn Transport> = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
    if matches!(tap, Tap::Bare) {
        return model;
    }
    let keep = Keep::Latest { bytes: 16 << 20 };
    let traced = TracingTransport::new(model, &folder.join("bench.trace"), keep).unwrap();
    traced.record(matches!(tap, Tap::On));
    Arc::new(traced)
}

/// The ratios, measured alternately so that a busy machine hits all alike.
fn ratios(_: &mut Criterion) {
    const ROUNDS: usize = 100;
    const COMMANDS: usize = 50;
    let rigs = [Tap::Bare, Tap::Off, Tap::On].map(|tap| Rig::new(&tap));
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (rig, times) in rigs.iter().zip(&mut times) {
            let start = Instant::now();
            (0..COMMANDS).for_each(|_| rig.write());
            times.push(start.elapsed());
        }
    }
    // The best round: what other programs take is not the tap's.
    let [bare, off, on] = times.map(|times: Vec<Duration>| {
        let best = times.into_iter().min().unwrap_or_default();
        best.as_secs_f64() / COMMANDS as f64
    });
    println!(
        "trace: a WRITE of 4 KiB on sim:model takes {:.1} us (best of {ROUNDS} rounds); \
         tap off / no tap = {:.3}, recording / no tap = {:.3}",
        bare * 1e6,
        off / bare,
        on / bare
    );
}

criterion_group!(benches, accesses, commands, ratios);
criterion_main!(benches);
