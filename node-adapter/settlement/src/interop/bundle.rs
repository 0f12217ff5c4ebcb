//! Bundles: built, checked, hashed, and turned into the words that the L2 signature covers. No I/O.
//!
//! Called by wallets, by the node that takes signed bundles, and by tests. The types are those of
//! `node-adapter/contracts/src/interop/Bundle.sol`.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::sol_types::SolValue;
use carillon_protocol::{Kind, layout};

pub use super::contracts::InteropHandler::{Bundle, Call, Return};

/// The largest gas limit of a bundle that a transaction can run: a transaction has 2^24 gas
/// (EIP-7825), of which the run gets 63/64 at most, and 1,000,000 are left for the checks before
/// the run and the return after it.
pub const MAX_BUNDLE_GAS: u64 = ((1 << 24) - 1_000_000) / 64 * 63;
/// Account indices are below this.
const ACCOUNTS: u32 = 1 << 24;
/// Token slots are below this.
const TOKENS: u8 = 64;

/// Why a bundle would be refused on L1, or could not be signed on L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Nobody owns it.
    #[error("the bundle has no owner; give the owner of the L2 account that signs it")]
    NoOwner,
    /// Too much gas.
    #[error(
        "a gas limit of {0} cannot be run: a bundle may have {MAX_BUNDLE_GAS} (EIP-7825); split it"
    )]
    GasLimit(u64),
    /// Data for an account that cannot take them.
    #[error(
        "call {0} has {1} bytes of data, fewer than a selector; leave it empty to pay an account"
    )]
    CallData(usize, usize),
    /// A return that is not used must be zero, so that a bundle has one hash.
    #[error("the bundle sends nothing back, but its return is not zero; set it to zero")]
    UnusedReturn,
    /// No such token slot.
    #[error("token slot {0} does not exist; slots are below {TOKENS}")]
    Token(u8),
    /// No such account.
    #[error("account {0} does not exist; accounts are below {ACCOUNTS}")]
    Account(u32),
    /// Amounts are below 2^96.
    #[error("{0} is no amount; amounts are below 2^96")]
    Amount(u128),
    /// The tip comes out of the withdrawn amount.
    #[error(
        "a tip of {tip} cannot be paid out of {amount}: the bundle could never run; withdraw more or give less"
    )]
    Tip {
        /// The tip.
        tip: u128,
        /// The withdrawn amount.
        amount: u128,
    },
}

impl Bundle {
    /// A bundle of `calls` that sends nothing back.
    pub fn new(
        place: Place,
        owner: Address,
        deadline: u64,
        gas_limit: u64,
        calls: Vec<Call>,
    ) -> Self {
        Self {
            chainId: place.chain_id,
            l1ChainId: U256::from(place.l1_chain_id),
            handler: place.handler,
            owner,
            deadline,
            gasLimit: gas_limit,
            calls,
            hasReturn: false,
            ret: Return {
                token: 0,
                minAmount: alloy::primitives::Uint::ZERO,
            },
            tip: alloy::primitives::Uint::ZERO,
        }
    }

    /// The same bundle with a tip for whoever runs it, in the token that it withdraws. `tip` is cut
    /// to 96 bits by the type of the contract's field.
    #[must_use]
    pub fn tipping(self, tip: u128) -> Self {
        Self {
            tip: alloy::primitives::Uint::saturating_from(tip),
            ..self
        }
    }

    /// The same bundle with a return: after the calls, the alias account's whole balance of
    /// `token`, at least `min_amount`, goes to the owner on L2. `min_amount` is cut to 96 bits by
    /// the type of the contract's field.
    #[must_use]
    pub fn returning(self, token: u8, min_amount: u128) -> Self {
        Self {
            hasReturn: true,
            ret: Return {
                token,
                minAmount: alloy::primitives::Uint::saturating_from(min_amount),
            },
            ..self
        }
    }

    /// Refuses what L1 would refuse or could never run.
    pub fn check(&self) -> Result<(), BundleError> {
        if self.owner.is_zero() {
            return Err(BundleError::NoOwner);
        }
        if self.gasLimit > MAX_BUNDLE_GAS {
            return Err(BundleError::GasLimit(self.gasLimit));
        }
        for (index, call) in self.calls.iter().enumerate() {
            if (1..4).contains(&call.data.len()) {
                return Err(BundleError::CallData(index, call.data.len()));
            }
        }
        if self.ret.token >= TOKENS {
            return Err(BundleError::Token(self.ret.token));
        }
        if !self.hasReturn && (self.ret.token != 0 || !self.ret.minAmount.is_zero()) {
            return Err(BundleError::UnusedReturn);
        }
        Ok(())
    }

    /// Refuses a tip that is more than the withdrawn amount.
    ///
    /// # Errors
    /// [`BundleError::Tip`].
    pub fn check_tip(&self, amount: u128) -> Result<(), BundleError> {
        let tip = self.tip.saturating_to();
        match tip > amount {
            true => Err(BundleError::Tip { tip, amount }),
            false => Ok(()),
        }
    }

    /// `keccak256(abi.encode(bundle)) >> 8`: 248 bits, a field element.
    pub fn hash(&self) -> U256 {
        U256::from_be_bytes(keccak256(self.abi_encode()).0) >> 8
    }

    /// The record of an L2 operation that withdraws `amount` of `token` from `account` for this
    /// bundle. Its words 1 to 3 are what the owner signs.
    ///
    /// # Errors
    /// [`BundleError`] for what could not be signed, or would be refused on L1.
    pub fn record(&self, account: u32, token: u8, amount: u128) -> Result<[U256; 5], BundleError> {
        self.check()?;
        if account >= ACCOUNTS {
            return Err(BundleError::Account(account));
        }
        if token >= TOKENS {
            return Err(BundleError::Token(token));
        }
        if amount >> 96 != 0 {
            return Err(BundleError::Amount(amount));
        }
        self.check_tip(amount)?;
        let w0 = layout::record::word0(Kind::Bundle as u8, account, token);
        let owner = U256::from_be_slice(self.owner.as_slice());
        Ok([
            U256::from(w0),
            U256::from(amount),
            self.hash(),
            owner,
            U256::ZERO,
        ])
    }
}

