//! Which commands a command depends on, through card memory. Pure; lets a
//! replay leave out the work that a failure has nothing to do with.

use carillon_driver::command::{Command, FR_BYTES};
use carillon_driver::status::StatusCode;

use super::history::{End, Traced};

/// Bytes of card memory, first and one past the last.
type Range = (u64, u64);

/// The commands among `commands[..=of]` whose results `commands[of]` depends
/// on, itself included.
#[must_use]
pub fn needed(commands: &[Traced], of: usize) -> Vec<bool> {
    let mut needed = vec![false; commands.len().min(of + 1)];
    let mut read: Vec<Range> = Vec::new();
    for (index, command) in commands.iter().enumerate().take(of + 1).rev() {
        // The admin queue does not touch card memory, and may stop commands.
        let own = index == of || command.queue == 0;
        let Some(decoded) = Command::decode(&command.raw) else {
            needed[index] = true;
            continue;
        };
        let writes = written(&decoded);
        if own || writes.iter().any(|w| read.iter().any(|r| overlap(*w, *r))) {
            needed[index] = true;
            // What it writes does not come from before it.
            for write in writes {
                read = read.into_iter().flat_map(|r| without(r, write)).collect();
            }
            read.extend(reads(&decoded));
        }
    }
    needed
}

/// Whether something in `range` was last written by a sum, after all of `commands`. Overwritten is what a command has
/// written that succeeded and came after the sum: behind it on its queue, or submitted when it had ended.
#[must_use]
pub(super) fn holds_a_sum(commands: &[Traced], range: Range) -> bool {
    commands.iter().enumerate().any(|(index, sum)| {
        let decoded = Command::decode(&sum.raw);
        let Some(decoded @ Command::Msm { .. }) = decoded else {
            return false;
        };
        let mut left = written(&decoded);
        left.retain(|written| overlap(*written, range));
        for later in &commands[index + 1..] {
            if left.is_empty() {
                return false;
            }
            let after = later.queue == sum.queue || ended_before(sum, later.record);
            if let Some(command) = Command::decode(&later.raw).filter(|_| after && succeeded(later))
            {
                for write in written(&command) {
                    left = left.into_iter().flat_map(|r| without(r, write)).collect();
                }
            }
        }
        left.iter().any(|written| overlap(*written, range))
    })
}

fn ended_before(command: &Traced, number: usize) -> bool {
    match command.end {
        End::Completed { record, .. } | End::Lost { record, .. } => record < number,
        End::Open => false,
    }
}

fn succeeded(command: &Traced) -> bool {
    matches!(command.end, End::Completed { completion, .. } if completion.status.code == StatusCode::Success)
}

fn overlap(a: Range, b: Range) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// What is left of `a` without `b`.
fn without(a: Range, b: Range) -> impl Iterator<Item = Range> {
    let before = (a.0, a.1.min(b.0));
    let after = (a.0.max(b.1), a.1);
    [before, after].into_iter().filter(|r| r.0 < r.1)
}

fn range(address: u64, bytes: u64) -> Range {
    (address, address.saturating_add(bytes))
}

fn elements(n: u64) -> u64 {
    n.saturating_mul(FR_BYTES)
}

/// Card memory that the command writes, working memory included.
#[must_use]
pub(super) fn written(command: &Command) -> Vec<Range> {
    match *command {
        Command::Write { card, bytes, .. } | Command::Fill { card, bytes, .. } => {
            vec![range(card, bytes)]
        }
        Command::Msm { group, result, .. } => vec![range(result, group.result_bytes())],
        Command::Ntt {
            destination,
            scratch,
            log2n,
            ..
        } => {
            let bytes = elements(1u64.checked_shl(log2n.into()).unwrap_or(u64::MAX));
            vec![range(destination, bytes), range(scratch, bytes)]
        }
        Command::Quotient { destination, n, .. } | Command::Product { destination, n, .. } => {
            vec![range(destination, elements(n))]
        }
        Command::Identify { .. } | Command::Abort { .. } | Command::Read { .. } => Vec::new(),
    }
}

