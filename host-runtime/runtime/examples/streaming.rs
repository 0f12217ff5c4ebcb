//! What it costs to get the benchmark circuit's A and B, from every linear combination and from recorded
//! constraints; and what the one copy of a key into DMA memory costs beside reading the key.
//! `cargo run -p carillon-runtime --example streaming [LOG2]`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::{Card, CardConfig};
use carillon_runtime::groth16::{Constraints, ProvingKey, setup, synthesize, witness};
use carillon_runtime::{image, keys};
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_workload::SquareChain;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

const RUNS: usize = 5;
/// As the card engine has it.
const PIECE: usize = 4 << 20;

/// The shortest of a few runs.
fn shortest<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed());
    }
    Ok(best)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log2: u32 = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 16,
    };
    println!(
        "2^{log2} rows, {} threads; the shortest of {RUNS} runs",
        rayon::current_num_threads()
    );
    let circuit = SquareChain::with_witness(log2, 1);
    let whole = shortest(|| synthesize(circuit.clone()).map(drop))?;
    let record = move || Constraints::record(move || SquareChain::blank(log2));
    let recording = shortest(|| record().map(drop))?;
    let constraints = Arc::new(record()?);
    let values = shortest(|| witness(&constraints, circuit.clone()).map(drop))?;
    let assignment = witness(&constraints, circuit)?;
    let checked = shortest(|| assignment.check())?;
    println!("synthesize                  {whole:9.1?}");
    println!("recording, once a circuit   {recording:9.1?}");
    println!("witness                     {values:9.1?}");
    println!("rows, computed and checked  {checked:9.1?}");
    println!(
        "whole over witness and rows {:.1}",
        whole.as_secs_f64() / (values + checked).as_secs_f64()
    );

    let key = setup(SquareChain::blank(log2), &mut ChaCha12Rng::seed_from_u64(1))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key");
    keys::save(&path, &key)?;
    drop(key);
    let reading = shortest(|| keys::load(&path).map(drop))?;
    let key = keys::load(&path)?;
    let model = Arc::new(ModelCard::new(ModelOptions::default())?);
    let card = Card::open(model, CardConfig::default()).await?;
    let copying = shortest(|| copy(&card, &key))?;
    println!(
        "key of {} KiB",
        sections(&key).map(<[u8]>::len).iter().sum::<usize>() >> 10
    );
    println!("read, hashed and checked    {reading:9.1?}");
    println!("copied to DMA memory        {copying:9.1?}");
    println!(
        "the copy is                 {:.2} % of it",
        100.0 * copying.as_secs_f64() / reading.as_secs_f64()
    );
    Ok(())
}

fn sections(key: &ProvingKey) -> [&[u8]; 5] {
    let [a, b1, l, h] = [&key.a, &key.b1, &key.l, &key.h].map(|query| image::bytes(query));
    [a, b1, l, h, image::bytes(&key.b2)]
}

/// As a transfer does it: piece by piece, each wiped when its command has ended.
fn copy(card: &Card, key: &ProvingKey) -> Result<(), carillon_driver::CardError> {
    for section in sections(key) {
        for piece in section.chunks(PIECE) {
            drop(std::hint::black_box(card.buffer_with(piece)?));
        }
    }
    Ok(())
}
