//! Calls that a governor makes: a key at once, a timelock after it announced them. Called by
//! `carillon-node chain`.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;

use crate::SettlementError;
use crate::abi::ChainTimelock;
use crate::watch::NodeSource;

/// Operations with the same calls, one after the other, that a timelock can have had.
const MOST_REPEATED: u64 = 1_000;

/// A call of a contract, with what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// Function and arguments.
    pub data: Bytes,
    /// What it does, in words.
    pub text: String,
}

impl Call {
    /// A call with its meaning.
    pub fn new(to: Address, call: &impl SolCall, text: String) -> Self {
        Self {
            to,
            data: call.abi_encode().into(),
            text,
        }
    }
}

/// Who governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Governor {
    /// An address without code: its key signs.
    Key(Address),
    /// A timelock.
    Timelock {
        /// The contract.
        address: Address,
        /// Seconds from announcement to effect.
        delay: u64,
    },
    /// Another contract, which has its own way of making calls.
    Other(Address),
}

impl Governor {
    /// Looks at an address.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn find(source: &NodeSource, address: Address) -> Result<Self, SettlementError> {
        if source.code(address).await?.is_empty() {
            return Ok(Self::Key(address));
        }
        let delay = source.read(address, ChainTimelock::getMinDelayCall {});
        match delay.await {
            Ok(delay) => Ok(Self::Timelock {
                address,
                delay: delay.saturating_to(),
            }),
            Err(SettlementError::NotOurContract { .. }) => Ok(Self::Other(address)),
            Err(error) => Err(error),
        }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        match self {
            Self::Key(address) | Self::Timelock { address, .. } | Self::Other(address) => *address,
        }
    }
}

/// How far a timelock is with a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// Not announced.
    New,
    /// Announced; it can be executed from this Unix time on.
    Waiting(u64),
    /// Can be executed by anyone.
    Ready,
}

/// Calls as one operation of a timelock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The timelock.
    pub timelock: Address,
    /// Its delay in seconds.
    pub delay: u64,
    /// The calls, in order; all or none.
    pub calls: Vec<Call>,
    /// Tells it from earlier operations with the same calls.
    pub salt: B256,
    /// The timelock's id of it.
    pub id: B256,
}

impl Proposal {
    /// The operation with these calls that is pending, or else the next one that can be announced: those
    /// that were executed before have other salts.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn find(
        source: &NodeSource,
        (timelock, delay): (Address, u64),
        calls: Vec<Call>,
    ) -> Result<(Self, ProposalState), SettlementError> {
        let mut salt = 0;
        loop {
            let mut proposal = Self {
                timelock,
                delay,
                calls: calls.clone(),
                salt: B256::from(U256::from(salt)),
                id: B256::ZERO,
            };
            proposal.id = source.read(timelock, proposal.hash()).await?;
            let id = proposal.id;
            let at = source.read(timelock, ChainTimelock::getTimestampCall { id });
            let at: u64 = at.await?.saturating_to();
            // 0 is unknown, 1 is done (OpenZeppelin's TimelockController).
            let state = match at {
                0 => ProposalState::New,
                1 if salt < MOST_REPEATED => {
                    salt += 1;
                    continue;
                }
                at if at <= source.time().await? => ProposalState::Ready,
                at => ProposalState::Waiting(at),
            };
            return Ok((proposal, state));
        }
    }

    fn parts(&self) -> (Vec<Address>, Vec<U256>, Vec<Bytes>) {
        let calls = self.calls.iter();
        (
            calls.clone().map(|call| call.to).collect(),
            vec![U256::ZERO; self.calls.len()],
            calls.map(|call| call.data.clone()).collect(),
        )
    }

    fn hash(&self) -> ChainTimelock::hashOperationBatchCall {
        let (targets, values, payloads) = self.parts();
        ChainTimelock::hashOperationBatchCall {
            targets,
            values,
            payloads,
            predecessor: B256::ZERO,
            salt: self.salt,
        }
    }

    /// The call that announces it.
    pub fn schedule(&self) -> ChainTimelock::scheduleBatchCall {
        let (targets, values, payloads) = self.parts();
        ChainTimelock::scheduleBatchCall {
            targets,
            values,
            payloads,
            predecessor: B256::ZERO,
            salt: self.salt,
            delay: U256::from(self.delay),
        }
    }

    /// The call that brings it to effect.
    pub fn execute(&self) -> ChainTimelock::executeBatchCall {
        let (targets, values, payloads) = self.parts();
        ChainTimelock::executeBatchCall {
            targets,
            values,
            payloads,
            predecessor: B256::ZERO,
            salt: self.salt,
        }
    }

    /// Whether an address may announce it.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn may_propose(
        &self,
        source: &NodeSource,
        account: Address,
    ) -> Result<bool, SettlementError> {
        let role = ChainTimelock::PROPOSER_ROLECall {};
        let role = source.read(self.timelock, role).await?;
        let has = ChainTimelock::hasRoleCall { role, account };
        source.read(self.timelock, has).await
    }
}
