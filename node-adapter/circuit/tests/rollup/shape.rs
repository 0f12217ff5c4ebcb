//! Size and identity of the rollup circuit: the figures of its page, the independence
//! of the structure from the witness, and the pin between version and constraints.

use bellpepper_core::test_cs::TestConstraintSystem;
use blstrs::Scalar;
use carillon_circuit::rollup::{
    RollupCircuit, Shape, ShapeError, Stats, VERSION, build, digest, stats,
};

use super::scenes::{self, State, all_kinds, for_all_kinds, z};

fn part(parts: &[carillon_circuit::rollup::Part], name: &str) -> usize {
    let part = parts.iter().find(|part| part.name == name);
    part.unwrap_or_else(|| panic!("no part {name}")).constraints
}

fn production(slots: usize, cells: usize, records: usize) -> Stats {
    stats(Shape::production(slots, cells, records).unwrap()).unwrap()
}

#[test]
fn a_transfer_costs_less_than_eight_thousand_constraints() {
    // A quarter of the 2,048 account touches of 1,024 transfers are distinct.
    let stats = production(1024, 512, 64);
    assert_eq!(stats.shape.id(), "rollup-v3-n1024-a512-d64-h12-k5");
    assert!(stats.per_transfer() <= 8000, "{}", stats.per_transfer());
    assert_eq!((stats.constraints, stats.inputs), (7_593_250, 5));
    for (name, constraints) in [
        ("signature: c PK", 1403),
        ("signature: s G", 750),
        ("signature: challenge hash", 459),
        ("signature: challenge", 389),
        ("signature: s", 252),
        ("fields", 134),
        ("can pay", 97),
        ("bus", 32),
        ("new header", 30),
        ("age 0", 13),
        ("amount rules", 7),
        ("words", 8),
    ] {
        assert_eq!(part(&stats.slot_parts, name), constraints, "{name}");
    }
    for (name, constraints) in [
        ("opening: account path", 7 * 582),
        ("opening: token path", 3 * 582),
        ("opening: leaf before", 288),
        ("opening: leaf after", 288),
        ("opening: old owner", 160),
        ("order", 43),
        ("bus", 19),
    ] {
        assert_eq!(part(&stats.cell_parts, name), constraints, "{name}");
    }
    // 4 values a slot, 3 a row, and the flags of the top, 24 to a hash.
    let hashes = [4 * 1024 + 3 * 512 + 5, 235, 10].map(|values: usize| values.div_ceil(24));
    assert_eq!(
        part(&stats.batch_parts, "memory commitment"),
        777 * hashes.iter().sum::<usize>()
    );
    assert_eq!(part(&stats.batch_parts, "top"), 2 * 341 * 288 + 2 * 1024);
}

#[test]
fn structure_does_not_depend_on_the_witness() {
    let state = State::new();
    let shape = for_all_kinds(1);
    let filled = build(shape, &state, &all_kinds(&state))
        .unwrap()
        .evaluate_at(z());
    let mut cs = TestConstraintSystem::<Scalar>::new();
    scenes::into(&mut cs, filled.clone());
    assert!(cs.is_satisfied());
    let stats = stats(shape).unwrap();
    assert_eq!(stats.constraints, cs.num_constraints());
    assert_eq!(stats.witness, cs.scalar_aux().len());
    let filled = carillon_runtime::groth16::circuit_digest(filled).unwrap();
    let blank = carillon_runtime::groth16::circuit_digest(RollupCircuit::blank(shape)).unwrap();
    assert_eq!(filled, blank);
}

#[test]
fn the_version_is_pinned_to_the_constraints() {
    // If this fails, the constraints have changed: raise `rollup::VERSION`, so that no
    // stored key is used with them, and put the new digest here.
    let digest = digest(Shape::with_top(3, 4, 2, 2, 1).unwrap())
        .unwrap()
        .to_string();
    assert_eq!(
        (VERSION, digest.as_str()),
        (
            3,
            "427d7e19cbdfff896c9ab8ba8b042eb7aafb925e0ef35ad221740d66c9617bf0"
        )
    );
}

