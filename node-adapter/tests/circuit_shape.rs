//! Size and identity of the circuit: the figures of the README, the independence of
//! the structure from the witness, and the pin between version and constraints.

#![allow(clippy::unwrap_used, reason = "helpers of a test file")]

use bellpepper_core::Circuit;
use bellpepper_core::test_cs::TestConstraintSystem;
use blstrs::Scalar;
use carillon_node::batch::{Owner, Transfer};
use carillon_node::circuit::{
    BatchBuilder, BatchCircuit, Shape, ShapeError, VERSION, digest, stats,
};
use carillon_node::crypto::schnorr::SecretKey;
use carillon_node::state::{Account, State};

#[test]
fn a_transfer_costs_less_than_twenty_thousand_constraints() {
    let mut domains = Vec::new();
    for slots in [1, 2, 3, 4, 8] {
        let stats = stats(Shape::production(slots).unwrap()).unwrap();
        assert_eq!(
            stats.constraints,
            slots * stats.per_transfer + stats.per_batch()
        );
        assert_eq!((stats.per_transfer, stats.inputs), (18_697, 4));
        domains.push(stats.domain_log2());
    }
    assert_eq!(domains, [15, 16, 16, 17, 18]);
    let shown = stats(Shape::production(1).unwrap()).unwrap().to_string();
    for line in [
        "   19591  constraints, domain 2^15",
        "   18697  constraints a transfer",
        "        6984  sender update: path",
        "        1403  signature: c PK",
        "     894  constraints once a batch",
    ] {
        assert!(
            shown.lines().any(|l| l == line),
            "{line} is not in\n{shown}"
        );
    }
}

#[test]
fn structure_does_not_depend_on_the_witness() {
    let shape = Shape::new(2, 2).unwrap();
    let key = SecretKey::from_seed(&[1; 32]);
    let account = Account::new(*key.public(), Owner([7; 20]), 100);
    let state = State::genesis(2, vec![account; 3]).unwrap();
    let mut builder = BatchBuilder::new(shape, 9, 4, &state).unwrap();
    let order = Transfer {
        chain_id: 9,
        from: 1,
        to: 2,
        amount: 40,
        fee: 2,
        nonce: 0,
    };
    builder.push(&order.sign(&key)).unwrap();
    let filled = builder.finish().unwrap().circuit;

    let synthesise = |circuit: BatchCircuit| {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        circuit.synthesize(&mut cs).unwrap();
        assert!(cs.is_satisfied());
        cs
    };
    let (filled, blank) = (synthesise(filled), synthesise(BatchCircuit::blank(shape)));
    assert_eq!(filled.hash(), blank.hash());
    let stats = stats(shape).unwrap();
    assert_eq!(stats.constraints, blank.num_constraints());
    assert_eq!(stats.witness, blank.scalar_aux().len());
}

#[test]
fn the_version_is_pinned_to_the_constraints() {
    // If this fails, the constraints have changed: raise `circuit::VERSION`, so that
    // no stored key is used with them, and put the new digest here.
    let digest = digest(Shape::new(2, 2).unwrap()).unwrap().to_string();
    assert_eq!(
        (VERSION, digest.as_str()),
        (
            1,
            "4f928be4a13497faee12c4c4e864fe8010275d03e3d405750f973138d51918f5"
        )
    );
}

#[test]
fn names_and_digests_tell_shapes_apart() {
    let shapes = [Shape::new(1, 2), Shape::new(2, 2), Shape::new(1, 3)].map(Result::unwrap);
    assert_eq!(shapes[1].id(), "transfer-v1-n2-d2");
    let digests = shapes.map(|shape| digest(shape).unwrap());
    assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
    assert_eq!(digest(shapes[0]).unwrap(), digests[0]);
}

#[test]
fn shapes_out_of_range_are_refused() {
    assert_eq!(Shape::new(0, 12), Err(ShapeError::Slots { slots: 0 }));
    assert_eq!(
        Shape::new(1 << 17, 12),
        Err(ShapeError::Slots { slots: 1 << 17 })
    );
    assert_eq!(Shape::new(1, 0), Err(ShapeError::Depth { depth: 0 }));
    assert_eq!(Shape::new(1, 17), Err(ShapeError::Depth { depth: 17 }));
}
