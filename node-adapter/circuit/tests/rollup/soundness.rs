//! Attempts to cheat the rollup circuit: every forgery must leave a constraint
//! unsatisfied, and the one that stops it is named.
//!
//! Mutations change one value of an honest witness; forgeries are stronger: the
//! tracer and the builder recompute everything that follows from the lie (paths,
//! roots, commitments, values at z), so that only the check meant for it is left.

use bellpepper_core::test_cs::TestConstraintSystem;
use bellpepper_core::{Comparable, LinearCombination};
use blstrs::Scalar;
use carillon_circuit::rollup::{HeaderWitness, OpWitness, RollupCircuit, StateView, build};
use carillon_protocol::Domain;
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::poseidon::hash_node;
use ff::Field;
use jubjub::Fr;

use super::scenes::*;

pub const BUS: &str = "bus/everything written is read once";

#[test]
fn honest_batches_are_accepted() {
    let state = State::new();
    let everything = all_kinds(&state);
    for top in 0..=DEPTH {
        let circuit = build(for_all_kinds(top), &state, &everything)
            .unwrap()
            .evaluate_at(z());
        assert_eq!(violated(circuit), None, "top of {top} levels");
    }
    assert_eq!(violated(honest()), None);
    assert_eq!(violated(of(&[])), None);
    assert_eq!(
        violated(of(&[transfer(3, 3, 900), transfer(3, 3, 800)])),
        None
    );
    assert_eq!(violated(of(&[transfer(1, 2, 996)])), None);
}

#[test]
fn every_public_input_is_bound() {
    assert_eq!(violated(honest()), None);
    for (i, part) in [
        "header commitment is of H",
        "blob commitment is of B",
        "header value is H at z",
        "header value is H at z",
        "blob value is B at z",
    ]
    .into_iter()
    .enumerate()
    {
        for lie in [ZERO, num(1)] {
            let mut circuit = honest();
            let inputs = &mut circuit.public_inputs;
            *[
                &mut inputs.header_commitment,
                &mut inputs.blob_commitment,
                &mut inputs.z,
                &mut inputs.header_value,
                &mut inputs.blob_value,
            ][i] += lie + num(1);
            assert_stopped_by(circuit, part);
        }
    }
}

#[test]
fn data_of_another_batch_is_refused() {
    let (ours, theirs) = (honest(), of(&[transfer(1, 2, 301), withdraw(2, 100)]));
    assert_eq!(violated(theirs.clone()), None);
    let (a, b) = (ours.public_inputs, theirs.public_inputs);
    for i in 0..5 {
        let mut mixed = ours.clone();
        let inputs = &mut mixed.public_inputs;
        let part = match i {
            0 => {
                inputs.header_commitment = b.header_commitment;
                "header commitment is of H"
            }
            1 => {
                inputs.blob_commitment = b.blob_commitment;
                "blob commitment is of B"
            }
            2 => {
                inputs.header_value = b.header_value;
                "header value is H at z"
            }
            3 => {
                inputs.blob_value = b.blob_value;
                "blob value is B at z"
            }
            _ => {
                mixed.public_inputs = b;
                "header commitment is of H"
            }
        };
        assert_stopped_by(mixed, part);
    }
    assert_ne!(a, b);
    // Another point without its values.
    let mut moved = ours;
    moved.public_inputs.z = z() + num(1);
    assert_stopped_by(moved, "header value is H at z");
}

#[test]
fn public_inputs_are_in_the_order_of_the_contract() {
    let circuit = honest();
    let claimed = circuit.public_inputs.to_array();
    let assignment = carillon_runtime::groth16::synthesize(circuit).unwrap();
    assert_eq!(assignment.public_inputs(), claimed);
}

#[test]
fn every_field_of_an_operation_is_signed() {
    assert_eq!(violated(honest()), None);
    let lies: [fn(&mut OpWitness); 11] = [
        |op| op.from ^= 2,
        |op| op.to ^= 1,
        |op| op.token = 5,
        |op| op.fee_mantissa += 1,
        |op| op.fee_exponent = 1,
        |op| op.header.nonce += num(1),
        |op| op.header.owner += num(1),
        |op| op.header.key = public(secret(4)),
        |op| op.s[0] ^= 1,
        |op| op.s = [0; 32],
        |op| op.r = Point::IDENTITY,
    ];
    for lie in lies {
        for slot in 0..2 {
            let forged = after(|circuit| lie(&mut circuit.witness.ops[slot]));
            let name = violated(forged).expect("the forgery was accepted");
            let stopped = name.contains("signature/") || name.contains("of a transfer only");
            assert!(stopped, "stopped by {name}");
        }
    }
    // The amount: of a transfer by its field, of a withdrawal by the record.
    let forged = after(|c| {
        c.witness.ops[0].mantissa += 1;
        c.witness.ops[0].amount += num(1);
    });
    assert_stopped_by(forged, "op 0/signature");
    assert_stopped_by(
        after(|c| c.witness.ops[1].amount += num(1)),
        "op 1/signature",
    );
    assert_stopped_by(
        after(|c| c.witness.ops[1].words[0] += num(1)),
        "op 1/signature",
    );
    assert_stopped_by(
        after(|c| c.witness.ops[0].r.x += num(1)),
        "signature/R/on the curve",
    );
}

