//! Names for what a trace holds: registers and commands as the contract calls
//! them. Pure; used by the observer, the listing and the replay.

use carillon_driver::command::{Command, FLAG_LINK, MsmMode, RawCommand};
use carillon_driver::registers as reg;

/// Which register an offset of BAR0 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// One that exists once, by its offset.
    Global(u32),
    /// One of a queue.
    Queue(u16, QueueRegister),
}

/// The registers that exist once per queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueRegister {
    SqBaseLo,
    SqBaseHi,
    CqBaseLo,
    CqBaseHi,
    Log2Depth,
    Ctrl,
    Status,
    SqHead,
    SqTail,
    CqHead,
}

/// A register, its name, and its offset by queue.
type Named = (QueueRegister, &'static str, fn(u16) -> u32);

impl QueueRegister {
    const ALL: [Named; 10] = [
        (
            Self::SqBaseLo,
            "QUEUE_SQ_BASE_LO",
            reg::queue_sq_base_lo::offset,
        ),
        (
            Self::SqBaseHi,
            "QUEUE_SQ_BASE_HI",
            reg::queue_sq_base_hi::offset,
        ),
        (
            Self::CqBaseLo,
            "QUEUE_CQ_BASE_LO",
            reg::queue_cq_base_lo::offset,
        ),
        (
            Self::CqBaseHi,
            "QUEUE_CQ_BASE_HI",
            reg::queue_cq_base_hi::offset,
        ),
        (
            Self::Log2Depth,
            "QUEUE_LOG2_DEPTH",
            reg::queue_log2_depth::offset,
        ),
        (Self::Ctrl, "QUEUE_CTRL", reg::queue_ctrl::offset),
        (Self::Status, "QUEUE_STATUS", reg::queue_status::offset),
        (Self::SqHead, "QUEUE_SQ_HEAD", reg::queue_sq_head::offset),
        (Self::SqTail, "SQ_TAIL", reg::sq_tail::offset),
        (Self::CqHead, "CQ_HEAD", reg::cq_head::offset),
    ];

    fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(r, ..)| *r == self);
        found.map_or("", |(_, name, _)| name)
    }
}

/// Registers that exist once.
const GLOBAL: [(u32, &str); 38] = [
    (reg::magic::OFFSET, "MAGIC"),
    (reg::version::OFFSET, "VERSION"),
    (reg::rdl_hash_lo::OFFSET, "RDL_HASH_LO"),
    (reg::rdl_hash_hi::OFFSET, "RDL_HASH_HI"),
    (reg::config::OFFSET, "CONFIG"),
    (reg::cap_queues::OFFSET, "CAP_QUEUES"),
    (reg::cap_mem_lo::OFFSET, "CAP_MEM_LO"),
    (reg::cap_mem_hi::OFFSET, "CAP_MEM_HI"),
    (reg::cap_msm::OFFSET, "CAP_MSM"),
    (reg::cap_ntt::OFFSET, "CAP_NTT"),
    (reg::ctrl::OFFSET, "CTRL"),
    (reg::status::OFFSET, "STATUS"),
    (reg::count_cycles_lo::OFFSET, "COUNT_CYCLES_LO"),
    (reg::count_cycles_hi::OFFSET, "COUNT_CYCLES_HI"),
    (reg::count_busy_lo::OFFSET, "COUNT_BUSY_LO"),
    (reg::count_busy_hi::OFFSET, "COUNT_BUSY_HI"),
    (reg::count_commands_lo::OFFSET, "COUNT_COMMANDS_LO"),
    (reg::count_commands_hi::OFFSET, "COUNT_COMMANDS_HI"),
    (reg::count_errors_lo::OFFSET, "COUNT_ERRORS_LO"),
    (reg::count_errors_hi::OFFSET, "COUNT_ERRORS_HI"),
    (
        reg::count_msm_additions_lo::OFFSET,
        "COUNT_MSM_ADDITIONS_LO",
    ),
    (
        reg::count_msm_additions_hi::OFFSET,
        "COUNT_MSM_ADDITIONS_HI",
    ),
    (
        reg::count_bubble_hazard_lo::OFFSET,
        "COUNT_BUBBLE_HAZARD_LO",
    ),
    (
        reg::count_bubble_hazard_hi::OFFSET,
        "COUNT_BUBBLE_HAZARD_HI",
    ),
    (
        reg::count_bubble_memory_lo::OFFSET,
        "COUNT_BUBBLE_MEMORY_LO",
    ),
    (
        reg::count_bubble_memory_hi::OFFSET,
        "COUNT_BUBBLE_MEMORY_HI",
    ),
    (reg::count_bubble_other_lo::OFFSET, "COUNT_BUBBLE_OTHER_LO"),
    (reg::count_bubble_other_hi::OFFSET, "COUNT_BUBBLE_OTHER_HI"),
    (reg::count_butterflies_lo::OFFSET, "COUNT_BUTTERFLIES_LO"),
    (reg::count_butterflies_hi::OFFSET, "COUNT_BUTTERFLIES_HI"),
    (reg::count_host_read_lo::OFFSET, "COUNT_HOST_READ_LO"),
    (reg::count_host_read_hi::OFFSET, "COUNT_HOST_READ_HI"),
    (reg::count_host_written_lo::OFFSET, "COUNT_HOST_WRITTEN_LO"),
    (reg::count_host_written_hi::OFFSET, "COUNT_HOST_WRITTEN_HI"),
    (reg::count_card_read_lo::OFFSET, "COUNT_CARD_READ_LO"),
    (reg::count_card_read_hi::OFFSET, "COUNT_CARD_READ_HI"),
    (reg::count_card_written_lo::OFFSET, "COUNT_CARD_WRITTEN_LO"),
    (reg::count_card_written_hi::OFFSET, "COUNT_CARD_WRITTEN_HI"),
];

