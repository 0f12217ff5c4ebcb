//! The path between host and card, without work at the card: what the driver
//! and its memory cost. On the functional card (`sim:model`), whose transfers
//! are copies by a thread of this process. First a table, then the same as
//! criterion benchmarks; `-- --table` prints the table alone.
#![allow(missing_docs)] // criterion's macros

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{Direction, Transport};
use carillon_driver::{Card, CardConfig, CardRegion, HostBuf};
use carillon_sim::model::{ModelCard, ModelOptions};
use criterion::{Criterion, Throughput, criterion_group};
use tokio::runtime::Runtime;

/// Bytes of the smallest transfer: one beat.
const SMALL: usize = 64;
/// Commands of which the latency's percentiles are taken.
const COMMANDS: usize = 20_000;
/// Bytes of a transfer, and of all of them, when streaming.
const PIECE: usize = 4 << 20;
const STREAM: usize = 64 << 20;
/// Bytes allocated and mapped at once, and how often.
const MAP: usize = 256 << 20;
const ROUNDS: usize = 7;

struct Path {
    runtime: Runtime,
    card: Card,
}

impl Path {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()?;
        let model = Arc::new(ModelCard::new(ModelOptions::default())?);
        let card = runtime.block_on(Card::open(model, CardConfig::default()))?;
        Ok(Self { runtime, card })
    }

    fn region(&self, bytes: usize) -> CardRegion {
        let region = self.card.allocate(bytes as u64);
        region.unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// A WRITE of 64 bytes, from the submission to the buffer's return.
    async fn small(&self, buffer: HostBuf, region: &CardRegion) -> HostBuf {
        match self.card.queue(0).write(buffer, region).await.ok() {
            Ok((_, buffer)) => buffer,
            Err(e) => unreachable!("{e}"),
        }
    }

    /// Each piece to the card and back, all submitted before the first ends.
    async fn stream(&self, buffers: Vec<(HostBuf, HostBuf)>, to: &[CardRegion]) -> Buffers {
        let mut tickets = Vec::with_capacity(buffers.len());
        for ((down, up), region) in buffers.into_iter().zip(to) {
            let queue = self.card.queue(0);
            let written = queue.submit_write(down, region).await;
            let read = queue.submit_read(region, up).await;
            tickets.push((written, read));
        }
        let mut back = Vec::with_capacity(tickets.len());
        for (written, read) in tickets {
            match (written.await.ok(), read.await.ok()) {
                (Ok((_, down)), Ok((_, up))) => back.push((down, up)),
                (Err(e), _) | (_, Err(e)) => unreachable!("{e}"),
            }
        }
        back
    }

    fn buffers(&self) -> Buffers {
        let pair = |_| {
            let down = self.card.buffer_with(&vec![0x5a; PIECE]);
            let up = self.card.buffer_from_card(PIECE);
            match (down, up) {
                (Ok(down), Ok(up)) => (down, up),
                (Err(e), _) | (_, Err(e)) => unreachable!("{e}"),
            }
        };
        (0..STREAM / PIECE).map(pair).collect()
    }
}

type Buffers = Vec<(HostBuf, HostBuf)>;

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn best(rounds: usize, mut work: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| work()).min().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

fn latency(path: &Path) {
    let region = path.region(SMALL);
    let mut times = path.runtime.block_on(async {
        let Ok(mut buffer) = path.card.buffer_to_card(SMALL) else {
            return Vec::new();
        };
        let mut times = Vec::with_capacity(COMMANDS);
        for _ in 0..COMMANDS + COMMANDS / 10 {
            let start = Instant::now();
            buffer = path.small(buffer, &region).await;
            times.push(start.elapsed());
        }
        times.split_off(COMMANDS / 10)
    });
    times.sort_unstable();
    let (median, p99) = (percentile(&times, 50), percentile(&times, 99));
    println!(
        "| WRITE of 64 bytes, alone: median | {:.1} us |",
        micros(median)
    );
    println!("| the same: 99th percentile | {:.1} us |", micros(p99));
    let many = path.runtime.block_on(async {
        let mut tickets = std::collections::VecDeque::new();
        let start = Instant::now();
        for _ in 0..COMMANDS {
            if tickets.len() == 32
                && let Some(ticket) = tickets.pop_front()
            {
                let _: carillon_driver::Finished<HostBuf> = ticket.await;
            }
            if let Ok(buffer) = path.card.buffer_to_card(SMALL) {
                tickets.push_back(path.card.queue(0).submit_write(buffer, &region).await);
            }
        }
        for ticket in tickets {
            let _ = ticket.await;
        }
        start.elapsed()
    });
    let each = many / COMMANDS as u32;
    println!(
        "| the same, 32 outstanding: each | {:.2} us |",
        micros(each)
    );
}

