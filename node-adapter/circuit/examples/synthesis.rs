//! What a batch's assignment costs: by building every linear combination, and from recorded constraints.
//! `cargo run -p carillon-circuit --example synthesis [TRANSFERS]`

use std::error::Error;
use std::time::{Duration, Instant};

use blstrs::Scalar;
use carillon_circuit::rollup::{Shape, circuit_of, constraints, synthesize, witness};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::{Account, Ledger, State};
use carillon_protocol::{Domain, Operation};

const DEPTH: usize = 12;
const RUNS: usize = 3;

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

fn main() -> Result<(), Box<dyn Error>> {
    let transfers = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 64,
    };
    let key = |user: u32| SecretKey::from_seed(&[user as u8; 32]);
    let owner = |user: u32| [user as u8 + 1; 20];
    let domain = Domain::local(270);
    let mut state = State::genesis(DEPTH);
    let users = 8;
    state.update((0..users).map(|user| {
        let account = Account {
            key: Some(*key(user).public()),
            nonce: 0,
            owner: owner(user),
            balances: [(3, 1 << 40)].into(),
        };
        (user, account)
    }));
    let shape = Shape::new(transfers, 64, 6, DEPTH)?;
    let mut ledger = Ledger::resume(domain, 0, owner(0), state.clone(), 1);
    for index in 0..transfers as u32 {
        let (from, nonce) = (1 + index % (users - 1), u64::from(index / (users - 1)));
        let transfer = Operation::transfer(from, (from + 1) % users, 3, 50, 2, nonce);
        ledger.execute(&transfer.sign(&key(from), domain, &owner(from))?)?;
    }
    let closed = ledger.close();
    let circuit = circuit_of(shape, &state, &closed.header, &closed.operations)?;
    let circuit = circuit.evaluate_at(Scalar::from(9));

    let whole = shortest(|| synthesize(circuit.clone()).map(drop))?;
    let recording = shortest(|| constraints(shape).map(drop))?;
    let recorded = constraints(shape)?;
    let values = shortest(|| witness(&recorded, circuit.clone()).map(drop))?;
    let assignment = witness(&recorded, circuit)?;
    let checked = shortest(|| assignment.check())?;
    let rows = assignment.shape().constraints;
    println!(
        "{transfers} transfers, {rows} constraints, {} threads; the shortest of {RUNS} runs",
        rayon::current_num_threads()
    );
    println!("synthesize                 {whole:9.1?}");
    println!("recording, once a circuit  {recording:9.1?}");
    println!("witness                    {values:9.1?}");
    println!("rows, computed and checked {checked:9.1?}");
    println!(
        "whole over witness and rows {:.1}",
        whole.as_secs_f64() / (values + checked).as_secs_f64()
    );
    Ok(())
}
