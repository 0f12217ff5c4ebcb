//! Who is at the other end of an operation between chains: one word of its record.
//!
//! PROTOCOL.md, "Between chains". Pure. Used by operations and by whoever follows lanes and flows.

use blstrs::Scalar;

/// The legs that a flow can have.
pub const MOST_LEGS: u8 = 8;

const CHAIN: usize = 160 / 8;
const LEG: usize = CHAIN + 8;
const FLOW: usize = LEG + 1;

/// `owner + 2^160 chain + 2^224 leg + 2^232 flow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    /// Who owns the account there, an address on L1; not zeros.
    pub owner: [u8; 20],
    /// The chain that the account is on; not 0.
    pub chain: u64,
    /// Which leg of a flow it is; none if it is a message by itself.
    pub leg: Option<u8>,
}

impl Party {
    /// Somebody on a chain, outside any flow.
    pub const fn new(owner: [u8; 20], chain: u64) -> Self {
        let leg = None;
        Self { owner, chain, leg }
    }

    /// The word.
    pub fn to_word(&self) -> Scalar {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.owner.iter().rev()) {
            *to = *from;
        }
        bytes[CHAIN..LEG].copy_from_slice(&self.chain.to_le_bytes());
        bytes[LEG] = self.leg.unwrap_or(0);
        bytes[FLOW] = u8::from(self.leg.is_some());
        // 233 bits are always below the modulus.
        Option::from(Scalar::from_bytes_le(&bytes)).unwrap_or_default()
    }

    /// Reads the word; none for one that no party has: another bit, an owner or a chain that is 0, a
    /// leg outside a flow, a leg that no flow has.
    pub fn from_word(word: &Scalar) -> Option<Self> {
        let bytes = word.to_bytes_le();
        let mut owner = [0; 20];
        owner.copy_from_slice(bytes.get(..CHAIN)?);
        owner.reverse();
        let chain = u64::from_le_bytes(*bytes.get(CHAIN..LEG)?.first_chunk()?);
        let leg = match (bytes[FLOW], bytes[LEG]) {
            (0, 0) => None,
            (1, leg) if leg < MOST_LEGS => Some(leg),
            _ => return None,
        };
        let clean = bytes.iter().skip(FLOW + 1).all(|byte| *byte == 0);
        let party = Self { owner, chain, leg };
        (clean && owner != [0; 20] && chain != 0).then_some(party)
    }
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use proptest::prelude::*;

    use super::*;
    use crate::owner_word;

    proptest! {
        #[test]
        fn parties_have_one_word(
            owner in any::<[u8; 20]>(),
            chain in 1..=u64::MAX,
            leg in prop::option::of(0..MOST_LEGS),
            bit in 0u64..254,
        ) {
            prop_assume!(owner != [0; 20]);
            let party = Party { owner, chain, leg };
            let power = |bit: u64| Scalar::from(2).pow_vartime([bit]);
            let expected = owner_word(&owner)
                + power(160) * Scalar::from(chain)
                + power(224) * Scalar::from(u64::from(leg.unwrap_or(0)))
                + if leg.is_some() { power(232) } else { Scalar::ZERO };
            prop_assert_eq!(party.to_word(), expected);
            prop_assert_eq!(Party::from_word(&expected), Some(party));
            // Another word is another party, or none.
            let other = Party::from_word(&(expected + power(bit)));
            prop_assert!(other != Some(party));
            prop_assert!(bit < 233 || other.is_none());
        }
    }

    #[test]
    fn words_that_no_party_has_are_refused() {
        let good = Party::new([7; 20], 270);
        let power = |bit: u64| Scalar::from(2).pow_vartime([bit]);
        assert_eq!(Party::from_word(&good.to_word()), Some(good));
        let leg = Party {
            leg: Some(7),
            ..good
        };
        assert_eq!(Party::from_word(&leg.to_word()), Some(leg));
        for wrong in [
            Scalar::ZERO,
            Party::new([0; 20], 270).to_word(),
            Party::new([7; 20], 0).to_word(),
            good.to_word() + power(224),
            leg.to_word() + power(224),
            leg.to_word() + power(233),
            leg.to_word() + power(240),
        ] {
            assert_eq!(Party::from_word(&wrong), None, "{wrong}");
        }
    }
}
