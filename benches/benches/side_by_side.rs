//! One table: Carillon's CPU engine and each peer, run in turn, best of several rounds, and the
//! ratio. Running in turn makes the ratio robust against a busy machine.
//! `CARILLON_BENCH_LOG2` sets the size (default 12).

use std::time::{Duration, Instant};

use carillon_benches::{Groth16, Msm, Ntt};

/// Rounds of which the best counts.
const ROUNDS: usize = 5;

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed()
}

/// Best time of each side over the rounds, sides in turn.
fn best<const N: usize>(mut round: impl FnMut() -> [Duration; N]) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (best, time) in best.iter_mut().zip(round()) {
            *best = time.min(*best);
        }
    }
    best
}

fn row(operation: &str, peer: &str, ours: Duration, theirs: Duration) {
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    let (ours, theirs) = (ours.as_secs_f64() * 1e3, theirs.as_secs_f64() * 1e3);
    println!("| {operation} | {ours:.1} | {peer} | {theirs:.1} | {ratio:.2} |");
}

fn main() {
    let size = std::env::var("CARILLON_BENCH_LOG2")
        .ok()
        .and_then(|text| text.parse().ok());
    let log2 = size.unwrap_or(12);
    println!("2^{log2}, milliseconds, best of {ROUNDS}; ratio above 1: Carillon is faster\n");
    println!("| operation | Carillon (cpu) | peer | peer's time | ratio |");
    println!("|---|---|---|---|---|");
    let msm = Msm::new(log2);
    let [ours, blst, ark] = best(|| {
        [
            time(|| msm.carillon()),
            time(|| msm.blst()),
            time(|| msm.arkworks()),
        ]
    });
    row("MSM G1", "blst", ours, blst);
    row("MSM G1", "arkworks", ours, ark);
    let mut ntt = Ntt::new(log2);
    let [ours, ark] = best(|| [time(|| ntt.carillon().len()), time(|| ntt.arkworks().len())]);
    row("NTT", "arkworks", ours, ark);
    let groth16 = Groth16::new(log2);
    let [ours, ark] = best(|| [time(|| groth16.carillon()), time(|| groth16.arkworks())]);
    row("Groth16", "arkworks", ours, ark);
}
