//! Memory of this machine: how much a process may still take, and how much a job will. A job that
//! cannot fit is refused before it begins, since the kernel ends a process that runs out of memory
//! without a word.
//!
//! Estimates were set against measured peaks of 2^13 to 2^16 rows (`tests/cli.rs` of
//! `carillon-cli` holds them to it), with an eighth more. Reads `/proc` and `/sys/fs/cgroup`. Used by
//! `keys` and the commands that take long.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_driver::command::Group;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::groth16::CircuitShape;
use crate::image::{G1_BYTES, G2_BYTES, SCALAR_BYTES};

/// What every job takes: code, threads, tables.
const BASE: u64 = 64 << 20;

/// A job that does not fit into memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} needs about {} of memory, but this process can have only {} more ({limit}): choose a smaller size, a larger machine, or raise the limit",
    in_words(*needed), in_words(*available)
)]
pub struct MemoryShortage {
    /// The job.
    pub what: String,
    /// Bytes that it needs, by estimate.
    pub needed: u64,
    /// Bytes that can be had.
    pub available: u64,
    /// What sets that limit.
    pub limit: String,
}

/// Refuses a job of `needed` bytes that cannot fit. Where nothing is known of the memory, nothing
/// is refused.
///
/// # Errors
/// [`MemoryShortage`].
pub fn check(what: &str, needed: u64) -> Result<(), MemoryShortage> {
    match available() {
        Some((available, limit)) if needed > available => Err(MemoryShortage {
            what: what.to_owned(),
            needed,
            available,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Bytes of a development set-up, its key included; `terms` are the terms of all constraints.
pub fn of_setup(shape: CircuitShape, terms: u64) -> u64 {
    let (rows, variables) = (shape.rows() as u64, shape.variables() as u64);
    let (domain, scalar) = (shape.domain() as u64, SCALAR_BYTES as u64);
    // Matrices; the quadratic program and one list of products; powers; the key, and the L query
    // once more while it is put together.
    let matrices = terms * 48 + rows * 24;
    let program = 4 * variables * scalar + 2 * domain * scalar;
    BASE + with_margin(matrices + program + of_key(shape) + variables * G1_BYTES as u64)
}

/// Bytes of a proving key.
pub fn of_key(shape: CircuitShape) -> u64 {
    let (variables, domain) = (shape.variables() as u64, shape.domain() as u64);
    variables * (3 * G1_BYTES + G2_BYTES) as u64 + domain * G1_BYTES as u64
}

/// Bytes of recorded constraints, which proofs share; `terms` are those of all constraints, with a coefficient each that no
/// other has.
pub fn of_constraints(shape: CircuitShape, terms: u64) -> u64 {
    let ends = 3 * size_of::<u32>() as u64 * shape.constraints as u64;
    with_margin(ends + terms * (2 * size_of::<u32>() + SCALAR_BYTES) as u64)
}

/// Bytes of a proof on the host, beside its key and recorded constraints. A card takes [`of_card`] more; the CPU, also beside a card
/// without `MSM_G2`, [`of_sum_in_g2`] more.
pub fn of_proof(shape: CircuitShape) -> u64 {
    let (variables, domain) = (shape.variables() as u64, shape.domain() as u64);
    let scalar = SCALAR_BYTES as u64;
    // Witness and polynomials, which double while they grow; a copy of the polynomials.
    let values = 2 * (variables + 2 * domain) * scalar + 3 * domain * scalar;
    BASE + with_margin(values)
}

/// Bytes of a proof's sum in G2 on the CPU: bases and digits, which are gathered twice.
pub fn of_sum_in_g2(shape: CircuitShape) -> u64 {
    let each = 2 * G2_BYTES + 8 + SCALAR_BYTES;
    with_margin(shape.variables() as u64 * each as u64)
}

/// Bytes that a card engine takes beside that: what travels, at most twice, since a simulated card
/// has its memory in this process.
pub fn of_card(shape: CircuitShape) -> u64 {
    let (variables, domain) = (shape.variables() as u64, shape.domain() as u64);
    let key = of_key(shape);
    let values = (variables + 5 * domain) * SCALAR_BYTES as u64;
    with_margin(2 * (key + values))
}

/// An eighth more.
fn with_margin(bytes: u64) -> u64 {
    bytes + bytes / 8
}

/// Bytes of a multi-scalar multiplication of `count` terms, checked against the CPU.
pub fn of_msm(group: Group, count: u64) -> u64 {
    BASE + count * (4 * group.point_bytes() + 3 * SCALAR_BYTES as u64)
}

/// Bytes of a transform of `count` elements, checked against the CPU.
pub fn of_ntt(count: u64) -> u64 {
    BASE + count * 8 * SCALAR_BYTES as u64
}

/// Bytes that this process may still take, and what sets that limit; `None` where nothing is
/// known.
pub fn available() -> Option<(u64, String)> {
    let status = read(Path::new("/proc/self/status"));
    let limits = [
        ("RLIMIT_AS", Resource::RLIMIT_AS, "VmSize:"),
        ("RLIMIT_DATA", Resource::RLIMIT_DATA, "VmData:"),
    ];
    let limits = limits.into_iter().filter_map(|(name, resource, used)| {
        let (soft, _) = getrlimit(resource).ok()?;
        let used = kibibytes(&status, used)?;
        (soft != RLIM_INFINITY).then(|| (soft.saturating_sub(used), format!("its limit {name}")))
    });
    limits.chain(of_machine(Path::new("/"))).min()
}

/// What the machine and the control groups below `root` leave.
fn of_machine(root: &Path) -> Vec<(u64, String)> {
    let meminfo = read(&root.join("proc/meminfo"));
    let free = kibibytes(&meminfo, "MemAvailable:");
    let swap = kibibytes(&meminfo, "SwapFree:").unwrap_or_default();
    let machine = free.map(|free| (free + swap, "free memory and swap space".to_owned()));
    machine.into_iter().chain(of_groups(root)).collect()
}

/// What each control group around this process leaves, in either version of them.
fn of_groups(root: &Path) -> Vec<(u64, String)> {
    let groups = read(&root.join("proc/self/cgroup"));
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (mount, limit, used, cached) = match controllers {
            "" => ("", "memory.max", "memory.current", "inactive_file "),
            list if list.split(',').any(|name| name == "memory") => (
                "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file ",
            ),
            _ => continue,
        };
        let mount = root.join("sys/fs/cgroup").join(mount);
        // Where a container sees its own group as the root, the path leads nowhere.
        let mut folder: Option<PathBuf> = Some(mount.join(path.trim_start_matches('/')));
        while let Some(group) = folder.filter(|group| group.starts_with(&mount)) {
            let number = |file: &str| read(&group.join(file)).trim().parse::<u64>().ok();
            if let (Some(limit), Some(used)) = (number(limit), number(used)) {
                let stat = read(&group.join("memory.stat"));
                let cached = stat.lines().find_map(|line| line.strip_prefix(cached));
                let cached: u64 = cached
                    .and_then(|text| text.parse().ok())
                    .unwrap_or_default();
                let left = limit.saturating_sub(used.saturating_sub(cached));
                found.push((left, "the limit of its control group".to_owned()));
            }
            folder = group.parent().map(Path::to_owned);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A value that `/proc` gives in KiB, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let value: u64 = line.split_whitespace().next()?.parse().ok()?;
    value.checked_mul(1024)
}

/// Bytes as people say them.
pub fn in_words(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn left(files: &[(&str, &str)]) -> Option<(u64, String)> {
        of_machine(tree(files).path()).into_iter().min()
    }

    #[test]
    fn the_tightest_limit_counts() {
        let meminfo = (
            "proc/meminfo",
            "MemTotal: 100 kB\nMemAvailable: 50 kB\nSwapFree: 10 kB\n",
        );
        let machine = Some((60 << 10, "free memory and swap space".to_owned()));
        assert_eq!(left(&[meminfo]), machine);
        let second = [
            meminfo,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "1\n"),
            ("sys/fs/cgroup/a/memory.max", "40960\n"),
            ("sys/fs/cgroup/a/memory.current", "30720\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 7\ninactive_file 10240\n",
            ),
        ];
        let group = "the limit of its control group".to_owned();
        assert_eq!(left(&second), Some((20 << 10, group.clone())));
        let first = [
            meminfo,
            ("proc/self/cgroup", "5:cpu:/\n4:memory,x:/job\n"),
            ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2048\n"),
            ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "4096\n"),
        ];
        assert_eq!(left(&first), Some((0, group)));
        assert_eq!(left(&[]), None);
    }

    #[test]
    fn a_job_beyond_all_memory_is_refused_with_both_figures() {
        let error = check("a proof of everything", u64::MAX).unwrap_err();
        assert!(error.available > 0 && error.needed == u64::MAX);
        let text = error.to_string();
        assert!(
            text.starts_with("a proof of everything needs about"),
            "{text}"
        );
        assert_eq!(check("nothing", 0), Ok(()));
        let words = [(1, "1 KiB"), (3 << 20, "3 MiB"), (3 << 29, "1.5 GiB")];
        for (bytes, text) in words {
            assert_eq!(in_words(bytes), text);
        }
    }
}
