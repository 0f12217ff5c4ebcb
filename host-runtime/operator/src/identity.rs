//! What a card's registers say of it. Reads only, so that it works on a card that the driver
//! refuses: another gateware, another contract, no card at all.

use carillon_driver::card::CONTRACT_VERSION;
use carillon_driver::identity::configuration_name;
use carillon_driver::registers as reg;
use carillon_driver::transport::Transport;

/// Identity and status registers, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `MAGIC`.
    pub magic: u32,
    /// Contract version.
    pub version: u32,
    /// Register map hash.
    pub rdl_hash: u64,
    /// The configuration's number.
    pub configuration: u32,
    /// Controller status.
    pub status: u32,
}

/// What this driver can do with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of its own.
    Known,
    /// All ones: it does not answer.
    Silent,
    /// Some other device.
    NotACard,
    /// A Carillon card with another contract or register map.
    OtherGateware,
}

/// One queue, as its registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Number; 0 is the admin queue.
    pub number: u16,
    /// Whether it runs.
    pub active: bool,
    /// Why the card stopped it; `None` if it did not.
    pub error: Option<&'static str>,
}

impl Identity {
    /// Reads the registers.
    pub fn read(transport: &dyn Transport) -> Self {
        let read = |offset| transport.read32(offset);
        Self {
            magic: read(reg::magic::OFFSET),
            version: read(reg::version::OFFSET),
            rdl_hash: u64::from(read(reg::rdl_hash_hi::OFFSET)) << 32
                | u64::from(read(reg::rdl_hash_lo::OFFSET)),
            configuration: read(reg::config::OFFSET),
            status: read(reg::status::OFFSET),
        }
    }

    /// Whether the driver can use it.
    pub fn verdict(&self) -> Verdict {
        match self.magic {
            u32::MAX => Verdict::Silent,
            magic if magic != reg::magic::RESET => Verdict::NotACard,
            _ if (self.version, self.rdl_hash) == (CONTRACT_VERSION, reg::RDL_HASH) => {
                Verdict::Known
            }
            _ => Verdict::OtherGateware,
        }
    }

    /// The configuration's name.
    pub fn configuration_name(&self) -> &'static str {
        configuration_name(self.configuration)
    }

    /// What is odd, and what to do; empty for a sound card of this driver.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self.verdict() {
            Verdict::Known => {}
            Verdict::Silent => {
                // The other registers say nothing then.
                return vec![
                    "the card does not answer (all ones): check power and slot, then reset it with \
                     `carillon reset --level function`"
                        .to_owned(),
                ];
            }
            Verdict::NotACard => {
                return vec![format!(
                    "this is no Carillon card: its first register reads {:#010x}",
                    self.magic
                )];
            }
            Verdict::OtherGateware => remarks.push(self.other_gateware()),
        }
        if reg::status::FATAL.get(self.status) == 1 {
            remarks.push(format!(
                "the card has met a state that it cannot explain (code {}): reset it with `carillon \
                 reset --level function`",
                reg::status::FATAL_CODE.get(self.status)
            ));
        }
        remarks
    }

    fn other_gateware(&self) -> String {
        let (own, hash) = (reg::RDL_HASH, self.rdl_hash);
        if self.version == CONTRACT_VERSION {
            return format!(
                "the gateware has register map {hash:#018x}, this program knows {own:#018x}, both of \
                 contract {CONTRACT_VERSION}: load the gateware that was built with this program, or \
                 use the `carillon` that was built with that gateware"
            );
        }
        let newer = if self.version > CONTRACT_VERSION {
            "program"
        } else {
            "gateware"
        };
        format!(
            "the gateware has contract {} (register map {hash:#018x}), this program knows contract \
             {CONTRACT_VERSION} (map {own:#018x}): update the {newer}",
            self.version
        )
    }
}

impl QueueState {
    /// Reads the status of the first `count` queues.
    pub fn read_all(transport: &dyn Transport, count: u16) -> Vec<Self> {
        let one = |number| {
            let status = transport.read32(reg::queue_status::offset(number));
            Self {
                number,
                active: reg::queue_status::ACTIVE.get(status) == 1,
                error: match reg::queue_status::ERROR.get(status) {
                    0 => None,
                    1 => Some("DOORBELL"),
                    2 => Some("FETCH"),
                    3 => Some("POST"),
                    _ => Some("unknown"),
                },
            }
        };
        (0..count).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            magic: reg::magic::RESET,
            version: CONTRACT_VERSION,
            rdl_hash: reg::RDL_HASH,
            configuration: 0,
            status: 1,
        }
    }

    #[test]
    fn what_is_odd_is_named_with_the_next_step() {
        assert_eq!(
            (identity().verdict(), identity().remarks().len()),
            (Verdict::Known, 0)
        );
        let silent = Identity {
            magic: u32::MAX,
            status: u32::MAX,
            ..identity()
        };
        assert_eq!(
            (silent.verdict(), silent.remarks().len()),
            (Verdict::Silent, 1)
        );
        let other = Identity {
            magic: 0x1234,
            ..identity()
        };
        assert_eq!(other.verdict(), Verdict::NotACard);
        assert!(other.remarks()[0].contains("0x00001234"));
        let cases = [
            (CONTRACT_VERSION, "load the gateware"),
            (CONTRACT_VERSION + 1, "update the program"),
            (0, "update the gateware"),
        ];
        for (version, advice) in cases {
            let foreign = Identity {
                version,
                rdl_hash: 7,
                ..identity()
            };
            assert_eq!(foreign.verdict(), Verdict::OtherGateware);
            assert!(
                foreign.remarks()[0].contains(advice),
                "{:?}",
                foreign.remarks()
            );
        }
        let fatal = Identity {
            status: 0x0204,
            ..identity()
        };
        assert!(
            fatal.remarks()[0].contains("code 2"),
            "{:?}",
            fatal.remarks()
        );
    }
}
