//! The checks that a command passes before it runs (contract, "Status"), in the
//! order of the contract's table: opcode, field, length, alignment, range,
//! overlap. Pure; the gateware's counterpart is `hdl/rtl/queue/queue_check.sv`.

use carillon_driver::command::{
    BEAT, Command, FLAG_COSET, FLAG_LINK, FLAG_ODD, FR_BYTES, Opcode, RawCommand,
};
use carillon_driver::status::StatusCode;

use super::ModelOptions;

/// Largest count of elements.
const MAX_ELEMENTS: u64 = u32::MAX as u64;

/// The command in `raw`, if it may run on this queue of this card.
///
/// # Errors
/// The first status of the contract's order that applies.
pub(super) fn validate(
    raw: &RawCommand,
    admin: bool,
    options: &ModelOptions,
) -> Result<Command, StatusCode> {
    let opcode = Opcode::from_code(raw.opcode).ok_or(StatusCode::InvalidOpcode)?;
    let missing = match opcode {
        Opcode::MsmG2 => !options.msm_g2,
        Opcode::Fill => !options.fill,
        _ => false,
    };
    if opcode.is_admin() != admin || missing {
        return Err(StatusCode::InvalidOpcode);
    }
    let beyond = match opcode {
        Opcode::Ntt => {
            const BOTH: u8 = FLAG_COSET | FLAG_ODD;
            raw.log2n > options.ntt_max_log2n || raw.flags & BOTH == BOTH
        }
        Opcode::MsmG1 | Opcode::MsmG2 => raw.window_bits > options.msm_max_window_bits,
        _ => false,
    };
    let link = if options.link && !admin { FLAG_LINK } else { 0 };
    let allowed = opcode.allowed_flags() | link;
    if raw.reserved != 0 || raw.flags & !allowed != 0 || beyond {
        return Err(StatusCode::InvalidField);
    }
    let command = Command::decode(raw).ok_or(StatusCode::InvalidOpcode)?;
    if !length_ok(&command) {
        return Err(StatusCode::InvalidLength);
    }
    if addresses(&command).iter().any(|a| a % BEAT != 0) {
        return Err(StatusCode::Misaligned);
    }
    let ranges = ranges(&command);
    let inside = |&(start, bytes): &(u64, u64)| {
        start
            .checked_add(bytes)
            .is_some_and(|end| end <= options.memory_bytes)
    };
    if !ranges.iter().all(inside) {
        return Err(StatusCode::OutOfRange);
    }
    if opcode == Opcode::Ntt && overlapping(&ranges) {
        return Err(StatusCode::Overlap);
    }
    Ok(command)
}

fn length_ok(command: &Command) -> bool {
    match *command {
        Command::Write { bytes, .. }
        | Command::Read { bytes, .. }
        | Command::Fill { bytes, .. } => bytes != 0 && bytes % BEAT == 0,
        Command::Msm { n, .. } | Command::Quotient { n, .. } | Command::Product { n, .. } => {
            (1..=MAX_ELEMENTS).contains(&n)
        }
        Command::Identify { .. } | Command::Abort { .. } | Command::Ntt { .. } => true,
    }
}

/// Every host and card address that the command names.
fn addresses(command: &Command) -> Vec<u64> {
    match *command {
        Command::Identify { page } => vec![page],
        Command::Abort { .. } => vec![],
        Command::Write { host, card, .. } | Command::Read { host, card, .. } => vec![host, card],
        Command::Fill { card, .. } => vec![card],
        Command::Msm {
            bases,
            scalars,
            result,
            ..
        } => vec![bases, scalars, result],
        Command::Ntt {
            source,
            destination,
            scratch,
            ..
        } => vec![source, destination, scratch],
        Command::Quotient {
            a,
            b,
            c,
            destination,
            z,
            ..
        } => vec![a, b, c, destination, z],
        Command::Product {
            a, b, destination, ..
        } => vec![a, b, destination],
    }
}

/// Every range of card memory that the command touches: start and bytes.
fn ranges(command: &Command) -> Vec<(u64, u64)> {
    match *command {
        Command::Identify { .. } | Command::Abort { .. } => vec![],
        Command::Write { card, bytes, .. }
        | Command::Read { card, bytes, .. }
        | Command::Fill { card, bytes, .. } => {
            vec![(card, bytes)]
        }
        // Counts are at most 2^32 - 1 here, so nothing overflows.
        Command::Msm {
            group,
            bases,
            scalars,
            n,
            result,
            ..
        } => {
            vec![
                (bases, n * group.point_bytes()),
                (scalars, n * FR_BYTES),
                (result, group.result_bytes()),
            ]
        }
        Command::Ntt {
            source,
            destination,
            scratch,
            log2n,
            ..
        } => {
            let bytes = FR_BYTES << log2n.min(48);
            vec![(source, bytes), (destination, bytes), (scratch, bytes)]
        }
        Command::Quotient {
            a,
            b,
            c,
            destination,
            n,
            z,
        } => {
            let bytes = n * FR_BYTES;
            vec![
                (a, bytes),
                (b, bytes),
                (c, bytes),
                (destination, bytes),
                (z, FR_BYTES),
            ]
        }
        Command::Product {
            a,
            b,
            destination,
            n,
        } => {
            let bytes = n * FR_BYTES;
            vec![(a, bytes), (b, bytes), (destination, bytes)]
        }
    }
}

/// Whether any two ranges share a byte.
fn overlapping(ranges: &[(u64, u64)]) -> bool {
    ranges.iter().enumerate().any(|(i, &(start, bytes))| {
        ranges[..i]
            .iter()
            .any(|&(s, b)| start < s + b && s < start + bytes)
    })
}
