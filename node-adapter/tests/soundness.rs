//! Attempts to cheat the batch circuit: every forgery must leave a constraint
//! unsatisfied, and the one that stops it is named.
//!
//! Two kinds. Mutations change one value of an honest witness and leave the rest.
//! Forgeries are stronger: the builder recomputes everything that follows from the
//! lie (paths, roots, public inputs), so that only the check meant for it is left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test file")]

use bellpepper_core::test_cs::TestConstraintSystem;
use bellpepper_core::{Circuit, Comparable, LinearCombination};
use blstrs::Scalar;
use carillon_node::batch::{Owner, PublicInputs, SignedTransfer, Transfer};
use carillon_node::circuit::{AccountWitness, BatchBuilder, BatchCircuit, Shape, TransferWitness};
use carillon_node::crypto::jubjub::Point;
use carillon_node::crypto::schnorr::SecretKey;
use carillon_node::state::{Account, State};
use ff::Field;

const CHAIN: u64 = 0xca11;
const BATCH: u64 = 7;
const DEPTH: usize = 2;

/// The first constraint that a witness violates.
fn violated(circuit: BatchCircuit) -> Option<String> {
    let mut cs = TestConstraintSystem::<Scalar>::new();
    circuit.synthesize(&mut cs).unwrap();
    cs.which_is_unsatisfied().map(str::to_owned)
}

fn key(i: u8) -> SecretKey {
    SecretKey::from_seed(&[i; 32])
}

/// Accounts 0 to 4 with balances 1000, 1001, 1002, 1003 and the greatest possible one.
fn state() -> State {
    let account = |i: u8| {
        let balance = if i == 4 {
            u64::MAX
        } else {
            1000 + u64::from(i)
        };
        Account::new(*key(i).public(), Owner([i + 1; 20]), balance)
    };
    State::genesis(DEPTH, (0..5).map(account).collect()).unwrap()
}

fn transfer(from: u8, to: u8, amount: u64, fee: u64, nonce: u64) -> Transfer {
    Transfer {
        chain_id: CHAIN,
        from: from.into(),
        to: to.into(),
        amount,
        fee,
        nonce,
    }
}

fn sign(transfer: Transfer) -> SignedTransfer {
    transfer.sign(&key(transfer.from as u8))
}

/// The witness that the builder makes for transfers, allowed or not.
fn build(slots: usize, transfers: &[SignedTransfer]) -> BatchCircuit {
    let state = state();
    let shape = Shape::new(slots, DEPTH).unwrap();
    let mut builder = BatchBuilder::new(shape, CHAIN, BATCH, &state).unwrap();
    for signed in transfers {
        builder.push(signed).unwrap();
    }
    builder.finish().unwrap().circuit
}

fn honest() -> BatchCircuit {
    build(1, &[sign(transfer(1, 2, 300, 5, 0))])
}

/// Applies a lie to an honest one-slot batch and returns what it violates.
fn after(lie: impl FnOnce(&mut BatchCircuit)) -> Option<String> {
    let mut circuit = honest();
    lie(&mut circuit);
    violated(circuit)
}

/// Applies a lie to the slot of an honest one-slot batch.
fn after_in_slot(lie: impl FnOnce(&mut TransferWitness)) -> Option<String> {
    after(|circuit| lie(&mut circuit.slots[0]))
}

#[track_caller]
fn assert_stopped_by(violation: Option<String>, part: &str) {
    match violation {
        Some(name) => assert!(
            name.contains(part),
            "stopped by `{name}`, expected `{part}`"
        ),
        None => panic!("the forgery was accepted; `{part}` should have stopped it"),
    }
}

#[test]
fn honest_batches_are_accepted() {
    let two = [
        sign(transfer(1, 2, 300, 5, 0)),
        sign(transfer(2, 3, 1297, 5, 0)),
    ];
    let again = [
        sign(transfer(1, 2, 300, 5, 0)),
        sign(transfer(1, 3, 1, 0, 1)),
    ];
    let everything = [sign(transfer(0, 3, 990, 10, 0))];
    let to_oneself = [
        sign(transfer(3, 3, 1000, 3, 0)),
        sign(transfer(3, 3, 1000, 0, 1)),
    ];
    for transfers in [&two[..], &again, &everything, &to_oneself, &[]] {
        assert_eq!(violated(build(2, transfers)), None);
    }
    assert_eq!(
        violated(BatchCircuit::blank(Shape::new(2, DEPTH).unwrap())),
        None
    );
}

