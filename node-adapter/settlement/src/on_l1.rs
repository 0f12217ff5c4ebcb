//! What Ethereum says of a chain: who operates it, which key its batches are proved with, and how
//! far it is. Called at the node's start, to compare it with what the node has, and by
//! `resync`.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockId;
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{EthCall, Provider};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use blstrs::Scalar;

use super::abi::{ChainHub, Groth16Verifier, IRollupChain::Progress, RollupChain, SharedBridge};
use super::lanes::Fold;
use super::watch::{NodeSource, Source};
use super::{DataMode, SettlementError};
use carillon_protocol::Home;
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::schnorr::PublicKey;

/// A chain as its contracts describe it, all as of one block.
#[derive(Clone, Debug)]
pub struct ChainOnL1 {
    /// Id of the Ethereum chain.
    pub l1: u64,
    /// The block that this is true of.
    pub block: u64,
    /// The `RollupChain`.
    pub contract: Address,
    /// Id of the rollup chain.
    pub chain: u64,
    /// Who commits batches.
    pub operator: Address,
    /// The operator's account on the chain.
    pub operator_account: u32,
    /// Where the batches' data are.
    pub mode: DataMode,
    /// The `ChainHub`.
    pub hub: Address,
    /// The `SharedBridge`.
    pub bridge: Address,
    /// The contract that the hub has under the chain's id.
    pub registered: Address,
    /// The state root after the last executed batch.
    pub state_root: U256,
    /// The leaves of the account tree, as the queue counts its owners.
    pub accounts: u32,
    /// Batches and queue entries.
    pub progress: Progress,
    /// The verifying key's hash for the shape that was asked about; none if it has no verifier.
    pub key_hash: Option<B256>,
}

impl ChainOnL1 {
    /// Where the chain's contracts are.
    pub fn home(&self) -> Home {
        Home {
            l1_chain_id: self.l1,
            hub: self.hub.into(),
            bridge: self.bridge.into(),
        }
    }

    /// Reads the contracts behind `source`; `shape` is the number of a circuit.
    ///
    /// # Errors
    /// Errors of the node, and [`SettlementError::NotOurContract`].
    pub async fn read(source: &NodeSource, shape: u32) -> Result<Self, SettlementError> {
        let l1 = source.ask("eth_chainId", source.provider().get_chain_id());
        let l1 = l1.await?;
        let block = source.head().await?;
        let contract = source.contract();
        let at = View { source, block };
        let chain = at.ask(contract, RollupChain::chainIdCall {}).await?;
        let hub = at.ask(contract, RollupChain::hubCall {}).await?;
        let bridge = at.ask(contract, RollupChain::bridgeCall {}).await?;
        let verifier = at
            .ask(contract, RollupChain::verifierCall { shape })
            .await?;
        let key_hash = if verifier.is_zero() {
            None
        } else {
            Some(at.ask(verifier, Groth16Verifier::keyHashCall {}).await?)
        };
        Ok(Self {
            l1,
            block,
            contract,
            chain,
            operator: at.ask(contract, RollupChain::operatorCall {}).await?,
            operator_account: at
                .ask(contract, RollupChain::operatorAccountCall {})
                .await?,
            mode: DataMode::of(at.ask(contract, RollupChain::validiumCall {}).await?),
            hub,
            bridge,
            registered: at.ask(hub, ChainHub::chainCall { chainId: chain }).await?,
            state_root: at.ask(contract, RollupChain::stateRootCall {}).await?,
            accounts: at.ask(contract, RollupChain::queueTermsCall {}).await?._2,
            progress: at.ask(contract, RollupChain::progressCall {}).await?,
            key_hash,
        })
    }
}

/// What L1 has of a chain's lanes to others, as of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentLanes {
    /// Batches that the chain has executed by then.
    pub executed: u64,
    /// The lane to each chain that was asked about.
    pub lanes: BTreeMap<u64, Fold>,
    /// The token in each slot that was asked about, where there is one.
    pub tokens: BTreeMap<u8, Address>,
}

