//! Adding up completions (`hdl/doc/contract.md`, "Completion") into job statistics.

use carillon_driver::command::Group;
use carillon_driver::completion::Completion;

use crate::stats::CardStats;

/// What kind of command a completion belongs to, which decides the meaning of its counters.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// `WRITE` of this many bytes.
    Write(u64),
    /// `READ` of this many bytes.
    Read(u64),
    /// `MSM_G1` or `MSM_G2`.
    Msm(Group),
    /// `NTT`.
    Ntt,
    /// `QUOTIENT`, also a product.
    Quotient,
}

/// Adds one command's cost, and that it ran beside another proof if it did.
pub fn add_seen(stats: &mut CardStats, command: Command, completion: &Completion, beside: bool) {
    add(stats, command, completion);
    if beside {
        stats.overlap.commands += 1;
        stats.overlap.cycles += u64::from(completion.cycles);
        stats.overlap.bytes += match command {
            Command::Write(bytes) | Command::Read(bytes) => bytes,
            _ => 0,
        };
    }
}

/// Adds one command's cost.
pub fn add(stats: &mut CardStats, command: Command, completion: &Completion) {
    stats.commands += 1;
    let cycles = u64::from(completion.cycles);
    stats.cycles += cycles;
    match command {
        Command::Write(bytes) => {
            stats.cycles_by.write += cycles;
            stats.bytes_to_card += bytes;
        }
        Command::Read(bytes) => {
            stats.cycles_by.read += cycles;
            stats.bytes_from_card += bytes;
        }
        Command::Msm(group) => {
            match group {
                Group::G1 => stats.cycles_by.msm += cycles,
                Group::G2 => stats.cycles_by.msm_g2 += cycles,
            }
            stats.additions += u64::from(completion.ops);
            stats.aggregation_additions += u64::from(completion.detail);
            stats.bubble_hazard += u64::from(completion.bubble_hazard);
            stats.bubble_memory += u64::from(completion.bubble_memory);
            stats.bubble_other += u64::from(completion.bubble_other);
        }
        Command::Ntt => {
            stats.cycles_by.ntt += cycles;
            stats.butterflies += u64::from(completion.ops);
        }
        Command::Quotient => stats.cycles_by.quotient += cycles,
    }
}
