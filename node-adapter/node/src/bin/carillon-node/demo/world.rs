//! The demo's Ethereum: a node, the contracts, two users with keys on both sides.

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use blstrs::Scalar;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::{Domain, Record};
use carillon_runtime::groth16::VerifyingKey;
use carillon_settlement::abi::RollupChain::QueueEntry;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::{Anvil, Deadlines, GasLimit, L1Client, Mined};

use super::figures::{CHAIN_ID, DEPOSIT, draw};
use crate::exit::Failure;

/// The number under which the chain knows the demo's circuit.
pub const SHAPE: u32 = 1;

/// A user: a key on Ethereum, a key on the rollup.
pub struct User {
    /// Shown in the report.
    pub name: &'static str,
    /// Speaks to Ethereum.
    pub l1: L1Client,
    /// Signs on the rollup.
    pub key: SecretKey,
}

impl User {
    /// The user's address, which owns the account.
    pub fn owner(&self) -> Address {
        self.l1.address()
    }
}

/// Ethereum as the demo uses it.
pub struct World {
    /// The operator's key at work.
    pub operator: L1Client,
    /// The same key, for the L1 sender.
    pub operator_key: PrivateKeySigner,
    /// The contracts.
    pub l1: Deployment,
    /// The node's chain id.
    pub l1_chain_id: u64,
    /// Alice and Bob.
    pub users: [User; 2],
    /// An address without any history.
    pub third_party: Address,
}

impl World {
    /// Deploys the contracts on a node.
    pub async fn new(
        anvil: &Anvil,
        key: &VerifyingKey,
        genesis_root: &Scalar,
        seed: u64,
    ) -> Result<Self, Failure> {
        let signer = |index: usize| {
            anvil.signers().get(index).cloned().ok_or_else(|| {
                let text = "anvil printed too few funded accounts; is it another program?";
                Failure::unavailable(text.into())
            })
        };
        let operator_key = signer(0)?;
        let operator = L1Client::new(anvil.url(), operator_key.clone(), Deadlines::default())?;
        let options = DeployOptions::new(CHAIN_ID, genesis_root).verifier(SHAPE, key.clone());
        let l1 = Deployment::deploy(&operator, options).await?;
        let user = |name, index| {
            Ok::<_, Failure>(User {
                name,
                l1: operator.with_signer(signer(index)?),
                key: SecretKey::from_seed(&draw(seed, b"key", index)),
            })
        };
        let [a, b, ..] = draw(seed, b"stranger", 0);
        Ok(Self {
            users: [user("Alice", 1)?, user("Bob", 2)?],
            third_party: Address::with_last_byte(a).create(b.into()),
            l1_chain_id: operator.chain_id().await?,
            operator,
            operator_key,
            l1,
        })
    }

    /// What the chain's operations are signed for.
    pub fn domain(&self) -> Domain {
        Domain::new(&self.l1.home(self.l1_chain_id), CHAIN_ID)
    }

    /// Deposits with the user's key; returns the queue's entry.
    pub async fn deposit(&self, user: &User) -> Result<(u64, Record), Failure> {
        let amount = U256::from(DEPOSIT);
        let call = SharedBridge::depositCall {
            chainId: CHAIN_ID,
            token: U256::ZERO,
            amount,
            owner: user.owner(),
            keyProof: key_proof(user.key.public()),
        };
        let (to, input) = (Some(self.l1.bridge), call.abi_encode().into());
        let estimate = GasLimit::Estimate;
        let mined = user
            .l1
            .pay("the deposit", to, amount, input, estimate)
            .await?;
        let entry = entries(&mined)?.into_iter().next();
        entry.ok_or_else(|| Failure::wrong_result("the deposit made no entry in the queue".into()))
    }
}

/// The entries that a transaction put into the queue.
pub fn entries(mined: &Mined) -> Result<Vec<(u64, Record)>, Failure> {
    let logs = mined.receipt.inner.logs().iter();
    let events = logs.filter_map(|log| QueueEntry::decode_log(&log.inner).ok());
    let entry = |event: alloy::primitives::Log<QueueEntry>| {
        let words = event.words.map(|word| {
            let scalar = Scalar::from_bytes_be(&word.to_be_bytes());
            Option::<Scalar>::from(scalar).unwrap_or_default()
        });
        let record = Record::from_words(&words, 0)
            .map_err(|error| Failure::wrong_result(format!("an entry of the queue: {error}")))?;
        Ok((event.index, record))
    };
    events.map(entry).collect()
}