#[test]
fn names_and_digests_tell_shapes_apart() {
    let shapes = [
        Shape::with_top(2, 3, 1, 2, 1),
        Shape::with_top(3, 3, 1, 2, 1),
        Shape::with_top(2, 4, 1, 2, 1),
        Shape::with_top(2, 3, 2, 2, 1),
        Shape::with_top(2, 3, 1, 3, 1),
        Shape::with_top(2, 3, 1, 2, 2),
    ]
    .map(Result::unwrap);
    assert_eq!(shapes[0].id(), "rollup-v3-n2-a3-d1-h2-k1");
    let digests = shapes.map(|shape| (shape.id(), digest(shape).unwrap().to_string()));
    for (i, a) in digests.iter().enumerate() {
        for b in &digests[..i] {
            assert!(a.0 != b.0 && a.1 != b.1);
        }
    }
}

#[test]
fn the_top_is_the_cheapest_one() {
    for (slots, cells) in [(4, 1), (4, 9), (32, 60)] {
        let chosen = Shape::new(slots, cells, 1, 6).unwrap();
        let size = |top| {
            let shape = Shape::with_top(slots, cells, 1, 6, top).unwrap();
            stats(shape).unwrap().constraints
        };
        let least = (0..=4).min_by_key(|top| size(*top)).unwrap();
        assert_eq!(chosen.top(), least);
    }
}

#[test]
fn shapes_out_of_range_are_refused() {
    let new = |slots, cells, records, depth| Shape::new(slots, cells, records, depth).unwrap_err();
    assert_eq!(new(0, 1, 1, 12), ShapeError::Slots { slots: 0 });
    assert_eq!(new(8193, 1, 1, 12), ShapeError::Slots { slots: 8193 });
    assert_eq!(new(1, 1, 1, 0), ShapeError::Depth { depth: 0 });
    assert_eq!(new(1, 1, 1, 13), ShapeError::Depth { depth: 13 });
    let cells = |cells, most, depth| ShapeError::Cells { cells, most, depth };
    assert_eq!(new(1, 0, 1, 12), cells(0, 3 * 8192, 12));
    assert_eq!(new(1, 257, 1, 1), cells(257, 256, 1));
    assert_eq!(
        new(2, 1, 3, 12),
        ShapeError::Records {
            records: 3,
            slots: 2
        }
    );
    assert_eq!(
        new(2, 1, 0, 12),
        ShapeError::Records {
            records: 0,
            slots: 2
        }
    );
    let top = Shape::with_top(1, 1, 1, 2, 3).unwrap_err();
    assert_eq!(top, ShapeError::Top { top: 3, depth: 2 });
}

/// `cargo test ... --test rollup -- --ignored shape:: --nocapture`: the table of mixes.
#[test]
#[ignore = "prints the table of the page; takes a minute"]
fn table_of_mixes() {
    for (slots, cells) in [
        (256, 128),
        (1024, 256),
        (1024, 512),
        (1024, 1024),
        (1024, 2048),
        (4096, 2048),
    ] {
        let time = std::time::Instant::now();
        let stats = production(slots, cells, slots / 16);
        println!(
            "| {slots} | {cells} | {} | {} | 2^{} | {} | k {} in {:.1} s",
            slots / 16,
            stats.constraints,
            stats.domain_log2(),
            stats.per_transfer(),
            stats.shape.top(),
            time.elapsed().as_secs_f64()
        );
    }
}

/// `cargo test ... --test rollup -- --ignored shape:: --nocapture`: time of the witness.
#[test]
#[ignore = "prints the time of a batch of 1,024 transfers; takes a minute"]
fn witness_time() {
    let state = scenes::Wide::new();
    let shape = Shape::production(1024, 512, 64).unwrap();
    let trace = scenes::many_transfers(&state, 1024, 500);
    let time = std::time::Instant::now();
    let circuit = build(shape, &state, &trace).unwrap();
    println!("build {:?}", time.elapsed());
    let time = std::time::Instant::now();
    let circuit = circuit.evaluate_at(z());
    println!("public inputs {:?}", time.elapsed());
    let time = std::time::Instant::now();
    let violated = scenes::violated(circuit);
    println!("synthesis {:?}: {violated:?}", time.elapsed());
    assert_eq!(violated, None);
}