/// More queues than any card of this contract has.
const MOST_QUEUES: u16 = 64;

impl Access {
    pub(super) fn of(offset: u32) -> Self {
        let setup = reg::queue_sq_base_lo::FIRST;
        let doorbell = reg::sq_tail::FIRST;
        let number = if offset >= doorbell {
            (offset - doorbell) / reg::sq_tail::STRIDE
        } else if offset >= setup {
            (offset - setup) / reg::queue_sq_base_lo::STRIDE
        } else {
            return Self::Global(offset);
        };
        let number = u16::try_from(number).ok().filter(|&n| n < MOST_QUEUES);
        let found = number.and_then(|n| {
            let mut registers = QueueRegister::ALL.iter();
            let (register, ..) = registers.find(|(.., at)| at(n) == offset)?;
            Some(Self::Queue(n, *register))
        });
        found.unwrap_or(Self::Global(offset))
    }

    /// The queue that the register belongs to.
    pub(super) fn queue(self) -> Option<u16> {
        match self {
            Self::Global(_) => None,
            Self::Queue(number, _) => Some(number),
        }
    }
}

/// The contract's name of the register at `offset`: `STATUS`, `SQ_TAIL[1]`; or
/// the offset itself.
#[must_use]
pub fn register(offset: u32) -> String {
    match Access::of(offset) {
        Access::Queue(number, register) => format!("{}[{number}]", register.name()),
        Access::Global(offset) => GLOBAL
            .iter()
            .find(|(at, _)| *at == offset)
            .map_or_else(|| format!("{offset:#06x}"), |(_, name)| (*name).to_owned()),
    }
}

/// The contract's name of the command: `MSM_G1`; or the opcode itself.
#[must_use]
pub fn opcode(raw: &RawCommand) -> String {
    let Some(command) = Command::decode(raw) else {
        return format!("opcode {:#04x}", raw.opcode);
    };
    match command {
        Command::Identify { .. } => "IDENTIFY",
        Command::Abort { .. } => "ABORT",
        Command::Write { .. } => "WRITE",
        Command::Read { .. } => "READ",
        Command::Fill { .. } => "FILL",
        Command::Msm { group, .. } => group.command(),
        Command::Ntt { .. } => "NTT",
        Command::Quotient { .. } | Command::Product { .. } => "QUOTIENT",
    }
    .to_owned()
}

