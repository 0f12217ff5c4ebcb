//! The two arithmetic views of the Verilated card, side by side: one command
//! stream, the same memory images and the same completions, cycle for cycle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers fail the test that calls them
#![cfg(feature = "rtl-structural")]

mod support;

use std::sync::Arc;

use blstrs::{G1Affine, G1Projective, Scalar};
use carillon_driver::command::{Command, Group, MsmMode, NttKind};
use carillon_driver::completion::Completion;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_sim::rtl::{RtlCard, RtlOptions, View};
use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;
use support::{RawHost, RawQueue, point_image, read, scalar_image, write};

const BASES: u64 = 0;
const SCALARS: u64 = 0x1_0000;
const OUT: u64 = 0x2_0000;
const SCRATCH: u64 = 0x3_0000;

/// Points of every kind, and scalars at the edges of the field.
fn operands() -> (Vec<u8>, Vec<u8>) {
    let g = G1Projective::from(G1Affine::generator());
    let points = [
        g,
        g,
        -g,
        G1Projective::from(G1Affine::identity()),
        g * Scalar::from(5),
        g + g,
    ];
    let scalars = [
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(0xdead_beef).square().square().square(),
        Scalar::from(77),
        Scalar::ZERO,
        -Scalar::from(1234).square(),
        Scalar::from(2).pow_vartime([200]),
        Scalar::ONE,
    ];
    (
        points
            .iter()
            .flat_map(|p| point_image(&p.to_affine()))
            .collect(),
        scalars.iter().flat_map(scalar_image).collect(),
    )
}

/// What one view answers: every completion, and what each command left in card memory.
fn run(view: View) -> Vec<(Completion, Vec<u8>)> {
    let options = RtlOptions {
        view,
        ..RtlOptions::default()
    };
    let card = Arc::new(RtlCard::new(options).unwrap());
    let host = RawHost::new(Arc::clone(&card) as Arc<dyn Transport>, 1 << 20);
    let mut queue = RawQueue::new(&host, 1, 3);
    let area = host.allocate(4096);
    let (bases, scalars) = operands();
    for (address, data) in [(BASES, bases), (SCALARS, scalars)] {
        host.memory.write(area, &data).unwrap();
        let bytes = data.len().next_multiple_of(64) as u64;
        let command = write(1, host.address(area), address, bytes);
        queue.expect(&command, StatusCode::Success);
    }
    let ntt = |source, destination, inverse| Command::Ntt {
        source,
        destination,
        scratch: SCRATCH,
        log2n: 3,
        kind: NttKind {
            inverse,
            coset: true,
            odd: false,
        },
    };
    let commands = [
        (ntt(SCALARS, OUT, false), 256),
        (ntt(OUT, OUT + 0x1000, true), 256),
        (
            Command::Quotient {
                a: SCALARS,
                b: OUT,
                c: SCALARS,
                destination: OUT,
                n: 7,
                z: SCALARS + 64,
            },
            224,
        ),
        (
            Command::Msm {
                group: Group::G1,
                bases: BASES,
                scalars: SCALARS,
                n: 6,
                result: OUT,
                window_bits: 5,
                mode: MsmMode::Split,
            },
            192,
        ),
    ];
    let outcome = commands
        .iter()
        .zip(4..)
        .map(|((command, bytes), cid)| {
            let done = queue.expect(&command.encode(cid), StatusCode::Success);
            let at = match command {
                Command::Ntt { destination, .. } => *destination,
                _ => OUT,
            };
            let padded = u64::next_multiple_of(*bytes, 64);
            let back = read(3, host.address(area), at, padded);
            queue.expect(&back, StatusCode::Success);
            (done, host.bytes(area, *bytes as usize))
        })
        .collect();
    let simulated = card.simulated();
    println!(
        "{view:?}: {simulated:?}, {:.0} cycles/s",
        simulated.cycles_per_second()
    );
    outcome
}

#[test]
fn views_agree_in_value_and_in_cycles() {
    let fast = run(View::Fast);
    let structural = run(View::Structural);
    assert!(fast.iter().all(|(done, _)| done.cycles > 0));
    assert_eq!(fast, structural);
}
