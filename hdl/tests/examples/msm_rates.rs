//! Prints what MSMs cost on the engine beside the least they could cost, for scalars of every kind and for 1, 2
//! and 4 adders: `msm_rates [log2 of the elements]...`, 14 and 16 if none are given. First, uniform scalars with the
//! window size that the card chooses. Simulated cycles, fast arithmetic view, memory latency 40.
#[cfg(feature = "rtl")]
fn main() {
    use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
    use carillon_hdl_tests::rates::{Rate, distributions};
    use carillon_hdl_tests::recode::Mode;
    use carillon_hdl_tests::workload::{Points, Scalars};
    use rand::SeedableRng;

    let mut logs: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|log| log.parse().ok())
        .collect();
    if logs.is_empty() {
        logs = vec![14, 16];
    }
    for log2 in logs {
        let count = 1_usize << log2;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let kinds = (Points::Distinct, Scalars::Uniform);
        let job = Job::<blstrs::G1Affine>::draw(&mut rng, count, kinds, 0, Mode::Glv);
        println!("\n2^{log2} pairs, uniform scalars, windows as the card chooses");
        for adders in [1, 2, 4] {
            let mut msm = Msm::with_adders(adders, count);
            msm.warm_up();
            println!("{adders} adders: {} cycles", msm.run(&job).cycles);
        }
        // Large runs are where the rate counts; below, the last doublings do.
        let window_bits = if log2 < 14 { 10 } else { MAX_WINDOW_BITS };
        println!("\n2^{log2} pairs, windows of {window_bits} bits");
        println!(
            "| adders | scalars | cycles | per point | ideal | ratio | occupancy | hazard | memory | other | \
             other additions |\n|---|---|---|---|---|---|---|---|---|---|---|"
        );
        for adders in [1, 2, 4] {
            let mut msm = Msm::with_adders(adders, count);
            msm.warm_up();
            for (name, factors) in distributions(window_bits) {
                let rate = Rate::measure(&mut msm, count, factors, window_bits, adders);
                let [hazard, memory, other] = rate.outcome.bubbles;
                println!(
                    "| {adders} | {name} | {} | {:.2} | {:.0} | {:.3} | {:.3} | {hazard} | {memory} | {other} | {} |",
                    rate.outcome.cycles,
                    rate.per_point(),
                    rate.ideal,
                    rate.ratio(),
                    rate.occupancy(),
                    rate.outcome.detail
                );
            }
        }
    }
}

#[cfg(not(feature = "rtl"))]
fn main() {
    eprintln!(
        "built without the Verilated blocks: add `--features rtl` (and run `make setup` first)"
    );
}
