//! The two groups of BLS12-381 that an MSM sums in, and what differs between them in the contract.
//!
//! Pure; used by everything that handles `MSM_G1` and `MSM_G2` alike.

use super::{BEAT, MsmMode, Opcode};

/// Bytes of a coordinate in Fp (Montgomery image).
pub const FP_BYTES: u64 = 48;

/// The group of an MSM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Points over Fp.
    G1,
    /// Points over Fp2 on the twist. Not every card sums there
    /// ([`CardInfo::msm_g2`](crate::card::CardInfo::msm_g2)).
    G2,
}

impl Group {
    /// Both.
    pub const ALL: [Self; 2] = [Self::G1, Self::G2];

    /// Elements of Fp that make up a coordinate: 1 or 2.
    const fn degree(self) -> u64 {
        match self {
            Self::G1 => 1,
            Self::G2 => 2,
        }
    }

    /// The command that sums in it.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::G1 => Opcode::MsmG1,
            Self::G2 => Opcode::MsmG2,
        }
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::G1 => "g1",
            Self::G2 => "g2",
        }
    }

    /// The command's name in the contract.
    pub const fn command(self) -> &'static str {
        match self {
            Self::G1 => "MSM_G1",
            Self::G2 => "MSM_G2",
        }
    }

    /// Bytes of an affine point in memory: x, y.
    pub const fn point_bytes(self) -> u64 {
        2 * self.degree() * FP_BYTES
    }

    /// Bytes of a sum without what fills its last beat: X, Y, Z.
    pub const fn sum_bytes(self) -> u64 {
        3 * self.degree() * FP_BYTES
    }

    /// Bytes that the command writes: the sum, then zeros.
    pub const fn result_bytes(self) -> u64 {
        self.sum_bytes().next_multiple_of(BEAT)
    }

    /// In how many parts a scalar is taken.
    pub const fn parts(self, mode: MsmMode) -> u32 {
        match (mode, self) {
            (MsmMode::Full, _) => 1,
            (MsmMode::Split, Self::G1) => 2,
            (MsmMode::Split, Self::G2) => 4,
        }
    }

    /// Cycles for which an addition occupies its adder: the unit of an MSM's `ops` and bubbles.
    pub const fn slot_cycles(self) -> u64 {
        match self {
            Self::G1 => 1,
            Self::G2 => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_contract() {
        let sizes = Group::ALL.map(|g| (g.point_bytes(), g.sum_bytes(), g.result_bytes()));
        assert_eq!(sizes, [(96, 144, 192), (192, 288, 320)]);
        let parts = Group::ALL.map(|g| [MsmMode::Split, MsmMode::Full].map(|m| g.parts(m)));
        assert_eq!(parts, [[2, 1], [4, 1]]);
        for group in Group::ALL {
            assert_eq!(
                Opcode::from_code(group.opcode() as u8),
                Some(group.opcode())
            );
        }
    }
}
