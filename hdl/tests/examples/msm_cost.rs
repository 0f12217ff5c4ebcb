//! Prints the cost model of MSMs beside the RTL, with one adder: `msm_cost [log2 of the elements]...`, 14 to 18 if
//! none are given. Simulated cycles, fast arithmetic view, memory latency 40.
#[cfg(feature = "rtl")]
fn main() {
    use carillon_hdl_tests::cost::compare;

    let mut logs: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|log| log.parse().ok())
        .collect();
    if logs.is_empty() {
        logs = (14..=18).collect();
    }
    println!(
        "| pairs | chosen by the card | best | its window bits | worst error of the model | bits: RTL, model |"
    );
    println!("|---|---|---|---|---|---|");
    for log2 in logs {
        let run = compare::<blstrs::G1Affine>(1, 1 << log2);
        let sizes: Vec<_> = run
            .sizes
            .iter()
            .map(|(bits, cycles, model)| format!("{bits}: {cycles}, {model}"))
            .collect();
        println!(
            "| 2^{log2} | {} | {} | {} | {:.3} | {} |",
            run.chosen,
            run.best,
            run.best_bits,
            run.worst_error,
            sizes.join("; ")
        );
    }
}

#[cfg(not(feature = "rtl"))]
fn main() {
    eprintln!(
        "built without the Verilated blocks: add `--features rtl` (and run `make setup` first)"
    );
}