/// The operands of a command, as `name=value`.
#[must_use]
pub fn operands(raw: &RawCommand) -> String {
    let Some(command) = Command::decode(raw) else {
        return format!("{:x?}", raw.to_words());
    };
    let linked = if raw.flags & FLAG_LINK == 0 {
        ""
    } else {
        " linked"
    };
    let operands = match command {
        Command::Identify { page } => format!("page={page:#x}"),
        Command::Abort { queue, cid } => format!("queue={queue} cid={cid:#06x}"),
        Command::Write {
            host,
            card,
            bytes,
            list,
        }
        | Command::Read {
            host,
            card,
            bytes,
            list,
        } => {
            let kind = if list { "list" } else { "host" };
            format!("{kind}={host:#x} card={card:#x} bytes={bytes}")
        }
        Command::Fill { word, card, bytes } => {
            format!("word={word:#x} card={card:#x} bytes={bytes}")
        }
        Command::Msm {
            group: _,
            bases,
            scalars,
            n,
            result,
            window_bits,
            mode,
        } => {
            let full = if mode == MsmMode::Full { " full" } else { "" };
            format!(
                "bases={bases:#x} scalars={scalars:#x} n={n} result={result:#x} window={window_bits}{full}"
            )
        }
        Command::Ntt {
            source,
            destination,
            scratch,
            log2n,
            kind,
        } => {
            let inverse = if kind.inverse { " inverse" } else { "" };
            let coset = match (kind.coset, kind.odd) {
                (false, false) => "",
                (true, _) => " coset",
                (false, true) => " odd",
            };
            format!(
                "source={source:#x} destination={destination:#x} scratch={scratch:#x} log2n={log2n}{inverse}{coset}"
            )
        }
        Command::Quotient {
            a,
            b,
            c,
            destination,
            n,
            z,
        } => format!("a={a:#x} b={b:#x} c={c:#x} destination={destination:#x} n={n} z={z:#x}"),
        Command::Product {
            a,
            b,
            destination,
            n,
        } => format!("a={a:#x} b={b:#x} destination={destination:#x} n={n} product"),
    };
    operands + linked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_the_contracts_names() {
        let cases = [
            (0, "MAGIC"),
            (0x104, "STATUS"),
            (0x264, "COUNT_CARD_WRITTEN_HI"),
            (0x1000, "QUEUE_SQ_BASE_LO[0]"),
            (0x1054, "QUEUE_CTRL[1]"),
            (0x2000, "SQ_TAIL[0]"),
            (0x2014, "CQ_HEAD[2]"),
            (0x0f0, "0x00f0"),
            (0x103c, "0x103c"),
            (u32::MAX - 3, "0xfffffffc"),
        ];
        for (offset, name) in cases {
            assert_eq!(register(offset), name);
        }
    }

    #[test]
    fn commands_have_the_contracts_names() {
        let name = |code| {
            opcode(&RawCommand {
                opcode: code,
                ..RawCommand::default()
            })
        };
        assert_eq!([0x20, 0x21].map(name), ["MSM_G1", "MSM_G2"]);
        assert_eq!(name(0x22), "opcode 0x22");
        let raw = RawCommand {
            opcode: 0x21,
            flags: 0x08,
            op: [0x40, 0x80, 3, 0xc0, 0, 0, 0],
            ..RawCommand::default()
        };
        let text = "bases=0x40 scalars=0x80 n=3 result=0xc0 window=0 full";
        assert_eq!(operands(&raw), text);
        let fill = RawCommand {
            opcode: 0x12,
            flags: 0x40,
            op: [7, 0x80, 64, 0, 0, 0, 0],
            ..RawCommand::default()
        };
        assert_eq!(opcode(&fill), "FILL");
        assert_eq!(operands(&fill), "word=0x7 card=0x80 bytes=64 linked");
    }

    #[test]
    fn every_register_of_the_generated_file_has_a_name() {
        // One per line of the generated file that gives an offset.
        let source = include_str!("../../../driver/src/registers.rs");
        let mut modules = 0;
        let mut name = "";
        for line in source.lines() {
            if let Some(rest) = line.strip_prefix("pub mod ") {
                name = rest.trim_end_matches(" {");
            }
            let line = line.trim();
            let value = line
                .strip_prefix("pub const OFFSET: u32 = 0x")
                .or_else(|| line.strip_prefix("pub const FIRST: u32 = 0x"));
            if let Some(value) = value {
                let offset = u32::from_str_radix(value.trim_end_matches(';'), 16).unwrap();
                let found = register(offset);
                assert_eq!(found.trim_end_matches("[0]"), name.to_uppercase());
                modules += 1;
            }
        }
        assert_eq!(modules, GLOBAL.len() + QueueRegister::ALL.len());
    }
}