impl SentLanes {
    /// Reads the lanes from the chain behind `source`, at the bridge, `depth` blocks below the newest one.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn read(
        source: &NodeSource,
        (bridge, chain): (Address, u64),
        depth: u64,
        to: &BTreeSet<u64>,
        slots: &BTreeSet<u8>,
    ) -> Result<Self, SettlementError> {
        let block = source.head().await?.saturating_sub(depth);
        let at = View { source, block };
        let progress = at.ask(source.contract(), RollupChain::progressCall {});
        let mut sent = Self {
            executed: progress.await?.executed,
            ..Self::default()
        };
        for to in to {
            let call = SharedBridge::laneCall {
                from: chain,
                to: *to,
            };
            let lane = at.ask(bridge, call).await?;
            let fold = Fold {
                count: lane.sent,
                hash: lane.sentHash,
            };
            sent.lanes.insert(*to, fold);
        }
        for slot in slots {
            let call = SharedBridge::tokenAtCall {
                chainId: chain,
                slot: U256::from(*slot),
            };
            let token = at.ask(bridge, call).await?;
            if *slot == 0 || !token.is_zero() {
                sent.tokens.insert(*slot, token);
            }
        }
        Ok(sent)
    }
}

/// The key by which a chain signs its receipts, as the hub has it now; none without one, or if what is
/// there is no key.
///
/// # Errors
/// Errors of the node.
pub async fn receipt_key(
    source: &NodeSource,
    hub: Address,
    chain: u64,
) -> Result<Option<PublicKey>, SettlementError> {
    let found = source.read(hub, ChainHub::receiptKeyCall { chainId: chain });
    let found = found.await?;
    let scalar = |word: U256| Option::<Scalar>::from(Scalar::from_bytes_be(&word.to_be_bytes()));
    let point = scalar(found.x).zip(scalar(found.y));
    let key = point.map(|(x, y)| PublicKey::from_coordinates(&Point { x, y }));
    Ok(key.and_then(Result::ok))
}

/// Asks a chain's verifier on Ethereum whether it accepts a proof, in EIP-2537 encoding, for these
/// public inputs. The inner error is its refusal.
///
/// # Errors
/// Errors of the node.
pub async fn verify_on_l1(
    source: &NodeSource,
    shape: u32,
    proof: &[u8],
    inputs: &[Scalar; 5],
) -> Result<Result<(), String>, SettlementError> {
    let block = source.head().await?;
    let at = View { source, block };
    let verifier = at.ask(source.contract(), RollupChain::verifierCall { shape });
    let verifier = verifier.await?;
    if verifier.is_zero() {
        return Ok(Err(format!("the chain has no verifier of shape {shape}")));
    }
    let call = Groth16Verifier::verifyProofCall {
        proof: Bytes::copy_from_slice(proof),
        inputs: inputs.map(|input| U256::from_be_bytes(input.to_bytes_be())),
    };
    let answer = source.ask_contract("eth_call", at.call(verifier, &call));
    Ok(answer.await?.map(drop).map_err(|refusal| {
        format!("its proof is refused by the verifier at {verifier}: {refusal}")
    }))
}

/// Reads contracts as of one block.
struct View<'a> {
    source: &'a NodeSource,
    block: u64,
}

impl View<'_> {
    fn call(&self, to: Address, call: &impl SolCall) -> EthCall<Ethereum, Bytes> {
        let request = TransactionRequest {
            to: Some(TxKind::Call(to)),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        let answer = self.source.provider().call(request);
        answer.block(BlockId::number(self.block))
    }

    async fn ask<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, SettlementError> {
        let answer = self.source.ask("eth_call", self.call(to, &call)).await?;
        C::abi_decode_returns(&answer).map_err(|error| SettlementError::NotOurContract {
            address: to,
            request: C::SIGNATURE,
            reason: error.to_string(),
        })
    }
}
