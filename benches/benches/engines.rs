//! Criterion benchmarks of the CPU engine beside blst and arkworks.
//! `CARILLON_BENCH_LOG2` sets the size (default 12).
#![allow(missing_docs)] // criterion's macros

use carillon_benches::{Groth16, Msm, Ntt};
use criterion::{Criterion, criterion_group, criterion_main};

fn log2() -> u32 {
    std::env::var("CARILLON_BENCH_LOG2")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12)
}

fn msm(criterion: &mut Criterion) {
    let job = Msm::new(log2());
    let mut group = criterion.benchmark_group(format!("msm_g1/2^{}", log2()));
    group.sample_size(10);
    group.bench_function("carillon", |bencher| bencher.iter(|| job.carillon()));
    group.bench_function("blst", |bencher| bencher.iter(|| job.blst()));
    group.bench_function("arkworks", |bencher| bencher.iter(|| job.arkworks()));
}

fn ntt(criterion: &mut Criterion) {
    let mut job = Ntt::new(log2());
    let mut group = criterion.benchmark_group(format!("ntt/2^{}", log2()));
    group.sample_size(20);
    group.bench_function("carillon", |bencher| bencher.iter(|| job.carillon().len()));
    group.bench_function("arkworks", |bencher| bencher.iter(|| job.arkworks().len()));
}

fn groth16(criterion: &mut Criterion) {
    let job = Groth16::new(log2());
    let mut group = criterion.benchmark_group(format!("groth16/2^{}", log2()));
    group.sample_size(10);
    group.bench_function("carillon", |bencher| bencher.iter(|| job.carillon()));
    group.bench_function("arkworks", |bencher| bencher.iter(|| job.arkworks()));
}

criterion_group!(benches, msm, ntt, groth16);
criterion_main!(benches);