fn mapping() {
    let Ok(model) = ModelCard::new(ModelOptions::default()) else {
        return;
    };
    let scale = (1usize << 30) as f64 / MAP as f64;
    let mut huge = false;
    let mut touched = Duration::MAX;
    let plain = best(ROUNDS, || {
        let start = Instant::now();
        let Ok(memory) = HostMemory::allocate(MAP).map(Arc::new) else {
            return Duration::MAX;
        };
        let mapped = model.map(Arc::clone(&memory), Direction::Bidirectional);
        let time = start.elapsed();
        huge = memory.is_huge();
        // What a card that pins memory makes the system do.
        for page in (0..memory.len()).step_by(4096) {
            let _ = memory.store(page, 1, std::sync::atomic::Ordering::Relaxed);
        }
        touched = touched.min(start.elapsed());
        if let Ok(iova) = mapped {
            let _ = model.unmap(iova);
        }
        time
    });
    let pages = if huge { "2 MiB" } else { "4 KiB" };
    let millis = |time: Duration| time.as_secs_f64() * 1e3 * scale;
    println!(
        "| allocate and map 1 GiB ({pages} pages) | {:.2} ms |",
        millis(plain)
    );
    println!(
        "| the same with every page touched | {:.0} ms |",
        millis(touched)
    );
}

fn streaming(path: &Path) {
    let regions: Vec<_> = (0..STREAM / PIECE).map(|_| path.region(PIECE)).collect();
    let mut buffers = Some(path.buffers());
    // The same bytes the same two ways by the CPU: out of one buffer, through
    // memory of the card's size, into another.
    let from = vec![0x5au8; STREAM];
    let (mut card, mut to) = (vec![1u8; STREAM], vec![1u8; STREAM]);
    let (mut streamed, mut copied) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let back = path
            .runtime
            .block_on(path.stream(buffers.take().unwrap_or_default(), &regions));
        streamed = streamed.min(start.elapsed());
        buffers = Some(back);
        let start = Instant::now();
        for piece in (0..STREAM).step_by(PIECE) {
            let piece = piece..piece + PIECE;
            card[piece.clone()].copy_from_slice(&from[piece.clone()]);
            to[piece.clone()].copy_from_slice(std::hint::black_box(&card[piece]));
        }
        copied = copied.min(start.elapsed());
        std::hint::black_box((&card, &to));
    }
    let moved = 2 * STREAM;
    println!(
        "| to the card and back, pieces of 4 MiB | {:.2} GB/s |",
        rate(moved, streamed)
    );
    println!(
        "| memcpy there and back | {:.2} GB/s |",
        rate(moved, copied)
    );
    println!(
        "| ratio | {:.2} |",
        copied.as_secs_f64() / streamed.as_secs_f64()
    );
}

fn table(path: &Path) {
    println!("The driver's path on sim:model (functional card, no work)\n");
    println!("| what | measured |");
    println!("|---|---|");
    latency(path);
    mapping();
    streaming(path);
    println!();
}

fn criterion_path(criterion: &mut Criterion) {
    let Ok(path) = Path::new() else { return };
    let region = path.region(SMALL);
    let mut buffer = path.card.buffer_to_card(SMALL).ok();
    criterion.bench_function("path/write_64_bytes", |bencher| {
        bencher.iter(|| {
            if let Some(given) = buffer.take() {
                buffer = Some(path.runtime.block_on(path.small(given, &region)));
            }
        });
    });
    let regions: Vec<_> = (0..STREAM / PIECE).map(|_| path.region(PIECE)).collect();
    let mut buffers = Some(path.buffers());
    let mut group = criterion.benchmark_group("path");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(2 * STREAM as u64));
    group.bench_function("stream_64_mib_there_and_back", |bencher| {
        bencher.iter(|| {
            let given = buffers.take().unwrap_or_default();
            buffers = Some(path.runtime.block_on(path.stream(given, &regions)));
        });
    });
}

criterion_group!(benches, criterion_path);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    table(&Path::new()?);
    if !std::env::args().any(|argument| argument == "--table") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    Ok(())
}
