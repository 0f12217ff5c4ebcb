//! What the memory argument would be worth without one of its parts: each value that the challenges
//! absorb and each part of a tuple is left out in turn, and a forgery must work then.
//!
//! Constraints are left out in `constraints`. Most of this runs with the suite, all of it by
//! `make mutants`.

use std::collections::BTreeSet;

use blstrs::Scalar;
use carillon_circuit::rollup::mutation::Mutation;
use carillon_circuit::rollup::weakened;
use carillon_circuit::rollup::{
    CellWitness, HeaderWitness, RollupCircuit, Shape, Touched, Tracer, build,
};
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::poseidon::hash_node;
use rayon::prelude::*;

use super::scenes::*;
use super::soundness::BUS;
use super::system::System;

fn row_of(circuit: &mut RollupCircuit, account: u32) -> &mut CellWitness {
    let mut cells = circuit.witness.cells.iter_mut();
    cells
        .find(|cell| (cell.account, cell.token) == (account, 0))
        .unwrap()
}

/// A part of a tuple, and a change to it alone.
type Change = (&'static str, fn(&mut RollupCircuit));

/// Everything that tuples are made of, as far as a witness chooses it.
const PARTS: [Change; 37] = [
    ("slot: account", |c| c.witness.ops[0].from ^= 2),
    ("slot: receiver", |c| c.witness.ops[0].to ^= 1),
    ("slot: token", |c| c.witness.ops[0].token ^= 1),
    ("slot: kind", |c| c.witness.ops[1].kind ^= 4),
    ("slot: fee", |c| c.witness.ops[0].fee_mantissa += 1),
    ("slot: key x", |c| c.witness.ops[0].header.key.x += num(1)),
    ("slot: key y", |c| c.witness.ops[0].header.key.y += num(1)),
    ("slot: nonce", |c| c.witness.ops[0].header.nonce += num(1)),
    ("slot: owner", |c| c.witness.ops[0].header.owner += num(1)),
    ("slot: amount", |c| c.witness.ops[1].amount += num(1)),
    ("slot: word 2", |c| c.witness.ops[1].words[0] += num(1)),
    ("slot: word 3", |c| c.witness.ops[1].words[1] += num(1)),
    ("slot: word 4", |c| c.witness.ops[1].words[2] += num(1)),
    ("slot: balance", |c| c.witness.ops[0].balances[0] += num(1)),
    ("slot: receiver's balance", |c| {
        c.witness.ops[0].balances[1] += num(1);
    }),
    ("slot: operator's balance", |c| {
        c.witness.ops[0].balances[2] += num(1);
    }),
    ("slot: time of the header", |c| {
        c.witness.ops[1].times[0] ^= 1
    }),
    ("slot: time of the balance", |c| {
        c.witness.ops[1].times[1] ^= 1
    }),
    ("slot: time of the receiver's", |c| {
        c.witness.ops[1].times[2] ^= 1;
    }),
    ("slot: time of the operator's", |c| {
        c.witness.ops[1].times[3] ^= 1;
    }),
    ("slot: operator", |c| c.witness.operator ^= 1),
    ("H: word 0", |c| c.witness.records[0].words[0] += num(1)),
    ("H: word 1", |c| c.witness.records[0].words[1] += num(1)),
    ("H: word 2", |c| c.witness.records[0].words[2] += num(1)),
    ("H: word 3", |c| c.witness.records[0].words[3] += num(1)),
    ("H: word 4", |c| c.witness.records[0].words[4] += num(1)),
    ("row: account", |c| row_of(c, 1).account ^= 1),
    ("row: token", |c| row_of(c, 1).token ^= 1),
    // With its leaf among the children shown: the node after the batch stays as it was.
    ("row: old header", |c| {
        let row = row_of(c, 1);
        row.headers[0].key.x += num(1);
        let tokens = hash_node(&row.token_path[2]);
        row.account_path[0][1] = row.headers[0].leaf(tokens);
    }),
    ("row: old balance", |c| row_of(c, 1).balances[0] += num(1)),
    ("row: new key", |c| row_of(c, 1).headers[1].key.y += num(1)),
    ("row: new nonce", |c| {
        row_of(c, 1).headers[1].nonce += num(1)
    }),
    ("row: new balance", |c| row_of(c, 1).balances[1] += num(1)),
    ("row: time of the header", |c| row_of(c, 1).header_time ^= 1),
    ("row: time of the balance", |c| row_of(c, 1).time ^= 1),
    ("top: flag", |c| c.witness.top[3].touched ^= true),
    // The hashes of the top are those under the roots in H.
    ("top: root", |c| c.witness.roots[1] += num(1)),
];

/// The square of beta, for gamma: it moves if gamma does.
fn gamma(circuit: RollupCircuit, without: Option<Mutation>) -> Scalar {
    const NAME: &str = "bus/powers/beta^2/value/num";
    match without {
        None => System::value_in(circuit, NAME),
        Some(without) => System::value_in(weakened(circuit, without), NAME),
    }
}

/// The parts that leave gamma as it was.
fn unbound(without: Option<Mutation>) -> Vec<&'static str> {
    let before = gamma(honest(), without);
    let stays = |(_, change): &&Change| gamma(after(change), without) == before;
    let parts = PARTS.par_iter().filter(stays);
    parts.map(|(name, _)| *name).collect()
}