#[test]
fn a_transfer_to_oneself_costs_the_fee_only() {
    let state = state();
    let shape = Shape::new(1, DEPTH).unwrap();
    let mut builder = BatchBuilder::new(shape, CHAIN, BATCH, &state).unwrap();
    builder.push(&sign(transfer(3, 3, 1000, 3, 0))).unwrap();
    let built = builder.finish().unwrap();
    assert_eq!(violated(built.circuit), None);

    let mut expected = *state.account(3).unwrap();
    expected.balance = 1000;
    expected.nonce = 1;
    let mut draft = state.tree().draft();
    draft.set_leaf(3, expected.leaf()).unwrap();
    assert_eq!(built.accounts_root, draft.root());
}

#[test]
fn every_public_input_is_bound() {
    type Input = fn(&mut PublicInputs) -> &mut Scalar;
    let violations: [(Input, &str); 4] = [
        (
            |inputs| &mut inputs.old_root,
            "old root is the state before",
        ),
        (|inputs| &mut inputs.new_root, "new root is the state after"),
        (
            |inputs| &mut inputs.header,
            "header is chain id and batch number",
        ),
        (
            |inputs| &mut inputs.data_commitment,
            "data commitment is of these transfers",
        ),
    ];
    for (field, part) in violations {
        assert_stopped_by(after(|c| *field(&mut c.public_inputs) += Scalar::ONE), part);
        assert_stopped_by(after(|c| *field(&mut c.public_inputs) = Scalar::ZERO), part);
    }
}

#[test]
fn public_inputs_are_in_the_order_of_the_contract() {
    let circuit = honest();
    let claimed = circuit.public_inputs;
    let mut cs = TestConstraintSystem::<Scalar>::new();
    circuit.synthesize(&mut cs).unwrap();
    assert_eq!(cs.scalar_inputs()[0], Scalar::ONE);
    assert_eq!(cs.scalar_inputs()[1..], claimed.to_array());
    assert_eq!(claimed.header, PublicInputs::header(CHAIN, BATCH));
}

#[test]
fn chain_and_batch_number_are_bound_to_the_header() {
    let header = "header is chain id and batch number";
    assert_stopped_by(after(|c| c.chain_id += 1), "");
    assert_stopped_by(after(|c| c.batch_number += 1), header);
    // The header alone cannot be moved to another chain: its signatures do not follow.
    assert_stopped_by(
        after(|c| {
            c.chain_id += 1;
            c.public_inputs.header = PublicInputs::header(c.chain_id, c.batch_number);
        }),
        "transfer 0/signature",
    );
}

#[test]
fn a_header_cannot_be_split_in_a_second_way() {
    // chain id + 1 and batch number - 2^64 give the same header; the bits of the
    // batch number cannot spell a negative number.
    let circuit = honest();
    let mut cs = TestConstraintSystem::<Scalar>::new();
    circuit.synthesize(&mut cs).unwrap();
    let chain_bit = "chain id/bit 1/boolean";
    assert_eq!(cs.get(chain_bit), Scalar::ZERO);
    cs.set(chain_bit, Scalar::ONE);
    let weight = Scalar::from(2) * Scalar::from(2).pow_vartime([64]);
    let low = cs.get("batch number/bit 0/boolean");
    cs.set("batch number/bit 0/boolean", low - weight);
    let name = cs.which_is_unsatisfied().map(str::to_owned);
    assert_stopped_by(name, "batch number/bit 0/boolean constraint");
}

#[test]
fn state_before_is_bound_to_the_old_root() {
    let old_root = "old root is the state before";
    assert_stopped_by(after(|c| c.accounts_root += Scalar::ONE), old_root);
    assert_stopped_by(after(|c| c.fees += Scalar::ONE), old_root);
}