/// Where a bundle may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The rollup.
    pub chain_id: u64,
    /// EIP-155 number of the Ethereum chain.
    pub l1_chain_id: u64,
    /// The interop handler.
    pub handler: Address,
}

impl Call {
    /// A call of a contract with encoded arguments, without ETH.
    pub fn of(target: Address, call: &impl alloy::sol_types::SolCall) -> Self {
        Self {
            target,
            value: U256::ZERO,
            data: call.abi_encode().into(),
        }
    }

    /// A payment of ETH out of the alias account.
    pub fn pay(target: Address, wei: U256) -> Self {
        Self {
            target,
            value: wei,
            data: Bytes::new(),
        }
    }

    /// The same call with ETH out of the alias account.
    #[must_use]
    pub fn with_value(self, wei: U256) -> Self {
        Self { value: wei, ..self }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn place() -> Place {
        Place {
            chain_id: 7,
            l1_chain_id: 31337,
            handler: address!("1111111111111111111111111111111111111111"),
        }
    }

    fn owner() -> Address {
        address!("2222222222222222222222222222222222222222")
    }

    fn bundle() -> Bundle {
        let call = Call {
            target: owner(),
            value: U256::from(5),
            data: vec![1, 2, 3, 4].into(),
        };
        Bundle::new(place(), owner(), 1_900_000_000, 500_000, vec![call])
            .returning(3, 10)
            .tipping(6)
    }

    #[test]
    fn the_encoding_is_solidity_s() {
        // abi.encode of a dynamic struct begins with the place of its head.
        let encoded = bundle().abi_encode();
        let word = |i: usize| U256::from_be_slice(&encoded[32 * i..32 * (i + 1)]);
        assert_eq!(word(0), U256::from(32));
        assert_eq!(word(1), U256::from(7));
        assert_eq!(word(2), U256::from(31337));
        assert_eq!(word(6), U256::from(500_000));
        assert_eq!(word(8), U256::from(1));
        assert_eq!((word(9), word(10)), (U256::from(3), U256::from(10)));
        assert_eq!(word(11), U256::from(6));
    }

    #[test]
    fn every_field_is_in_the_hash() {
        let base = bundle();
        let mut others = vec![base.clone(); 13];
        others[0].chainId += 1;
        others[1].l1ChainId += U256::from(1);
        others[2].handler = owner();
        others[3].owner = place().handler;
        others[4].deadline += 1;
        others[5].gasLimit += 1;
        others[6].calls[0].target = place().handler;
        others[7].calls[0].value += U256::from(1);
        others[8].calls[0].data = vec![1, 2, 3].into();
        others[9].calls.clear();
        others[10].ret.token += 1;
        others[11] = others[11].clone().returning(3, 11);
        others[12] = others[12].clone().tipping(7);
        let mut hashes: Vec<U256> = others.iter().map(Bundle::hash).collect();
        hashes.push(base.hash());
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 14);
    }

    #[test]
    fn what_l1_would_refuse_is_refused() {
        bundle().check().unwrap();
        let refused = |change: fn(&mut Bundle)| {
            let mut bundle = bundle();
            change(&mut bundle);
            bundle.check().unwrap_err()
        };
        assert_eq!(refused(|b| b.owner = Address::ZERO), BundleError::NoOwner);
        assert_eq!(
            refused(|b| b.gasLimit = MAX_BUNDLE_GAS + 1),
            BundleError::GasLimit(MAX_BUNDLE_GAS + 1)
        );
        assert_eq!(
            refused(|b| b.calls[0].data = vec![1, 2, 3].into()),
            BundleError::CallData(0, 3)
        );
        assert_eq!(refused(|b| b.ret.token = 64), BundleError::Token(64));
        assert_eq!(refused(|b| b.hasReturn = false), BundleError::UnusedReturn);
        let record = bundle().record(1 << 24, 0, 1).unwrap_err();
        assert_eq!(record, BundleError::Account(1 << 24));
        let record = bundle().record(1, 64, 1).unwrap_err();
        assert_eq!(record, BundleError::Token(64));
        let record = bundle().record(1, 1, 1 << 96).unwrap_err();
        assert_eq!(record, BundleError::Amount(1 << 96));
        bundle().record(1, 1, 6).unwrap();
        let record = bundle().record(1, 1, 5).unwrap_err();
        assert_eq!(record, BundleError::Tip { tip: 6, amount: 5 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn records_are_words_of_the_field(
            account in 0u32..1 << 24,
            token in 0u8..64,
            amount in 6u128..1 << 96,
            data in vec(any::<u8>(), 4..80),
        ) {
            let mut bundle = bundle();
            bundle.calls[0].data = data.into();
            let words = bundle.record(account, token, amount).unwrap();
            prop_assert_eq!(words[0] & U256::from(15), U256::from(4));
            prop_assert_eq!((words[0] >> 4) & U256::from(0xff_ffff), U256::from(account));
            prop_assert_eq!(words[0] >> 28, U256::from(token));
            prop_assert_eq!(words[1], U256::from(amount));
            prop_assert_eq!(words[2] >> 248, U256::ZERO);
            prop_assert_eq!(words[3], U256::from_be_slice(owner().as_slice()));
            prop_assert_eq!(words[4], U256::ZERO);
        }
    }
}