/// A prover must not be able to choose a part of a tuple once gamma is known.
#[test]
fn every_part_of_a_tuple_changes_gamma() {
    assert_eq!(unbound(None), Vec::<&str>::new());
    // And this test would see it: without the challenge hash nothing binds the key.
    let (name, change) = &PARTS[5];
    assert_eq!(*name, "slot: key x");
    let hash = Some(Mutation::Absorbed("slot digest"));
    assert_eq!(gamma(after(change), hash), gamma(honest(), hash));
}

/// Only the bus refuses these; each needs one part of a tuple.
fn forgeries() -> Vec<(Mutation, RollupCircuit)> {
    let part = Mutation::Part;
    let transfer_and = |lie: fn(&mut HeaderWitness)| {
        built(&[transfer(1, 2, 300)], |t| {
            lie(&mut t.headers.get_mut(&1).unwrap().after);
        })
    };
    let two = [withdraw(1, 10), withdraw(2, 20)];
    let mut all = vec![
        (part("header", "key x"), transfer_and(|h| h.key.x += num(1))),
        (part("header", "key y"), transfer_and(|h| h.key.y += num(1))),
        (part("header", "nonce"), transfer_and(|h| h.nonce += num(1))),
        (part("header", "owner"), transfer_and(|h| h.owner += num(1))),
        (
            part("header", "time"),
            after(|c| c.witness.ops[1].times[0] = 1),
        ),
        (
            part("cell", "time"),
            after(|c| c.witness.ops[1].times[1] = 1),
        ),
        (
            part("cell", "balance"),
            built(&[transfer(1, 2, 300)], |t| {
                t.cells.get_mut(&(2, 0)).unwrap().after += num(1);
            }),
        ),
        (
            part("record", "address"),
            built(&two, |t| t.records.swap(0, 1)),
        ),
    ];
    for (word, name) in ["word 0", "word 1", "word 2", "word 3", "word 4"]
        .into_iter()
        .enumerate()
    {
        let forged = built(&two, |t| t.records[1][word] += num(1));
        all.push((part("record", name), forged));
    }
    all.extend([
        (part("header", "address"), anothers_header()),
        (part("cell", "address"), anothers_balance()),
        (part("top", "address"), anothers_subtree()),
        (part("top", "node before"), invented_subtree()),
        (
            part("top", "node after"),
            after(|c| {
                let top = &mut c.witness.top;
                let touched = |n: &carillon_circuit::rollup::TopWitness| {
                    n.touched && n.nodes[0] != n.nodes[1]
                };
                let node = top.iter().position(touched).unwrap();
                top[node].nodes[1] = top[node].nodes[0];
                c.witness.roots[1] = hash_node(&[0, 1, 2, 3].map(|j| top[j].nodes[1]));
            }),
        ),
        (Mutation::Tag, a_record_for_a_header()),
    ]);
    all
}

/// Account 1's balance is spent with account 2's key: the slot reads account 2's header.
fn anothers_header() -> RollupCircuit {
    let state = State::new();
    let mut tracer = Tracer::new(&state, CHAIN, BATCH, OPERATOR);
    let header = tracer.header(2);
    let mut op = transfer(1, 2, 300);
    sign(&mut op, &header, secret(2), CHAIN);
    tracer.push(op);
    let mut trace = tracer.finish();
    trace.ops[0].header = header;
    let mut used = Touched::untouched(header);
    (used.after.nonce, used.time) = (header.nonce + num(1), 1);
    trace.headers.insert(2, used);
    let mut whole = trace.headers[&1];
    (whole.after, whole.time) = (whole.before, 0);
    trace.headers.insert(1, whole);
    circuit(&state, &trace)
}

/// Account 1 spends what account 3 has.
fn anothers_balance() -> RollupCircuit {
    built(&[transfer(1, 2, 300)], |t| {
        let mut theirs = t.cells[&(1, 0)];
        (theirs.before, theirs.after) = (num(1003), num(1003 - 305));
        t.ops[0].balances[0] = num(1003);
        t.cells.insert((3, 0), theirs);
        let mut ours = t.cells[&(1, 0)];
        (ours.after, ours.time) = (ours.before, 0);
        t.cells.insert((1, 0), ours);
    })
}