#[test]
fn every_field_of_the_order_is_signed_and_bound() {
    for lie in [
        (|slot| slot.from ^= 1) as fn(&mut TransferWitness),
        |slot| slot.to ^= 1,
        |slot| slot.amount += 1,
        |slot| slot.amount -= 1,
        |slot| slot.fee += 1,
        |slot| slot.fee = 0,
        |slot| std::mem::swap(&mut slot.from, &mut slot.to),
    ] {
        assert_stopped_by(after_in_slot(lie), "transfer 0/signature");
    }
    assert_stopped_by(
        after_in_slot(|slot| slot.enabled = false),
        "an empty slot has no fields",
    );
}

#[test]
fn the_signature_is_bound() {
    let signature = "transfer 0/signature";
    assert_stopped_by(after_in_slot(|slot| slot.s[0] ^= 1), signature);
    assert_stopped_by(after_in_slot(|slot| slot.s = [0; 32]), signature);
    assert_stopped_by(after_in_slot(|slot| slot.r.x = -slot.r.x), signature);
    assert_stopped_by(after_in_slot(|slot| slot.r = Point::IDENTITY), signature);
    assert_stopped_by(
        after_in_slot(|slot| slot.r.x += Scalar::ONE),
        "signature/R/on the curve",
    );
    assert_stopped_by(
        after_in_slot(|slot| slot.r.y += Scalar::ONE),
        "signature/R/on the curve",
    );
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let order = transfer(1, 2, 300, 5, 0);
    let forged = build(1, &[order.sign(&key(2))]);
    assert_stopped_by(violated(forged), "transfer 0/signature/x coordinates agree");
}

#[test]
fn a_signature_on_other_fields_is_refused() {
    let signed = sign(transfer(1, 2, 300, 5, 0));
    for order in [
        Transfer {
            to: 3,
            ..signed.transfer
        },
        Transfer {
            amount: 301,
            ..signed.transfer
        },
        Transfer {
            fee: 6,
            ..signed.transfer
        },
    ] {
        let forged = build(
            1,
            &[SignedTransfer {
                transfer: order,
                ..signed
            }],
        );
        assert_stopped_by(violated(forged), "transfer 0/signature");
    }
}

#[test]
fn a_signature_for_another_chain_is_refused() {
    let order = Transfer {
        chain_id: CHAIN + 1,
        ..transfer(1, 2, 300, 5, 0)
    };
    assert_stopped_by(violated(build(1, &[sign(order)])), "transfer 0/signature");
}

#[test]
fn replayed_skipped_and_old_nonces_are_refused() {
    let signed = sign(transfer(1, 2, 300, 5, 0));
    assert_stopped_by(
        violated(build(2, &[signed, signed])),
        "transfer 1/signature",
    );
    assert_stopped_by(
        violated(build(1, &[sign(transfer(1, 2, 300, 5, 1))])),
        "transfer 0/signature",
    );
}

#[test]
fn overspending_is_refused() {
    // Balances 1001: one unit too many, by amount and by fee; the builder's tree
    // holds the balance that has wrapped around in the field.
    for (amount, fee) in [
        (1002, 0),
        (1001, 1),
        (0, 1002),
        (u64::MAX, 0),
        (u64::MAX, u64::MAX),
    ] {
        let forged = build(1, &[sign(transfer(1, 2, amount, fee, 0))]);
        assert_stopped_by(violated(forged), "sender can pay/fits 64 bits");
    }
}

#[test]
fn a_balance_that_outgrows_64_bits_is_refused() {
    let forged = build(1, &[sign(transfer(1, 4, 1, 0, 0))]);
    assert_stopped_by(violated(forged), "receiver can hold/fits 64 bits");
}

