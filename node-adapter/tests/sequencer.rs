//! The sequencer from outside: what it refuses and why, that a refusal changes
//! nothing, and that what it seals satisfies the circuit and follows an
//! independent model of the balances.

#![allow(clippy::unwrap_used, reason = "helpers of a test file")]

use bellpepper_core::Circuit;
use bellpepper_core::test_cs::TestConstraintSystem;
use blstrs::Scalar;
use carillon_node::batch::{self, Owner, PublicInputs, SignedTransfer, Transfer};
use carillon_node::circuit::Shape;
use carillon_node::crypto::schnorr::SecretKey;
use carillon_node::sequencer::{Party, SealError, SealedBatch, Sequencer, SubmitError};
use carillon_node::state::{Account, State};
use proptest::prelude::*;

const CHAIN: u64 = 42;

fn key(i: u32) -> SecretKey {
    SecretKey::from_seed(&[i as u8 + 1; 32])
}

fn genesis(balances: &[u64]) -> Vec<Account> {
    let account = |(i, balance): (usize, &u64)| {
        Account::new(*key(i as u32).public(), Owner([i as u8; 20]), *balance)
    };
    balances.iter().enumerate().map(account).collect()
}

fn sequencer(slots: usize) -> Sequencer {
    let balances = [1000, 1000, 1000, u64::MAX];
    Sequencer::new(CHAIN, Shape::new(slots, 2).unwrap(), genesis(&balances)).unwrap()
}

fn order(from: u32, to: u32, amount: u64, fee: u64, nonce: u64) -> Transfer {
    Transfer {
        chain_id: CHAIN,
        from,
        to,
        amount,
        fee,
        nonce,
    }
}

fn sign(transfer: Transfer) -> SignedTransfer {
    transfer.sign(&key(transfer.from))
}

fn assert_satisfied(sealed: &SealedBatch) {
    let mut cs = TestConstraintSystem::<Scalar>::new();
    sealed.circuit.clone().synthesize(&mut cs).unwrap();
    assert_eq!(cs.which_is_unsatisfied(), None);
    assert_eq!(cs.scalar_inputs()[1..], sealed.public_inputs.to_array());
}

#[test]
fn refusals_name_their_cause_and_change_nothing() {
    let mut sequencer = sequencer(4);
    sequencer.submit(sign(order(0, 1, 10, 1, 0))).unwrap();
    let before = format!("{sequencer:?}");

    let other_signature = sign(order(0, 1, 11, 1, 1)).signature;
    let cases = [
        (
            sign(Transfer {
                chain_id: 43,
                ..order(0, 1, 10, 1, 1)
            }),
            SubmitError::WrongChain {
                expected: CHAIN,
                got: 43,
            },
        ),
        (sign(order(0, 1, 0, 1, 1)), SubmitError::ZeroAmount),
        (
            sign(order(0, 1, u64::MAX, 1, 1)),
            SubmitError::Overflow {
                amount: u64::MAX,
                fee: 1,
            },
        ),
        (
            sign(order(4, 1, 10, 1, 0)),
            SubmitError::UnknownAccount {
                index: 4,
                party: Party::Sender,
            },
        ),
        (
            sign(order(0, u32::MAX, 10, 1, 1)),
            SubmitError::UnknownAccount {
                index: u32::MAX,
                party: Party::Receiver,
            },
        ),
        (
            SignedTransfer {
                transfer: order(0, 1, 10, 1, 1),
                signature: other_signature,
            },
            SubmitError::BadSignature { account: 0 },
        ),
        (
            order(0, 1, 10, 1, 1).sign(&key(1)),
            SubmitError::BadSignature { account: 0 },
        ),
        (
            sign(order(0, 1, 10, 1, 0)),
            SubmitError::WrongNonce {
                expected: 1,
                got: 0,
            },
        ),
        (
            sign(order(0, 1, 10, 1, 2)),
            SubmitError::WrongNonce {
                expected: 1,
                got: 2,
            },
        ),
        (
            sign(order(0, 1, 985, 5, 1)),
            SubmitError::Overspend {
                account: 0,
                balance: 989,
                needed: 990,
            },
        ),
        (
            sign(order(0, 3, 1, 0, 1)),
            SubmitError::ReceiverOverflow {
                account: 3,
                balance: u64::MAX,
            },
        ),
    ];
    for (signed, expected) in cases {
        assert_eq!(sequencer.submit(signed), Err(expected));
        assert_eq!(format!("{sequencer:?}"), before, "{expected}");
    }
    assert!(sequencer.submit(sign(order(0, 1, 984, 5, 1))).is_ok());
}

#[test]
fn a_full_batch_refuses_until_it_is_sealed() {
    let mut sequencer = sequencer(1);
    sequencer.submit(sign(order(0, 1, 10, 1, 0))).unwrap();
    let next = sign(order(1, 0, 10, 1, 0));
    assert_eq!(
        sequencer.submit(next),
        Err(SubmitError::BatchFull { slots: 1 })
    );
    sequencer.seal().unwrap();
    assert!(sequencer.submit(next).is_ok());
}

#[test]
fn an_account_that_used_all_nonces_is_refused() {
    let mut accounts = genesis(&[1000, 1000]);
    accounts[0].nonce = u64::MAX;
    let shape = Shape::new(1, 2).unwrap();
    let mut sequencer = Sequencer::new(CHAIN, shape, accounts).unwrap();
    assert_eq!(
        sequencer.submit(sign(order(0, 1, 1, 0, u64::MAX))),
        Err(SubmitError::NonceExhausted { account: 0 })
    );
}