/// Card memory that the command reads.
fn reads(command: &Command) -> Vec<Range> {
    match *command {
        Command::Read { card, bytes, .. } => vec![range(card, bytes)],
        Command::Msm {
            group,
            bases,
            scalars,
            n,
            ..
        } => vec![
            range(bases, n.saturating_mul(group.point_bytes())),
            range(scalars, elements(n)),
        ],
        Command::Ntt { source, log2n, .. } => {
            let bytes = elements(1u64.checked_shl(log2n.into()).unwrap_or(u64::MAX));
            vec![range(source, bytes)]
        }
        Command::Quotient { a, b, c, n, z, .. } => {
            let mut read = vec![range(z, FR_BYTES)];
            read.extend([a, b, c].map(|address| range(address, elements(n))));
            read
        }
        Command::Product { a, b, n, .. } => {
            vec![range(a, elements(n)), range(b, elements(n))]
        }
        Command::Identify { .. }
        | Command::Abort { .. }
        | Command::Write { .. }
        | Command::Fill { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_driver::command::{Group, MsmMode, NttKind};
    use carillon_driver::completion::Completion;

    fn traced(queue: u16, command: &Command) -> Traced {
        Traced {
            queue,
            slot: 0,
            raw: command.encode(0),
            record: 0,
            nanos: 0,
            end: End::Open,
        }
    }

    fn write(card: u64, bytes: u64) -> Command {
        Command::Write {
            host: 0,
            card,
            bytes,
            list: false,
        }
    }

    #[test]
    fn ranges_are_taken_apart() {
        let left = |b| without((10, 20), b).collect::<Vec<_>>();
        assert_eq!(left((0, 10)), [(10, 20)]);
        assert_eq!(left((5, 12)), [(12, 20)]);
        assert_eq!(left((12, 15)), [(10, 12), (15, 20)]);
        assert_eq!(left((15, 30)), [(10, 15)]);
        assert_eq!(left((10, 20)), []);
        assert_eq!(left((20, 30)), [(10, 20)]);
    }

    #[test]
    fn only_what_feeds_the_failure_is_needed() {
        let ntt = |source, destination| Command::Ntt {
            source,
            destination,
            scratch: 0x8000,
            log2n: 2,
            kind: NttKind::default(),
        };
        let msm = |group| Command::Msm {
            group,
            bases: 0x1000,
            scalars: 0x2000,
            n: 4,
            result: 0x3000,
            window_bits: 0,
            mode: MsmMode::Split,
        };
        let commands = [
            traced(0, &Command::Identify { page: 0 }),
            traced(1, &write(0x1000, 256)),  // overwritten by the next
            traced(1, &write(0x1000, 384)),  // bases
            traced(1, &write(0x5000, 128)),  // for the second transform alone
            traced(1, &write(0x4000, 128)),  // for the first
            traced(2, &ntt(0x5000, 0x6000)), // nobody needs it
            traced(1, &ntt(0x4000, 0x2000)), // the scalars
            traced(1, &write(0x1180, 64)),   // touches no base of the four
            traced(1, &msm(Group::G1)),
            traced(1, &write(0x1000, 64)), // after it
        ];
        assert_eq!(
            needed(&commands, 8),
            [true, false, true, false, true, false, true, false, true]
        );
        // Points of G2 are twice as long.
        let mut in_g2 = commands;
        in_g2[8] = traced(1, &msm(Group::G2));
        assert_eq!(
            needed(&in_g2, 8),
            [true, false, true, false, true, false, true, true, true]
        );
    }

    #[test]
    fn a_sum_is_there_until_something_overwrites_it() {
        let sum = Command::Msm {
            group: Group::G1,
            bases: 0x1000,
            scalars: 0x2000,
            n: 4,
            result: 0x3000,
            window_bits: 0,
            mode: MsmMode::Split,
        };
        let ended = |command: &Command, code: StatusCode| {
            let mut traced = traced(1, command);
            let completion = Completion {
                cycles: 0,
                ops: 0,
                bubble_hazard: 0,
                bubble_memory: 0,
                bubble_other: 0,
                detail: 0,
                sq_head: 0,
                queue: 1,
                cid: 0,
                status: code.into(),
            };
            let (record, nanos, data) = (0, 0, None);
            traced.end = End::Completed {
                record,
                nanos,
                completion,
                data,
            };
            traced
        };
        let done = |command: &Command| ended(command, StatusCode::Success);
        let on = |queue, record, command: &Command| Traced {
            queue,
            record,
            ..done(command)
        };
        let fill = |card, bytes| Command::Fill {
            word: 0,
            card,
            bytes,
        };
        let mut commands = vec![done(&sum)];
        let read = |commands: &[Traced]| {
            [0x2fc0, 0x3000, 0x3080, 0x30c0].map(|at| holds_a_sum(commands, (at, at + 64)))
        };
        assert_eq!(read(&commands), [false, true, true, false]);
        commands.push(done(&fill(0x3000, 64)));
        assert_eq!(read(&commands), [false, false, true, false]);
        // Nothing says how far a command came that failed, or whose end is not known.
        commands.push(ended(&fill(0x3000, 192), StatusCode::CardWrite));
        commands.push(traced(1, &fill(0x3000, 192)));
        assert_eq!(read(&commands), [false, false, true, false]);
        commands.push(done(&fill(0x3000, 192)));
        assert_eq!(read(&commands), [false; 4]);
        commands.push(done(&sum));
        assert_eq!(read(&commands), [false, true, true, false]);
        // On another queue it may have come before the sum, unless that had ended.
        let fill = fill(0x3000, 192);
        let sum = Traced {
            record: 5,
            ..done(&sum)
        };
        let ended_at = |record| {
            let mut sum = sum.clone();
            if let End::Completed { record: ended, .. } = &mut sum.end {
                *ended = record;
            }
            sum
        };
        assert_eq!(
            read(&[ended_at(9), on(2, 8, &fill)]),
            [false, true, true, false]
        );
        assert_eq!(read(&[ended_at(7), on(2, 8, &fill)]), [false; 4]);
        assert_eq!(read(&[ended_at(9), on(1, 8, &fill)]), [false; 4]);
    }
}