#[test]
fn amounts_are_64_bit_numbers() {
    // An "amount" of -1 would take from the receiver; its bits cannot be spelled.
    for field in ["amount", "fee"] {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        honest().synthesize(&mut cs).unwrap();
        let bit = format!("transfer 0/order/{field}/bit 0/boolean");
        cs.set(&bit, -Scalar::ONE);
        assert!(
            cs.which_is_unsatisfied()
                .is_some_and(|name| name.starts_with(&bit))
        );
    }
}

#[test]
fn account_fields_cannot_be_invented() {
    let lies: [fn(&mut AccountWitness); 5] = [
        |account| account.balance += Scalar::from(1_000_000),
        |account| account.nonce += Scalar::ONE,
        |account| account.owner += Scalar::ONE,
        |account| account.key = key(9).public().coordinates(),
        |account| account.key.x = -account.key.x,
    ];
    for lie in lies {
        assert_stopped_by(after_in_slot(|slot| lie(&mut slot.sender)), "transfer 0/");
        assert_stopped_by(
            after_in_slot(|slot| lie(&mut slot.receiver)),
            "receiver update/path/level 0/selected child is the opened node",
        );
    }
    // With the siblings adjusted to the lie, the root no longer matches.
    let forged = after_in_slot(|slot| {
        slot.sender.owner += Scalar::ONE;
        slot.sender_path[0][1] = slot.sender.leaf();
        slot.sender_path[1][0] = carillon_node::crypto::poseidon::hash_node(&slot.sender_path[0]);
    });
    assert_stopped_by(forged, "sender update/account is in the tree");
}

#[test]
fn an_account_with_a_forged_key_cannot_be_drained() {
    // The thief signs correctly with his own key and claims that the victim's
    // account has that key.
    let state = state();
    let thief = key(9);
    let mut circuit = honest();
    let order = transfer(1, 2, 300, 5, 0);
    let signature = order.sign(&thief).signature;
    let slot = &mut circuit.slots[0];
    slot.sender.key = thief.public().coordinates();
    slot.r = signature.r();
    slot.s = signature.s();
    assert_eq!(state.account(1).unwrap().leaf(), slot.sender_path[0][1]);
    assert_stopped_by(
        violated(circuit),
        "sender update/path/level 0/selected child is the opened node",
    );
}

#[test]
fn paths_are_bound_at_every_level_and_position() {
    for level in 0..DEPTH {
        for child in 0..4 {
            let sender = after_in_slot(|s| s.sender_path[level][child] += Scalar::ONE);
            assert_stopped_by(sender, "transfer 0/sender update");
            let receiver = after_in_slot(|s| s.receiver_path[level][child] += Scalar::ONE);
            assert_stopped_by(receiver, "transfer 0/receiver update");
        }
    }
}

#[test]
fn the_receiver_is_opened_after_the_sender_was_charged() {
    // Opening the receiver in the tree before the charge would undo the charge.
    let before = state();
    let stale = before.tree().draft().path(2).unwrap();
    assert_stopped_by(
        after_in_slot(|slot| slot.receiver_path = stale),
        "receiver update/account is in the tree",
    );
    // The same by crediting the sender's old self in a transfer to itself.
    let mut circuit = build(1, &[sign(transfer(1, 1, 300, 5, 0))]);
    circuit.slots[0].receiver = circuit.slots[0].sender;
    circuit.slots[0].receiver_path = circuit.slots[0].sender_path.clone();
    assert_stopped_by(violated(circuit), "receiver update/account is in the tree");
}

#[test]
fn an_unregistered_account_cannot_take_part() {
    // Index 9 is empty; its leaf is zero, and no account hashes to zero.
    let empty = TransferWitness::empty(DEPTH);
    let path = state().tree().draft().path(9).unwrap();
    let forged = after_in_slot(|slot| {
        slot.to = 9;
        slot.receiver = empty.receiver;
        slot.receiver_path = path;
    });
    assert_stopped_by(forged, "transfer 0/");
}