#[test]
fn kinds_cannot_be_exchanged() {
    for kind in (0..16).filter(|kind| *kind != 1) {
        let forged = after(|circuit| circuit.witness.ops[0].kind = kind);
        assert!(violated(forged).is_some(), "kind {kind}");
    }
}

/// There are 11 kinds, and four bits for them.
#[test]
fn there_are_no_other_kinds() {
    assert_stopped_by(of(&[op(11, 3, 0)]), "a no-op is all zeros");
    for kind in 12..16 {
        assert_stopped_by(of(&[op(kind, 3, 0)]), "no kinds above 11");
    }
    // The flags of kind 14 are those of a set key and of a return, less those of a deposit: signed and
    // recorded, and no key is set.
    let set_key = set_key(3, Fr::from(5));
    let mut forged = OpWitness {
        kind: 14,
        ..set_key.clone()
    };
    let state = State::new();
    let header = state.header(3);
    sign(&mut forged, &header, secret(3), CHAIN);
    let mut trace = traced(&state, &[set_key]);
    trace.ops[0] = OpWitness {
        r: forged.r,
        s: forged.s,
        kind: 14,
        ..trace.ops[0].clone()
    };
    trace.records[0][0] += num(14 - 6);
    trace.headers.get_mut(&3).unwrap().after.key = header.key;
    assert_stopped_by(circuit(&state, &trace), "no kinds above 11");
}