#[test]
fn nothing_is_sealed_without_transfers() {
    let mut sequencer = sequencer(2);
    let root = sequencer.state().root();
    assert!(matches!(sequencer.seal(), Err(SealError::Empty)));
    assert_eq!(
        (sequencer.state().root(), sequencer.batch_number()),
        (root, 1)
    );
}

#[test]
fn genesis_must_fit_the_tree() {
    let shape = Shape::new(1, 1).unwrap();
    assert!(Sequencer::new(CHAIN, shape, genesis(&[1; 4])).is_ok());
    let error = Sequencer::new(CHAIN, shape, genesis(&[1; 5])).unwrap_err();
    assert!(
        error.to_string().contains("5 accounts do not fit"),
        "{error}"
    );
}

#[test]
fn batches_follow_one_another_and_satisfy_the_circuit() {
    let mut sequencer = sequencer(2);
    let genesis_root = sequencer.state().root();
    let receipt = sequencer.submit(sign(order(0, 1, 10, 1, 0))).unwrap();
    assert_eq!((receipt.batch, receipt.position), (1, 0));
    let second = sequencer.submit(sign(order(1, 2, 1005, 5, 0))).unwrap();
    assert_eq!((second.batch, second.position), (1, 1));
    assert_ne!(receipt.id, second.id);

    let first = sequencer.seal().unwrap();
    assert_eq!((first.number, first.old_root), (1, genesis_root));
    assert_eq!(first.new_root, sequencer.state().root());
    assert_eq!(first.public_inputs.header, PublicInputs::header(CHAIN, 1));
    assert_satisfied(&first);

    let draft = sequencer.draft_transfer(0, 0, 5, 2).unwrap();
    assert_eq!(draft.nonce, 1);
    sequencer.submit(sign(draft)).unwrap();
    let padded = sequencer.seal().unwrap();
    assert_eq!((padded.number, padded.old_root), (2, first.new_root));
    assert_eq!(padded.data.len(), batch::DATA_BYTES);
    assert_satisfied(&padded);
    assert_eq!(sequencer.state().fees(), 8);
    assert_eq!(sequencer.account(0).unwrap().balance, 1000 - 11 - 2);
}

#[test]
fn the_state_can_be_rebuilt_from_the_public_data() {
    let balances = [1000, 1000, 1000, u64::MAX];
    let mut sequencer = sequencer(3);
    for signed in [
        order(0, 1, 10, 1, 0),
        order(1, 2, 900, 9, 0),
        order(0, 2, 1, 0, 1),
    ]
    .map(sign)
    {
        sequencer.submit(signed).unwrap();
    }
    let sealed = sequencer.seal().unwrap();

    // A reader who has the genesis and the 24-byte records only.
    let (mut accounts, mut fees) = (genesis(&balances), 0u128);
    for record in sealed.data.chunks(batch::DATA_BYTES) {
        let number = |range: std::ops::Range<usize>| {
            record[range]
                .iter()
                .fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let (fee, amount, to, from) = (number(0..8), number(8..16), number(16..20), number(20..24));
        accounts[from as usize].balance -= amount + fee;
        accounts[from as usize].nonce += 1;
        accounts[to as usize].balance += amount;
        fees += u128::from(fee);
    }
    let rebuilt = State::genesis(2, accounts).unwrap();
    let root = carillon_node::state::state_root(rebuilt.tree().root(), fees);
    assert_eq!(root, sealed.new_root);
    let packed = batch::decode_data(&sealed.data).unwrap();
    assert_eq!(
        batch::commit(&packed, 3),
        Ok(sealed.public_inputs.data_commitment)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random transfers, many of them not allowed, against a plain model of balances.
    #[test]
    fn money_is_conserved_and_the_model_agrees(
        orders in prop::collection::vec((0u32..5, 0u32..5, 0u64..700, 0u64..50, 0u64..2), 1..24),
        slots in 1usize..5,
    ) {
        let start = [1000u64, 500, 0, 200];
        let shape = Shape::new(slots, 2).unwrap();
        let mut sequencer = Sequencer::new(CHAIN, shape, genesis(&start)).unwrap();
        let (mut balances, mut nonces, mut fees) = (start, [0u64; 4], 0u64);
        for (from, to, amount, fee, ahead) in orders {
            let nonce = nonces.get(from as usize).copied().unwrap_or(0) + ahead;
            let allowed = from < 4 && to < 4 && amount > 0 && ahead == 0
                && balances[from as usize] >= amount + fee;
            if sequencer.pending().len() == slots {
                let sealed = sequencer.seal().unwrap();
                prop_assert_eq!(sealed.new_root, sequencer.state().root());
            }
            let result = sequencer.submit(sign(order(from, to, amount, fee, nonce)));
            prop_assert_eq!(result.is_ok(), allowed, "{:?}", result);
            if allowed {
                balances[from as usize] -= amount + fee;
                balances[to as usize] += amount;
                nonces[from as usize] += 1;
                fees += fee;
            }
        }
        if !sequencer.pending().is_empty() {
            sequencer.seal().unwrap();
        }
        let total: u64 = balances.iter().sum();
        prop_assert_eq!(total + fees, start.iter().sum::<u64>());
        prop_assert_eq!(sequencer.state().fees(), u128::from(fees));
        for (i, account) in sequencer.state().accounts().iter().enumerate() {
            prop_assert_eq!((account.balance, account.nonce), (balances[i], nonces[i]));
        }
        let rebuilt = State::genesis(2, sequencer.state().accounts().to_vec()).unwrap();
        prop_assert_eq!(rebuilt.tree().root(), sequencer.state().tree().root());
    }
}