#[test]
fn empty_slots_cannot_smuggle_anything() {
    let honest = || build(2, &[sign(transfer(1, 2, 300, 5, 0))]);
    assert_eq!(violated(honest()), None);
    let fields: [fn(&mut TransferWitness); 4] = [
        |s| s.from = 1,
        |s| s.to = 1,
        |s| s.amount = 1,
        |s| s.fee = 1,
    ];
    for lie in fields {
        let mut circuit = honest();
        lie(&mut circuit.slots[1]);
        assert!(violated(circuit).is_some());
    }
    // A fee from nowhere would mint money.
    let mut circuit = honest();
    circuit.slots[1].fee = 1;
    circuit.slots[1].sender.balance = Scalar::ONE;
    assert_stopped_by(violated(circuit), "an empty slot has no fields");
    // An empty slot that claims to be a transfer needs a registered account.
    let mut circuit = honest();
    circuit.slots[1].enabled = true;
    assert_stopped_by(
        violated(circuit),
        "transfer 1/sender update/account is in the tree",
    );
    // Accounts of an empty slot are free, but they move no root.
    let mut circuit = honest();
    circuit.public_inputs.new_root = circuit.public_inputs.old_root;
    assert_stopped_by(violated(circuit), "new root is the state after");
}

#[test]
fn a_transfer_after_an_empty_slot_is_refused() {
    let mut circuit = build(2, &[sign(transfer(1, 2, 300, 5, 0))]);
    circuit.slots.swap(0, 1);
    assert_stopped_by(
        violated(circuit),
        "transfer 1/order/no transfer after an empty slot",
    );
}

#[test]
fn transfers_cannot_be_dropped_or_reordered() {
    let transfers = [
        sign(transfer(1, 2, 300, 5, 0)),
        sign(transfer(2, 3, 10, 1, 0)),
    ];
    let both = build(2, &transfers);
    let first = build(2, &transfers[..1]);
    let mut dropped = both.clone();
    dropped.slots = first.slots;
    assert_stopped_by(violated(dropped), "new root is the state after");
    // The same two transfers in the other order reach the same balances, but the
    // commitment names the order.
    let mut reordered = build(2, &[transfers[1], transfers[0]]);
    assert_eq!(
        reordered.public_inputs.new_root,
        both.public_inputs.new_root
    );
    reordered.public_inputs = both.public_inputs;
    assert_stopped_by(violated(reordered), "data commitment is of these transfers");
}

#[test]
fn fees_are_collected_exactly() {
    let circuit = honest();
    let state = state();
    let mut draft = state.tree().draft();
    let mut sender = *state.account(1).unwrap();
    let mut receiver = *state.account(2).unwrap();
    (sender.nonce, sender.balance, receiver.balance) = (1, 1001 - 305, 1002 + 300);
    draft
        .set_leaves([(1, sender.leaf()), (2, receiver.leaf())])
        .unwrap();
    let with_fee = |fee| carillon_node::state::state_root(draft.root(), fee);
    assert_eq!(circuit.public_inputs.new_root, with_fee(5));
    for fee in [0, 4, 6] {
        assert_stopped_by(
            after(|c| c.public_inputs.new_root = with_fee(fee)),
            "new root is the state after",
        );
    }
}

#[test]
fn a_witness_of_another_shape_is_an_error_not_a_panic() {
    let mut short = honest();
    short.slots.clear();
    let mut shallow = honest();
    shallow.slots[0].sender_path.pop();
    for circuit in [short, shallow] {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        assert!(circuit.synthesize(&mut cs).is_err());
    }
}

/// The prover's freedom, variable by variable: with all others fixed, no variable
/// of the witness can take another value. Exhaustive over the circuit.
#[test]
fn no_single_variable_can_be_changed() {
    let mut cs = TestConstraintSystem::<Scalar>::new();
    build(2, &[sign(transfer(1, 2, 300, 5, 0))])
        .synthesize(&mut cs)
        .unwrap();
    let (inputs, mut aux) = (cs.scalar_inputs(), cs.scalar_aux());
    let constraints = Comparable::constraints(&cs);
    let mut used_by = vec![Vec::new(); aux.len()];
    for (i, (a, b, c, _)) in constraints.iter().enumerate() {
        for (variable, _) in [a, b, c].into_iter().flat_map(LinearCombination::iter_aux) {
            used_by[*variable].push(i);
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