/// What lies below one node of the top is opened as if it lay below another: account 1 as account 5.
fn anothers_subtree() -> RollupCircuit {
    let state = State::new();
    let mut tracer = Tracer::new(&state, CHAIN, BATCH, OPERATOR);
    let header = tracer.header(1);
    let mut op = transfer(1, OPERATOR, 300);
    tracer.push(op.clone());
    let shape = Shape::with_top(4, 2, 4, DEPTH, 1).unwrap();
    let mut forged = build(shape, &state, &tracer.finish()).unwrap();
    op.from = 5;
    sign(&mut op, &header, secret(1), CHAIN);
    let slot = &mut forged.witness.ops[0];
    (slot.from, slot.r, slot.s) = (5, op.r, op.s);
    row_of(&mut forged, 1).account = 5;
    forged.evaluate_at(z())
}

/// The rows open a subtree in which account 1 is rich; the top before the batch is the true one.
fn invented_subtree() -> RollupCircuit {
    let state = State::new();
    let rich = State::with(|_, balances| {
        balances.insert((1, 0), num(5_000_000));
    });
    let trace = traced(&rich, &[transfer(1, 2, 300)]);
    let mut forged = circuit(&rich, &trace);
    let truth = circuit(&state, &traced(&state, &[transfer(1, 2, 300)]));
    for (node, honest) in forged.witness.top.iter_mut().zip(&truth.witness.top) {
        node.nodes[0] = honest.nodes[0];
    }
    forged.witness.roots[0] = truth.witness.roots[0];
    forged.evaluate_at(z())
}

/// H takes account 7's opened header, all zeros, for its record 7; the true record 7, a withdrawal,
/// becomes the header that account 7 is closed with.
fn a_record_for_a_header() -> RollupCircuit {
    let state = State::new();
    let mut ops = vec![deposit(2, 1, owner(2)); 7];
    ops.push(withdraw(1, 10));
    let mut trace = traced(&state, &ops);
    let [word0, amount, recipient, nonce, by] = trace.records[7];
    trace.records[7] = [ZERO; 5];
    let mut header = Touched::untouched(HeaderWitness::UNUSED);
    header.after = HeaderWitness {
        key: Point {
            x: amount,
            y: recipient,
        },
        nonce,
        owner: by,
    };
    assert_eq!(word0, num(3 | 1 << 4));
    header.time = 3 | 1 << 4;
    trace.headers.insert(UNUSED, header);
    trace.cells.insert((UNUSED, 0), Touched::untouched(ZERO));
    let shape = Shape::with_top(8, 7, 8, DEPTH, 1).unwrap();
    build(shape, &state, &trace).unwrap().evaluate_at(z())
}

/// Whether a circuit accepts, without a part of its memory argument.
fn accepted_without(circuit: &RollupCircuit, without: Mutation) -> bool {
    let weakened = weakened(circuit.clone(), without);
    carillon_runtime::groth16::synthesize(weakened).is_ok()
}

#[test]
fn every_part_of_a_tuple_is_needed() {
    let all = forgeries();
    let named: BTreeSet<Mutation> = all.iter().map(|(mutation, _)| *mutation).collect();
    let tuples = |m: &Mutation| matches!(m, Mutation::Part(..) | Mutation::Tag);
    let expected: BTreeSet<Mutation> = Mutation::ALL.into_iter().filter(tuples).collect();
    assert_eq!(named, expected);
    all.par_iter().for_each(|(mutation, forged)| {
        let name = violated(forged.clone());
        assert_eq!(name.as_deref(), Some(BUS), "{mutation:?}");
        assert!(accepted_without(forged, *mutation), "{mutation:?}");
    });
}

/// Mutations that nothing can notice, and why.
const EXPLAINED: [(Mutation, &str); 1] = [(
    Mutation::Commitment("C_B"),
    "every bit of a slot is in its challenge hash, too, which C_M holds: C_B in gamma is a second lock",
)];

/// `make mutants`: every value that gamma is drawn from and every part of a tuple.
#[test]
#[ignore = "leaves out each value and each part in turn; `make mutants` runs it"]
fn no_value_and_no_part_can_be_left_out() {
    let forgeries = forgeries();
    let noticed = |mutation: Mutation| match mutation {
        Mutation::Commitment(_) | Mutation::Absorbed(_) => !unbound(Some(mutation)).is_empty(),
        Mutation::Tag | Mutation::Part(..) => {
            let mut forged = forgeries.iter().filter(|(of, _)| *of == mutation);
            forged.any(|(_, forged)| accepted_without(forged, mutation))
        }
    };
    let mut wrong = Vec::new();
    for mutation in Mutation::ALL {
        let reason = EXPLAINED.iter().find(|(of, _)| *of == mutation);
        let seen = noticed(mutation);
        let how = if seen { "noticed" } else { "not noticed" };
        println!("{mutation:?}: {how} {}", reason.map_or("", |(_, why)| why));
        if seen == reason.is_some() {
            wrong.push(mutation);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
