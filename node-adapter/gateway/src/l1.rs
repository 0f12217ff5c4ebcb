//! What is asked of Ethereum: how far chains are, who operates them, whether a proof is right, how far lanes are.
//!
//! Called by `service`. Nothing is cached but what never changes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use alloy::primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use carillon_settlement::abi::IRollupChain::StoredBatch;
use carillon_settlement::abi::{ChainHub, Gateway, Groth16Verifier, RollupChain, SharedBridge};
use carillon_settlement::{L1Client, Meaning, SettlementError, progress};

/// The precompile of EIP-4844.
const POINT_EVALUATION: Address = address!("000000000000000000000000000000000000000a");

/// What L1 says of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainFacts {
    /// The `RollupChain`.
    pub contract: Address,
    /// Batches that are executed.
    pub executed: u64,
    /// Batches that are committed.
    pub committed: u64,
    /// Whether the chain is over.
    pub halted: bool,
    /// Whether it has no blobs.
    pub validium: bool,
    /// Who signs its batches.
    pub operator: Address,
}

/// A lane on L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneFacts {
    /// Entries that were sent.
    pub sent: u64,
    /// The hash over them.
    pub sent_hash: B256,
    /// Entries that were taken.
    pub taken: u64,
}

/// The chains of a hub, through a gateway's contract.
#[derive(Debug)]
pub struct Chains {
    client: L1Client,
    /// L1's chain id (EIP-155).
    pub l1_chain_id: u64,
    /// The `Gateway`.
    pub gateway: Address,
    hub: Address,
    bridge: Address,
    contracts: Mutex<BTreeMap<u64, Address>>,
    tokens: Mutex<BTreeMap<(u64, u8), Address>>,
}

impl Chains {
    /// Finds hub and bridge from the gateway's contract.
    ///
    /// # Errors
    /// Errors of the node; an address that is no gateway's.
    pub async fn find(
        client: L1Client,
        gateway: Address,
        l1_chain_id: u64,
    ) -> Result<Self, SettlementError> {
        let hub = read(&client, gateway, &Gateway::hubCall {}).await?;
        let bridge = read(&client, gateway, &Gateway::bridgeCall {}).await?;
        Ok(Self {
            client,
            l1_chain_id,
            gateway,
            hub,
            bridge,
            contracts: Mutex::default(),
            tokens: Mutex::default(),
        })
    }

    /// The contract of a chain; none if the hub does not know it.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn contract(&self, chain: u64) -> Result<Option<Address>, SettlementError> {
        if let Some(known) = lock(&self.contracts).get(&chain) {
            return Ok(Some(*known));
        }
        let call = ChainHub::chainCall { chainId: chain };
        let contract = read(&self.client, self.hub, &call).await?;
        if contract.is_zero() {
            return Ok(None);
        }
        lock(&self.contracts).insert(chain, contract);
        Ok(Some(contract))
    }

    /// How a chain is.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn chain(&self, chain: u64) -> Result<Option<ChainFacts>, SettlementError> {
        let Some(contract) = self.contract(chain).await? else {
            return Ok(None);
        };
        let progress = progress(&self.client, contract).await?;
        Ok(Some(ChainFacts {
            contract,
            executed: progress.executed,
            committed: progress.committed,
            halted: progress.halted,
            validium: read(&self.client, contract, &RollupChain::validiumCall {}).await?,
            operator: read(&self.client, contract, &RollupChain::operatorCall {}).await?,
        }))
    }

    /// The verifier of a chain's shape; zero if there is none.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn verifier(
        &self,
        contract: Address,
        shape: u32,
    ) -> Result<Address, SettlementError> {
        read(&self.client, contract, &RollupChain::verifierCall { shape }).await
    }

    /// Whether a verifier accepts a proof.
    ///
    /// # Errors
    /// [`SettlementError::Refused`] with its reason; errors of the node.
    pub async fn verify(
        &self,
        verifier: Address,
        proof: Bytes,
        inputs: [U256; 5],
    ) -> Result<(), SettlementError> {
        let call = Groth16Verifier::verifyProofCall { proof, inputs };
        let answer = self
            .client
            .call("verifyProof", verifier, call.abi_encode().into());
        answer.await.map(drop)
    }

    /// Whether the blob with this hash is y at z, by the precompile of EIP-4844.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn opens(
        &self,
        hash: B256,
        [z, y]: [U256; 2],
        commitment: &[u8],
        proof: &[u8],
    ) -> Result<bool, SettlementError> {
        let words = [hash.0, z.to_be_bytes(), y.to_be_bytes()].concat();
        let input = [&words[..], commitment, proof].concat();
        let answer = self
            .client
            .call("point evaluation", POINT_EVALUATION, input.into());
        match answer.await {
            Ok(answer) => Ok(answer.len() == 64),
            Err(SettlementError::Refused { .. }) => Ok(false),
            // A precompile that fails takes all gas and says nothing; what it means differs between clients.
            Err(error) if error.meaning() == Some(Meaning::Down) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Whether a chain holds exactly this batch as committed.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn is_committed(
        &self,
        contract: Address,
        stored: &StoredBatch,
    ) -> Result<bool, SettlementError> {
        let number = stored.number;
        let held = read(
            &self.client,
            contract,
            &RollupChain::batchHashCall { number },
        )
        .await?;
        Ok(held == keccak256(stored.abi_encode()))
    }

    /// How far a lane is.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn lane(&self, from: u64, to: u64) -> Result<LaneFacts, SettlementError> {
        let lane = read(
            &self.client,
            self.bridge,
            &SharedBridge::laneCall { from, to },
        )
        .await?;
        Ok(LaneFacts {
            sent: lane.sent,
            sent_hash: lane.sentHash,
            taken: lane.taken,
        })
    }

    /// The token in a chain's slot, which never changes once it is set; zero for ETH.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn token(&self, chain: u64, slot: u8) -> Result<Address, SettlementError> {
        if slot == 0 {
            return Ok(Address::ZERO);
        }
        if let Some(known) = lock(&self.tokens).get(&(chain, slot)) {
            return Ok(*known);
        }
        let call = SharedBridge::tokenAtCall {
            chainId: chain,
            slot: U256::from(slot),
        };
        let token = read(&self.client, self.bridge, &call).await?;
        if !token.is_zero() {
            lock(&self.tokens).insert((chain, slot), token);
        }
        Ok(token)
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn read<C: SolCall>(
    client: &L1Client,
    to: Address,
    call: &C,
) -> Result<C::Return, SettlementError> {
    let answer = client
        .call(C::SIGNATURE, to, call.abi_encode().into())
        .await?;
    C::abi_decode_returns(&answer).map_err(|error| SettlementError::NotOurContract {
        address: to,
        request: C::SIGNATURE,
        reason: error.to_string(),
    })
}
