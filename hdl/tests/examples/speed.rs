//! Prints how fast each arithmetic block simulates, in both views, with an operation in every cycle.
#[cfg(feature = "rtl")]
fn main() {
    use carillon_hdl_tests::field::{Fp, Fr};
    use carillon_hdl_tests::point::Point;
    use carillon_hdl_tests::{Dut, View};
    use group::prime::PrimeCurveAffine;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::time::{Duration, Instant};

    /// Long enough for a steady figure.
    const SPAN: Duration = Duration::from_secs(2);

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let generator = Point::from_affine(&blstrs::G1Affine::generator());
    let operands = [
        (
            "fp_mul_top",
            Fp::random(&mut rng).to_port(),
            Fp::random(&mut rng).to_port(),
        ),
        (
            "fr_mul_top",
            Fr::random(&mut rng).to_port(),
            Fr::random(&mut rng).to_port(),
        ),
        (
            "point_add",
            generator.scaled(&mut rng).to_port(),
            generator.to_port(),
        ),
    ];
    println!("{:<12} {:<12} cycles per second", "block", "view");
    for (top, a, b) in operands {
        for view in View::BOTH {
            let mut dut = Dut::new(top, view);
            dut.set("a_i", &a);
            dut.set("b_i", &b);
            dut.set_u64("valid_i", 1);
            let start = Instant::now();
            while start.elapsed() < SPAN {
                for _ in 0..1000 {
                    dut.step();
                }
            }
            let rate = dut.cycle() as f64 / start.elapsed().as_secs_f64();
            println!("{top:<12} {:<12} {rate:.0}", format!("{view:?}"));
        }
    }
}

#[cfg(not(feature = "rtl"))]
fn main() {
    eprintln!(
        "built without the Verilated blocks: add `--features rtl` (and run `make setup` first)"
    );
}
