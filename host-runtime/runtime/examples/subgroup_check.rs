//! What it costs to know that points lie in the subgroup of order r: one by one, all at once, and a
//! sum over them for comparison. `cargo run -p carillon-runtime --example subgroup_check`

use std::time::Instant;

use carillon_runtime::Engine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::image::{PointImage, all_in_subgroup};
use carillon_workload::Distribution;
use rayon::prelude::*;

/// Microseconds a point.
fn cost<T>(points: usize, work: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed().as_secs_f64() * 1e6 / points as f64
}

#[tokio::main]
async fn main() -> Result<(), carillon_runtime::EngineError> {
    println!(
        "microseconds a point on {} threads",
        rayon::current_num_threads()
    );
    println!("points  one by one  all at once  sum (cpu)");
    for log2 in [10, 12, 14, 16] {
        let count = 1 << log2;
        let points = carillon_workload::g1_bases(count, 1);
        let scalars = carillon_workload::scalars(count, Distribution::Uniform, 1);
        let each = cost(count, || points.par_iter().all(PointImage::in_subgroup));
        let all = cost(count, || all_in_subgroup(&points));
        let (_, stats) = CpuEngine::new().msm_g1(&points, &scalars).await?;
        let sum = stats.wall.as_secs_f64() * 1e6 / count as f64;
        println!("2^{log2:<4}  {each:10.1}  {all:11.1}  {sum:9.1}");
    }
    Ok(())
}