/// A change to an operation, and what refuses it.
type Lie = (fn(&mut OpWitness), &'static str);

#[test]
fn what_an_operation_reads_is_bound() {
    let lies: [Lie; 9] = [
        (|op| op.balances[0] += num(1), BUS),
        (|op| op.balances[1] += num(1), BUS),
        (|op| op.balances[2] += num(1), BUS),
        (|op| op.balances[0] = num(5_000_000), BUS),
        (|op| op.times[0] += 1, BUS),
        (|op| op.times[1] += 1, BUS),
        (|op| op.times[2] = 1, BUS),
        (|op| op.times[3] = 2, BUS),
        (|op| op.key_root = public(Fr::from(3)), ""),
    ];
    for (lie, part) in lies {
        let forged = after(|circuit| lie(&mut circuit.witness.ops[0]));
        if part.is_empty() {
            // Read by set key alone; another point on the curve changes nothing.
            assert_eq!(violated(forged), None);
        } else {
            assert_stopped_by(forged, part);
        }
    }
    assert_stopped_by(
        after(|c| c.witness.ops[0].key_root.x += num(1)),
        "new header/key root/on the curve",
    );
}

#[test]
fn what_a_row_opens_is_bound() {
    let cell = honest()
        .witness
        .cells
        .iter()
        .position(|c| (c.account, c.token) == (1, 0))
        .unwrap();
    let path = |i| format!("cell {i}/opening/");
    let lies: [fn(&mut carillon_circuit::rollup::CellWitness); 10] = [
        |row| row.headers[0].key.x += num(1),
        |row| row.headers[0].key.y += num(1),
        |row| row.headers[0].nonce += num(1),
        |row| row.headers[0].owner += num(1),
        |row| row.balances[0] += num(1),
        |row| row.token_path[0][0] += num(1),
        |row| row.token_path[1][0] += num(1),
        |row| row.token_path[2][3] += num(1),
        |row| row.account_path[0][1] += num(1),
        |row| row.token = 1,
    ];
    for lie in lies {
        let forged = after(|circuit| lie(&mut circuit.witness.cells[cell]));
        assert_stopped_by(forged, &path(cell));
    }
    // New values and times are not in the old tree: the bus or the next hash sees them.
    let lies: [fn(&mut carillon_circuit::rollup::CellWitness); 8] = [
        |row| row.headers[1].key.x += num(1),
        |row| row.headers[1].key.y += num(1),
        |row| row.headers[1].nonce += num(1),
        |row| row.headers[1].owner += num(1),
        |row| row.balances[1] += num(1),
        |row| row.header_time += 1,
        |row| row.time += 1,
        |row| row.time = 0,
    ];
    for lie in lies {
        let forged = after(|circuit| lie(&mut circuit.witness.cells[cell]));
        assert!(violated(forged).is_some());
    }
    // A sibling that is not on the path changes the hash at the top.
    let forged = after(|circuit| circuit.witness.cells[cell].account_path[0][3] += num(1));
    assert!(violated(forged).is_some());
}

#[test]
fn values_after_the_batch_are_those_written() {
    // Everything recomputed: only the bus is left.
    let ops = [transfer(1, 2, 300)];
    for account in [1, 2, OPERATOR] {
        let forged = built(&ops, |t| {
            t.cells.get_mut(&(account, 0)).unwrap().after += num(1)
        });
        assert_stopped_by(forged, BUS);
    }
    let lies: [fn(&mut HeaderWitness); 4] = [
        |header| header.nonce += num(1),
        |header| header.owner += num(1),
        |header| header.key = public(secret(2)),
        |header| header.key.y += num(1),
    ];
    for lie in lies {
        let forged = built(&ops, |t| lie(&mut t.headers.get_mut(&1).unwrap().after));
        assert_stopped_by(forged, BUS);
    }
    // An account that no operation touches.
    let forged = built(&ops, |t| {
        let mut cell = t.cells[&(1, 0)];
        (cell.before, cell.after, cell.time) = (num(1003), num(9999), 0);
        t.cells.insert((3, 0), cell);
    });
    assert_stopped_by(forged, BUS);
}

#[test]
fn rows_stand_in_order_each_once() {
    let increase = "addresses increase";
    let n = honest().witness.cells.len();
    for i in 1..n {
        assert_stopped_by(after(|c| c.witness.cells.swap(i - 1, i)), "/order/");
    }
    // Whole runs in another order: each opens what it opened before.
    let rows = honest().witness.cells;
    let run = rows
        .iter()
        .position(|row| row.account / 4 != rows[0].account / 4)
        .unwrap();
    assert_stopped_by(after(|c| c.witness.cells.rotate_left(run)), increase);
    for i in 0..n - 1 {
        let twice = after(|c| c.witness.cells[i + 1] = c.witness.cells[i].clone());
        assert_stopped_by(twice, increase);
    }
    // A cell opened twice with both outcomes: the second row would undo the first.
    let forged = after(|c| {
        let cells = &mut c.witness.cells;
        let i = cells
            .iter()
            .position(|c| (c.account, c.token) == (1, 0))
            .unwrap();
        let mut again = cells[i].clone();
        again.balances.swap(0, 1);
        cells[i + 1] = again;
    });
    assert!(violated(forged).is_some());
}

#[test]
fn an_account_has_one_header() {
    // Two tokens of one account: the header changes in the first row, and a second
    // header would let a nonce be used twice.
    let five = OpWitness {
        token: 5,
        ..transfer(1, 2, 10)
    };
    let honest = of(&[transfer(1, 2, 300), five]);
    assert_eq!(violated(honest.clone()), None);
    let second = honest
        .witness
        .cells
        .iter()
        .position(|c| (c.account, c.token) == (1, 5))
        .unwrap();
    assert_eq!(honest.witness.cells[second].headers[0].nonce, num(5));
    for (name, lie) in [
        ("nonce", (|h| h.nonce += num(1)) as fn(&mut HeaderWitness)),
        ("owner", |h| h.owner += num(1)),
        ("key x", |h| h.key.x += num(1)),
        ("key y", |h| h.key.y += num(1)),
    ] {
        let mut forged = honest.clone();
        lie(&mut forged.witness.cells[second].headers[1]);
        assert_stopped_by(
            forged.evaluate_at(z()),
            &format!("{name} changes in the first row"),
        );
        // Opening the header as it was before the first row.
        let mut forged = honest.clone();
        forged.witness.cells[second].headers[0].nonce = num(3);
        assert_stopped_by(forged.evaluate_at(z()), &format!("cell {second}/"));
    }
}

#[test]
fn later_writes_cannot_be_read() {
    // Both transfers of account 1; the first reads what the second leaves. Every value
    // written is read once, but one was read before it was written.
    let mut forged = of(&[transfer(1, 2, 300), transfer(1, 3, 100)]);
    assert_eq!(violated(forged.clone()), None);
    let ops = &mut forged.witness.ops;
    ops[1].balances[0] = num(1001);
    ops[1].times[1] = 0;
    ops[0].balances[0] = num(1001 - 105);
    ops[0].times[1] = 5;
    let row = forged
        .witness
        .cells
        .iter_mut()
        .find(|c| (c.account, c.token) == (1, 0))
        .unwrap();
    assert_eq!((row.balances[1], row.time), (num(1001 - 410), 5));
    row.time = 1;
    assert_stopped_by(forged.evaluate_at(z()), BUS);
}

#[test]
fn a_read_cannot_be_repeated() {
    // The second transfer spends the balance that the first has spent already.
    let mut forged = of(&[transfer(1, 2, 900), transfer(1, 3, 50)]);
    assert_eq!(violated(forged.clone()), None);
    let op = &mut forged.witness.ops[1];
    op.balances[0] = num(1001);
    op.times[1] = 0;
    assert_stopped_by(forged.evaluate_at(z()), BUS);
}

#[test]
fn no_touched_node_is_swallowed() {
    let node = honest()
        .witness
        .top
        .iter()
        .position(|n| n.touched && n.nodes[0] != n.nodes[1])
        .unwrap();
    let untouched = "an untouched node stays";
    assert_stopped_by(after(|c| c.witness.top[node].touched = false), untouched);
    // Dropping a subtree's outcome: the new root is that of the tree without it.
    let forged = after(|c| {
        let top = &mut c.witness.top;
        top[node].touched = false;
        top[node].nodes[1] = top[node].nodes[0];
        c.witness.roots[1] = hash_node(&[0, 1, 2, 3].map(|j| top[j].nodes[1]));
    });
    assert_stopped_by(forged, BUS);
    // The same with the flag left.
    let forged = after(|c| {
        let top = &mut c.witness.top;
        top[node].nodes[1] = top[node].nodes[0];
        c.witness.roots[1] = hash_node(&[0, 1, 2, 3].map(|j| top[j].nodes[1]));
    });
    assert_stopped_by(forged, BUS);
    // A node that no row opens, changed and claimed to be touched.
    let forged = after(|c| {
        let top = &mut c.witness.top;
        let other = top.iter().position(|node| !node.touched).unwrap();
        top[other].touched = true;
        top[other].nodes[1] += num(1);
        c.witness.roots[1] = hash_node(&[0, 1, 2, 3].map(|j| top[j].nodes[1]));
    });
    assert_stopped_by(forged, BUS);
    assert_stopped_by(after(|c| c.witness.top[0].nodes[0] += num(1)), "");
}

#[test]
fn state_roots_are_those_of_the_tree() {
    assert_stopped_by(
        after(|c| c.witness.roots[0] += num(1)),
        "old root is the state before",
    );
    assert_stopped_by(
        after(|c| c.witness.roots[1] += num(1)),
        "new root is the state after",
    );
    let lie = |c: &mut RollupCircuit| c.witness.roots[1] = c.witness.roots[0];
    assert_stopped_by(after(lie), "new root is the state after");
}

#[test]
fn fees_come_from_signed_operations() {
    let noop = OpWitness {
        fee_mantissa: 1,
        ..OpWitness::empty()
    };
    assert_stopped_by(of(&[noop]), "a no-op is all zeros");
    let paid = OpWitness {
        fee_mantissa: 1,
        ..deposit(2, 100, owner(2))
    };
    assert_eq!(violated(of(&[deposit(2, 100, owner(2))])), None);
    assert_stopped_by(of(&[paid]), "fee of a signed operation only");
    for field in [
        (|op| op.from = 1) as fn(&mut OpWitness),
        |op| op.to = 1,
        |op| op.token = 1,
        |op| op.mantissa = 1,
        |op| op.exponent = 1,
    ] {
        let mut noop = OpWitness::empty();
        field(&mut noop);
        assert_stopped_by(of(&[noop]), "a no-op is all zeros");
    }
    // Credited to another account than the one that H names.
    let forged = built(&[transfer(1, 2, 300)], |t| t.operator = 3);
    assert_stopped_by(forged, BUS);
}

#[test]
fn an_operation_has_the_fields_of_its_kind_only() {
    let part = "receiver and amount of a transfer only";
    assert_stopped_by(
        of(&[OpWitness {
            to: 3,
            ..withdraw(1, 10)
        }]),
        part,
    );
    assert_stopped_by(
        of(&[OpWitness {
            mantissa: 3,
            ..withdraw(1, 10)
        }]),
        part,
    );
    assert_stopped_by(
        of(&[OpWitness {
            exponent: 3,
            ..withdraw(1, 10)
        }]),
        part,
    );
    let one = num(1);
    assert_stopped_by(
        of(&[with_words(transfer(1, 2, 3), [one, ZERO, ZERO])]),
        "no word 2",
    );
    assert_stopped_by(
        of(&[with_words(withdraw(1, 3), [owner(1), one, ZERO])]),
        "no word 3",
    );
    assert_stopped_by(
        of(&[with_words(withdraw(1, 3), [owner(1), ZERO, one])]),
        "no word 4",
    );
    let mut key = set_key(1, Fr::from(5));
    key.words[0] = one;
    assert_stopped_by(of(&[key]), "no word 2");
    let mut key = set_key(1, Fr::from(5));
    key.amount = one;
    assert_stopped_by(of(&[key]), "no amount");
}

#[test]
fn a_withdrawal_has_a_recipient() {
    let to = |recipient| with_words(op(3, 1, 3), [recipient, ZERO, ZERO]);
    assert_eq!(violated(of(&[to(num(1))])), None);
    assert_stopped_by(of(&[to(ZERO)]), "a withdrawal has a recipient");
    // An exit and a bundle may have a zero there: L1 fills the one, and no keccak is the other.
    assert_eq!(violated(of(&[exit(1, 0, ZERO)])), None);
    let bundle = with_words(op(4, 3, 200), [ZERO, owner(3), ZERO]);
    assert_eq!(violated(of(&[bundle])), None);
}

#[test]
fn a_bundle_carries_its_owner() {
    let bundle = |owner| with_words(op(4, 3, 200), [num(0xb00d), owner, ZERO]);
    assert_eq!(violated(of(&[bundle(owner(3))])), None);
    let part = "word 3 of a bundle or a send is its owner";
    assert_stopped_by(of(&[bundle(owner(4))]), part);
    // A send, too: who sent is shown on the other chain, and what comes back goes to him.
    let send = |owner| OpWitness {
        words: [party(num(7)), owner, num(77)],
        ..send(3, 200)
    };
    assert_eq!(violated(of(&[send(owner(3))])), None);
    assert_stopped_by(of(&[send(owner(4))]), part);
    assert_stopped_by(of(&[send(ZERO)]), part);
}

#[test]
fn a_send_is_signed_and_paid() {
    let state = State::new();
    let honest = traced(&state, &[send(3, 200)]);
    assert_eq!(violated(circuit(&state, &honest)), None);
    assert_eq!(honest.cells[&(3, 0)].after, num(1003 - 200 - 5));
    for word in 0..3 {
        let mut forged = circuit(&state, &honest);
        forged.witness.ops[0].words[word] += num(1);
        let name = violated(forged).expect("the forgery was accepted");
        assert!(word == 1 || name.contains("signature/"), "{name}");
    }
    assert_stopped_by(of(&[send(3, 999)]), "can pay/fits its bits");
    let unpaid = built(&[send(3, 200)], |t| {
        t.cells.get_mut(&(3, 0)).unwrap().after += num(200);
    });
    assert_stopped_by(unpaid, BUS);
    let nonce = built(&[send(3, 200)], |t| {
        t.headers.get_mut(&3).unwrap().after.nonce -= num(1);
    });
    assert_stopped_by(nonce, BUS);
}

/// What was sent elsewhere comes to an account of the owner whom it was sent to, or opens one; it
/// brings no key, whatever stands in word 3.
#[test]
fn takes_and_returns_go_to_their_owner_and_set_no_key() {
    let state = State::new();
    for kind in [9, 10] {
        for account in [3, NEWCOMER, KEYLESS] {
            let arrival = arrival(kind, account, 60);
            let trace = traced(&state, std::slice::from_ref(&arrival));
            assert_eq!(violated(circuit(&state, &trace)), None);
            let header = trace.headers[&account];
            assert_eq!(header.after.key, header.before.key);
            assert_eq!(header.after.owner, owner(account));
            assert_eq!(header.after.nonce, header.before.nonce);

            let keyed = built(std::slice::from_ref(&arrival), |t| {
                let [_, x, y] = arrival.words;
                t.headers.get_mut(&account).unwrap().after.key = Point { x, y };
            });
            assert_stopped_by(keyed, BUS);
            let minted = built(std::slice::from_ref(&arrival), |t| {
                t.cells.get_mut(&(account, 0)).unwrap().after += num(1);
            });
            assert_stopped_by(minted, BUS);
            for word in 1..5 {
                let forged = built(std::slice::from_ref(&arrival), |t| {
                    t.records[0][word] += num(1);
                });
                assert_stopped_by(forged, BUS);
            }
        }
        let stranger = with_words(arrival(kind, 3, 60), [owner(4), party(owner(70)), num(77)]);
        assert_stopped_by(of(&[stranger]), "a deposit goes to its owner's account");
        let feeding = OpWitness {
            fee_mantissa: 1,
            ..arrival(kind, 3, 60)
        };
        assert_stopped_by(of(&[feeding]), "fee of a signed operation only");
    }
}

#[test]
fn amounts_are_what_the_field_says() {
    let amount = |mantissa, exponent, amount| OpWitness {
        mantissa,
        exponent,
        amount: num(amount),
        ..transfer(1, 2, 0)
    };
    assert_eq!(violated(of(&[amount(3, 2, 300)])), None);
    for (mantissa, exponent, value) in [
        (3, 2, 30),
        (3, 2, 301),
        (3, 3, 300),
        (300, 1, 300),
        (3, 2, 0),
    ] {
        let forged = of(&[amount(mantissa, exponent, value)]);
        assert_stopped_by(forged, "amount of a transfer is its field");
    }
}

#[test]
fn overspending_is_refused() {
    assert_eq!(violated(of(&[transfer(1, 2, 996)])), None);
    for amount in [997, 1001, 1002, (1 << 35) - 1] {
        assert_stopped_by(of(&[transfer(1, 2, amount)]), "can pay/fits its bits");
        assert_stopped_by(of(&[withdraw(1, amount)]), "can pay/fits its bits");
    }
    let greatest = OpWitness {
        mantissa: (1 << 35) - 1,
        exponent: 31,
        amount: num((1 << 35) - 1) * num(10).pow_vartime([31]),
        ..transfer(1, 2, 0)
    };
    assert_stopped_by(of(&[greatest]), "can pay/fits its bits");
}

#[test]
fn negative_amounts_are_refused() {
    // A withdrawal of -5 would mint 5; the record's amount cannot spell it.
    let negative = OpWitness {
        amount: -num(5),
        ..withdraw(1, 0)
    };
    assert_eq!(violated(of(&[withdraw(1, 5)])), None);
    assert!(violated(of(std::slice::from_ref(&negative))).is_some());
    // Even where the public inputs follow the bits that the circuit has.
    let mut forged = of(&[negative]);
    let low = Option::<Scalar>::from(Scalar::from_u64s_le(&[0xffff_ffff_ffff_fffc, 0, 0, 0]));
    forged.witness.records[0].words[1] = low.unwrap();
    assert_stopped_by(forged.evaluate_at(z()), BUS);
}

#[test]
fn records_are_those_of_the_operations() {
    let ops = [withdraw(1, 10), withdraw(2, 20)];
    let counted = "records are counted";
    assert_stopped_by(
        built(&ops, |t| {
            t.records.pop();
        }),
        counted,
    );
    assert_stopped_by(
        built(&ops, |t| t.records.push([num(3), num(9), ZERO, ZERO, ZERO])),
        counted,
    );
    assert_stopped_by(built(&ops, |t| t.records.swap(0, 1)), BUS);
    for word in 0..5 {
        assert_stopped_by(built(&ops, |t| t.records[1][word] += num(1)), BUS);
    }
    // A record of an operation that is not there, in place of one that is.
    assert_stopped_by(built(&ops, |t| t.records[1] = t.records[0]), BUS);
    // Flags with a gap.
    let mut gap = of(&ops);
    gap.witness.records.swap(1, 2);
    assert_stopped_by(gap.evaluate_at(z()), "records stand together");
}

#[test]
fn words_behind_the_last_record_move_the_value_at_z() {
    // The circuit leaves them free; the contract computes H at z with zeros there.
    let honest = honest();
    let mut forged = honest.clone();
    forged.witness.records[3].words[2] = num(1);
    let forged = forged.evaluate_at(z());
    assert_eq!(violated(forged.clone()), None);
    let (a, b) = (honest.public_inputs, forged.public_inputs);
    assert!(a.header_value != b.header_value && a.header_commitment != b.header_commitment);
}

#[test]
fn an_exit_pays_the_owner_everything_or_nothing() {
    let part = "an exit pays all or nothing";
    assert_eq!(violated(of(&[exit(5, 1005, owner(5))])), None);
    assert_eq!(violated(of(&[exit(5, 0, owner(4))])), None);
    assert_stopped_by(of(&[exit(5, 1005, owner(4))]), part);
    assert_stopped_by(of(&[exit(5, 1, owner(4))]), part);
    assert_stopped_by(of(&[exit(5, 1004, owner(5))]), part);
    assert_stopped_by(of(&[exit(5, 0, owner(5))]), part);
}

/// The leaf holds nonce + 2^32 owner. Split differently, the same leaf would have
/// another owner, and a forced exit would pay nothing.
#[test]
fn an_exit_cannot_be_dodged_by_another_split_of_the_leaf() {
    let state = State::new();
    let mut trace = traced(&state, &[exit(5, 1005, owner(5))]);
    assert_eq!(violated(circuit(&state, &trace)), None);
    let split = |header: &mut HeaderWitness| {
        header.nonce += num(1);
        header.owner -= num(1 << 32).invert().unwrap();
    };
    let header = trace.headers.get_mut(&5).unwrap();
    let leaf = header.before.leaf(ZERO);
    split(&mut header.before);
    split(&mut header.after);
    assert_eq!(header.before.leaf(ZERO), leaf);
    trace.ops[0].header = header.before;
    trace.ops[0].amount = ZERO;
    trace.records[0][1] = ZERO;
    trace.cells.get_mut(&(5, 0)).unwrap().after = num(1005);
    assert_stopped_by(circuit(&state, &trace), "selected child is the opened node");
}

#[test]
fn a_nonce_cannot_flow_into_the_owner() {
    // The last nonce is 2^32 - 1; one more would be nonce 0 of the next owner.
    let state = State::new();
    let mut trace = traced(&state, &[transfer(WORN, 2, 10)]);
    assert!(violated(circuit(&state, &trace)).is_some());
    let header = &mut trace.headers.get_mut(&WORN).unwrap().after;
    let leaf = header.leaf(ZERO);
    (header.nonce, header.owner) = (ZERO, header.owner + num(1));
    assert_eq!(header.leaf(ZERO), leaf);
    assert_stopped_by(circuit(&state, &trace), BUS);
    // An honest nonce, but in the leaf it is split differently.
    let mut trace = traced(&state, &[transfer(1, 2, 10)]);
    assert_eq!(violated(circuit(&state, &trace)), None);
    let header = &mut trace.headers.get_mut(&1).unwrap().after;
    header.nonce -= num(1);
    header.owner += num(1 << 32).invert().unwrap();
    assert_stopped_by(circuit(&state, &trace), BUS);
}

#[test]
fn deposits_go_to_their_owner() {
    assert_eq!(violated(of(&[deposit(2, 100, owner(2))])), None);
    assert_eq!(violated(of(&[deposit(UNUSED, 100, owner(2))])), None);
    let part = "a deposit goes to its owner's account";
    assert_stopped_by(of(&[deposit(2, 100, owner(3))]), part);
    let import = |by| OpWitness {
        kind: 5,
        ..deposit(2, 100, by)
    };
    assert_eq!(violated(of(&[import(owner(2))])), None);
    assert_stopped_by(of(&[import(owner(3))]), part);
    // With a key: it would take the account over.
    let key = public(Fr::from(99));
    let taken = with_words(op(2, 2, 100), [owner(3), key.x, key.y]);
    assert_stopped_by(of(&[taken]), part);
    // A deposit without a key leaves the key; with one it replaces it.
    let forged = built(&[deposit(2, 100, owner(2))], |t| {
        t.headers.get_mut(&2).unwrap().after.key = key;
    });
    assert_stopped_by(forged, BUS);
}

#[test]
fn keys_are_set_by_the_old_key() {
    let state = State::new();
    assert_eq!(violated(of(&[set_key(1, Fr::from(5))])), None);
    let mut batch = Batch::new(&state);
    batch.key(1, secret(2)).add(set_key(1, Fr::from(5)));
    assert_stopped_by(
        circuit(&state, &batch.trace()),
        "op 0/signature/x coordinates agree",
    );
    // Unsigned kinds bring no key by themselves.
    let mut sneaky = exit(1, 1001, owner(1));
    let key = public(Fr::from(5));
    (sneaky.words[1], sneaky.words[2]) = (key.x, key.y);
    assert_stopped_by(of(&[sneaky]), "no word 3");
}

#[test]
fn new_keys_are_in_the_subgroup() {
    let with_key = |key: Point, root: Point| OpWitness {
        words: [ZERO, key.x, key.y],
        key_root: root,
        ..set_key(1, Fr::from(5))
    };
    let (good, root) = new_key(Fr::from(5));
    assert_eq!(violated(of(&[with_key(good, root)])), None);
    // A root outside the subgroup is welcome, its multiple by eight is inside.
    let order_two = Point {
        x: ZERO,
        y: -Scalar::ONE,
    };
    let mixed = |p: Point| Point {
        // Adding (0, -1) negates both coordinates.
        x: -p.x,
        y: -p.y,
    };
    assert!(mixed(root).is_on_curve());
    assert_eq!(violated(of(&[with_key(good, mixed(root))])), None);
    // The key itself outside the subgroup, for roots that a cheater might try.
    let bad = mixed(good);
    for root in [root, mixed(root), order_two, Point::IDENTITY] {
        assert_stopped_by(of(&[with_key(bad, root)]), "new key's");
    }
    // Each coordinate counts.
    let negated = [
        (Point { x: -good.x, ..good }, "new key's x"),
        (Point { y: -good.y, ..good }, "new key's y"),
    ];
    for (key, part) in negated {
        assert_stopped_by(of(&[with_key(key, root)]), part);
    }
    // The identity, as eight times anything of small order.
    for root in [order_two, Point::IDENTITY] {
        let forged = of(&[with_key(Point::IDENTITY, root)]);
        assert_stopped_by(forged, "a new key is not the identity");
    }
    // No point at all.
    let off = Point {
        x: num(1),
        y: num(1),
    };
    assert_stopped_by(of(&[with_key(good, off)]), "key root/on the curve");
}

#[test]
fn an_account_without_a_key_cannot_sign() {
    let state = State::new();
    let header = Batch::new(&state).tracer.header(KEYLESS);
    assert_eq!(header.key, Point { x: ZERO, y: ZERO });
    let points = [
        Point::IDENTITY,
        public(Fr::from(7)),
        Point {
            x: ZERO,
            y: -Scalar::ONE,
        },
    ];
    for r in points {
        for s in [Fr::zero(), Fr::from(7), -Fr::from(7)] {
            let mut op = transfer(KEYLESS, 2, 10);
            (op.r, op.s) = (r, s.to_bytes());
            let mut batch = Batch::new(&state);
            batch.tracer.push(op);
            assert_stopped_by(circuit(&state, &batch.trace()), "op 0/signature/");
        }
    }
}

#[test]
fn signatures_are_for_one_chain_and_one_nonce() {
    let state = State::new();
    let header = Batch::new(&state).tracer.header(1);
    let signed = |change: fn(&mut HeaderWitness), chain| {
        let mut claimed = header;
        change(&mut claimed);
        let mut op = transfer(1, 2, 300);
        sign(&mut op, &claimed, secret(1), chain);
        op
    };
    let with = |op: &OpWitness, times: usize| {
        let mut batch = Batch::new(&state);
        for _ in 0..times {
            batch.tracer.push(op.clone());
        }
        circuit(&state, &batch.trace())
    };
    let honest = signed(|_| (), CHAIN);
    assert_eq!(violated(with(&honest, 1)), None);
    assert_stopped_by(with(&honest, 2), "op 1/signature/");
    // Another chain, and the same one elsewhere: each end of the domain counts.
    for bit in [0, 63, 64, 126] {
        let other = Domain::from_number(CHAIN.number() ^ 1 << bit);
        assert_stopped_by(with(&signed(|_| (), other), 1), "op 0/signature/");
    }
    assert_stopped_by(
        with(&signed(|h| h.nonce += num(1), CHAIN), 1),
        "op 0/signature/",
    );
    assert_stopped_by(
        with(&signed(|h| h.nonce -= num(1), CHAIN), 1),
        "op 0/signature/",
    );
    assert_stopped_by(
        with(&signed(|h| h.owner += num(1), CHAIN), 1),
        "op 0/signature/",
    );
}

/// Points that agree in one coordinate are each other's negative, or the negative and the point of
/// order two.
#[test]
fn both_coordinates_of_a_signature_count() {
    let state = State::new();
    let header = Batch::new(&state).tracer.header(1);
    let (mut negated, mut shifted) = (transfer(1, 2, 300), transfer(1, 2, 300));
    sign(&mut negated, &header, secret(1), CHAIN);
    negated.s = (-Fr::from_bytes(&negated.s).unwrap()).to_bytes();
    let nonce = Fr::from(77);
    let r = public(nonce);
    // Adding (0, -1) negates both coordinates.
    shifted.r = Point { x: -r.x, y: -r.y };
    let c = challenge(challenge_hash(&shifted, &header, shifted.r, CHAIN));
    shifted.s = (-(nonce + c * secret(1))).to_bytes();
    for (op, part) in [
        (negated, "x coordinates agree"),
        (shifted, "y coordinates agree"),
    ] {
        let mut batch = Batch::new(&state);
        batch.tracer.push(op);
        assert_stopped_by(circuit(&state, &batch.trace()), part);
    }
}

#[test]
fn chain_number_and_operator_are_in_the_header() {
    let commitment = "header commitment is of H";
    let lies: [fn(&mut RollupCircuit); 3] = [
        |c| c.witness.batch_number += 1,
        |c| c.witness.operator += 1,
        |c| c.witness.batch_number = 0,
    ];
    for lie in lies {
        let mut circuit = honest();
        lie(&mut circuit);
        assert_stopped_by(circuit, commitment);
    }
    // Moved to another chain as a whole: the signatures do not follow.
    for bit in [0, 64, 126] {
        let other = Domain::from_number(CHAIN.number() ^ 1 << bit);
        assert_stopped_by(after(|c| c.witness.domain = other), "op 0/signature/");
    }
    // Another operator as a whole: the fees do not follow.
    assert_stopped_by(after(|c| c.witness.operator = 3), BUS);
    // domain + 2^128 with batch number - 1 is the same word; bits cannot spell it.
    let mut cs = TestConstraintSystem::<Scalar>::new();
    into(&mut cs, honest());
    for (bit, change) in [("domain/bit 127", num(2)), ("batch number/bit 0", -num(1))] {
        let name = format!("identity/{bit}/boolean");
        let honest = cs.get(&name);
        cs.set(&name, honest + change);
    }
    let name = cs.which_is_unsatisfied().unwrap();
    assert!(name.starts_with("identity/domain/bit 127"), "{name}");
}

#[test]
fn a_witness_of_another_shape_is_an_error_not_a_panic() {
    let lies: [fn(&mut RollupCircuit); 6] = [
        |c| {
            c.witness.ops.pop();
        },
        |c| {
            c.witness.cells.pop();
        },
        |c| {
            c.witness.records.pop();
        },
        |c| {
            c.witness.top.pop();
        },
        |c| {
            c.witness.cells[0].token_path.pop();
        },
        |c| {
            c.witness.cells[1].account_path.pop();
        },
    ];
    for lie in lies {
        let mut circuit = honest();
        lie(&mut circuit);
        assert!(matches!(
            carillon_runtime::groth16::synthesize(circuit),
            Err(carillon_runtime::groth16::Groth16Error::Synthesis(_))
        ));
    }
}

/// The prover's freedom, variable by variable: with all others fixed, no variable of
/// the witness can take another value. Exhaustive over a circuit with a transfer, a
/// set key, an exit and an empty slot.
#[test]
fn no_single_variable_can_be_changed() {
    let state = State::new();
    let ops = [
        transfer(1, 2, 300),
        set_key(1, Fr::from(5)),
        exit(5, 1005, owner(5)),
    ];
    let trace = traced(&state, &ops);
    let mut cs = TestConstraintSystem::<Scalar>::new();
    into(&mut cs, circuit(&state, &trace));
    assert!(cs.is_satisfied());
    let (inputs, mut aux) = (cs.scalar_inputs(), cs.scalar_aux());
    let constraints = Comparable::constraints(&cs);
    let mut used_by = vec![Vec::new(); aux.len()];
    for (i, (a, b, c, _)) in constraints.iter().enumerate() {
        for (variable, _) in [a, b, c].into_iter().flat_map(LinearCombination::iter_aux) {
            // A few constraints hold a variable each, and thousands hold one of the bus.
            if used_by[*variable].last() != Some(&i) {
                used_by[*variable].push(i);
            }
        }
    }
    let names = cs.aux();
    for variable in 0..aux.len() {
        let honest = aux[variable];
        for lie in [
            honest + Scalar::ONE,
            -honest - Scalar::from(3),
            Scalar::from(variable as u64),
        ] {
            if lie == honest {
                continue;
            }
            aux[variable] = lie;
            let noticed = used_by[variable].iter().any(|i| {
                let (a, b, c, _) = &constraints[*i];
                a.eval(&inputs, &aux) * b.eval(&inputs, &aux) != c.eval(&inputs, &aux)
            });
            assert!(
                noticed,
                "{} can be {lie} instead of {honest}",
                names[variable]
            );
        }
        aux[variable] = honest;
    }
}

/// All forgeries of this file, for the mutation run.
pub fn suite() {
    every_public_input_is_bound();
    data_of_another_batch_is_refused();
    every_field_of_an_operation_is_signed();
    kinds_cannot_be_exchanged();
    there_are_no_other_kinds();
    a_send_is_signed_and_paid();
    takes_and_returns_go_to_their_owner_and_set_no_key();
    what_an_operation_reads_is_bound();
    what_a_row_opens_is_bound();
    values_after_the_batch_are_those_written();
    rows_stand_in_order_each_once();
    an_account_has_one_header();
    later_writes_cannot_be_read();
    a_read_cannot_be_repeated();
    no_touched_node_is_swallowed();
    state_roots_are_those_of_the_tree();
    fees_come_from_signed_operations();
    an_operation_has_the_fields_of_its_kind_only();
    a_withdrawal_has_a_recipient();
    a_bundle_carries_its_owner();
    amounts_are_what_the_field_says();
    overspending_is_refused();
    negative_amounts_are_refused();
    records_are_those_of_the_operations();
    words_behind_the_last_record_move_the_value_at_z();
    an_exit_pays_the_owner_everything_or_nothing();
    an_exit_cannot_be_dodged_by_another_split_of_the_leaf();
    a_nonce_cannot_flow_into_the_owner();
    deposits_go_to_their_owner();
    keys_are_set_by_the_old_key();
    new_keys_are_in_the_subgroup();
    an_account_without_a_key_cannot_sign();
    signatures_are_for_one_chain_and_one_nonce();
    both_coordinates_of_a_signature_count();
    chain_number_and_operator_are_in_the_header();
}
