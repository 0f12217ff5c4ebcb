//! A deployed world: anvil, the contracts, users, transactions with and without blobs.

use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip4844, TxEip4844WithSidecar, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::eips::eip7594::BlobTransactionSidecarVariant;
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::sol;
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportErrorKind};
use blstrs::Scalar;
use carillon_protocol::Domain;
use carillon_settlement::abi::IRollupChain::{Progress, StoredBatch};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::lanes::Crossings;
use carillon_settlement::{Anvil, AnvilOptions, Deadlines, L1Client, Refusal};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::batch::{Batch, Record, domain, scalar};
use super::blob::Blob;
use super::trapdoor::Trapdoor;

pub const CHAIN_ID: u64 = 77;
const GWEI: u128 = 1_000_000_000;
/// What a request for an exit costs while the queue is short, by default.
pub const EXIT_FEE: u128 = 200_000 * GWEI;
/// Units that the bridge moves in and back when a token is listed.
pub const PROBE: u128 = 1_000_000;

sol! {
    function mint(address to, uint256 amount);
    function approve(address spender, uint256 amount);
}

/// Everything a test needs. Signer 0 deploys, operates and guards; the others are users.
pub struct World {
    pub anvil: Anvil,
    pub client: L1Client,
    pub provider: RootProvider<Ethereum>,
    pub l1: Deployment,
    pub key: Trapdoor,
    pub rng: ChaCha20Rng,
}

/// Why a call failed.
pub fn refusal(error: &RpcError<TransportErrorKind>) -> Refusal {
    let payload = error.as_error_resp().expect("the node's answer");
    match payload.as_revert_data() {
        Some(data) => Refusal::decode(&data),
        None => panic!("not a revert: {payload}"),
    }
}

impl World {
    /// A chain from an empty genesis root, with its verifier under shape 1.
    pub async fn new(seed: u64, genesis: U256) -> Self {
        Self::with(seed, genesis, |_| {}).await
    }

    /// The same with other options.
    pub async fn with(seed: u64, genesis: U256, change: impl FnOnce(&mut DeployOptions)) -> Self {
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let signer = anvil.signers()[0].clone();
        let deadlines = Deadlines {
            poll: Duration::from_millis(2),
            answer: Duration::from_secs(60),
            receipt: Duration::from_secs(60),
        };
        let client = L1Client::new(anvil.url(), signer, deadlines).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = Trapdoor::random(&mut rng);
        let genesis: Scalar = scalar(genesis);
        let mut options = DeployOptions::new(CHAIN_ID, &genesis).verifier(1, key.key());
        options.least_deposits.clear();
        change(&mut options);
        let l1 = Deployment::deploy(&client, options).await.unwrap();
        let provider = RootProvider::new_http(anvil.url().parse().unwrap());
        Self {
            anvil,
            client,
            provider,
            l1,
            key,
            rng,
        }
    }

    pub fn user(&self, index: usize) -> Address {
        self.anvil.signers()[index].address()
    }

    /// Creates a contract without constructor arguments.
    pub async fn create(&self, bytecode: &Bytes) -> Address {
        let code = bytecode.clone();
        let request = TransactionRequest {
            from: Some(self.user(0)),
            to: Some(TxKind::Create),
            input: code.into(),
            ..Default::default()
        };
        let receipt = self.send_request(request).await.unwrap();
        receipt.contract_address.unwrap()
    }

    /// Sends a call as any address that anvil knows (its own accounts, or impersonated ones).
    pub async fn send<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
    ) -> Result<TransactionReceipt, Refusal> {
        self.send_value(from, to, call, U256::ZERO).await
    }

    pub async fn send_value<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
        value: U256,
    ) -> Result<TransactionReceipt, Refusal> {
        let request = TransactionRequest {
            from: Some(from),
            to: Some(to.into()),
            value: Some(value),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        self.send_request(request).await
    }

    async fn send_request(
        &self,
        mut request: TransactionRequest,
    ) -> Result<TransactionReceipt, Refusal> {
        let gas = self.provider.estimate_gas(request.clone()).await;
        request.gas = Some(gas.map_err(|error| refusal(&error))?);
        let pending = self
            .provider
            .send_transaction(request)
            .await
            .map_err(|error| refusal(&error))?;
        let hash = *pending.tx_hash();
        Ok(self.receipt(hash).await)
    }

    /// The receipt of a transaction that succeeds.
    pub async fn receipt(&self, hash: B256) -> TransactionReceipt {
        for _ in 0..2000 {
            if let Some(receipt) = self.provider.get_transaction_receipt(hash).await.unwrap() {
                assert!(receipt.status(), "{hash} reverted after it was estimated");
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{hash} is not mined");
    }

    /// Reads.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, Refusal> {
        let request = TransactionRequest {
            from: Some(self.user(0)),
            to: Some(to.into()),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        let answer = self
            .provider
            .call(request)
            .await
            .map_err(|error| refusal(&error))?;
        Ok(C::abi_decode_returns(&answer).unwrap())
    }

    /// Sends a blob transaction as one of anvil's accounts; a refusal is seen before it is sent.
    pub async fn send_blob<C: SolCall>(
        &self,
        from: usize,
        to: Address,
        call: &C,
        blob: &Blob,
    ) -> Result<TransactionReceipt, Refusal> {
        let address = self.user(from);
        self.try_blob(address, to, call, blob).await?;
        let hash = self.start_blob(from, to, call, blob).await;
        Ok(self.receipt(hash).await)
    }

    /// Hands a blob transaction to the node, which takes it.
    pub async fn start_blob<C: SolCall>(
        &self,
        from: usize,
        to: Address,
        call: &C,
        blob: &Blob,
    ) -> B256 {
        let signer = &self.anvil.signers()[from];
        let input = Bytes::from(call.abi_encode());
        let gas_limit = self.try_blob(signer.address(), to, call, blob).await;
        let gas_limit = gas_limit.unwrap();
        let nonce = self
            .provider
            .get_transaction_count(signer.address())
            .await
            .unwrap();
        let tx = TxEip4844 {
            chain_id: 31337,
            nonce,
            gas_limit,
            max_fee_per_gas: 100 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to,
            value: U256::ZERO,
            access_list: Default::default(),
            blob_versioned_hashes: vec![blob.hash],
            max_fee_per_blob_gas: GWEI,
            input,
        };
        let sidecar = BlobTransactionSidecarVariant::Eip7594(blob.sidecar.clone());
        let tx = TxEip4844WithSidecar::from_tx_and_sidecar(tx, sidecar);
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        let pending = self
            .provider
            .send_raw_transaction(&envelope.encoded_2718())
            .await
            .unwrap();
        *pending.tx_hash()
    }

    /// Estimates the gas of a call in a transaction that carries the blob.
    pub async fn try_blob<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
        blob: &Blob,
    ) -> Result<u64, Refusal> {
        let request = TransactionRequest {
            from: Some(from),
            to: Some(to.into()),
            input: Bytes::from(call.abi_encode()).into(),
            blob_versioned_hashes: Some(vec![blob.hash]),
            max_fee_per_blob_gas: Some(GWEI),
            ..Default::default()
        };
        self.provider
            .estimate_gas(request)
            .await
            .map_err(|error| refusal(&error))
    }

    /// Moves the clock and mines a block.
    pub async fn warp(&self, seconds: u64) {
        let _: serde_json::Value = self
            .provider
            .raw_request("evm_increaseTime".into(), [seconds])
            .await
            .unwrap();
        let _: serde_json::Value = self
            .provider
            .raw_request("evm_mine".into(), ())
            .await
            .unwrap();
    }

    /// Unix time of the last block.
    pub async fn now(&self) -> u64 {
        let block = self.provider.get_block_by_number(Default::default()).await;
        block.unwrap().unwrap().header.timestamp
    }

    /// Time of a receipt's block.
    pub async fn time_of(&self, receipt: &TransactionReceipt) -> u64 {
        let number = receipt.block_number.unwrap();
        let block = self.provider.get_block_by_number(number.into()).await;
        block.unwrap().unwrap().header.timestamp
    }

    pub async fn balance(&self, of: Address) -> U256 {
        self.provider.get_balance(of).await.unwrap()
    }

    pub async fn progress(&self) -> Progress {
        self.view(self.l1.chain, &RollupChain::progressCall {})
            .await
            .unwrap()
    }

    pub async fn root(&self) -> U256 {
        self.view(self.l1.chain, &RollupChain::stateRootCall {})
            .await
            .unwrap()
    }

    pub async fn escrow(&self, token: u8) -> U256 {
        let call = SharedBridge::escrowCall {
            chainId: CHAIN_ID,
            token: U256::from(token),
        };
        self.view(self.l1.bridge, &call).await.unwrap()
    }

    /// One more chain under the same hub and bridge.
    /// It has the same verifier, operator and governor as the first.
    pub async fn second_chain(&self, chain_id: u64, genesis: U256) -> Address {
        let mut options =
            DeployOptions::new(chain_id, &scalar(genesis)).verifier(1, self.key.key());
        options.least_deposits.clear();
        let second = self.l1.add_chain(&self.client, &options).await.unwrap();
        second.chain
    }

    /// What the chain's operations are signed for.
    pub fn domain(&self) -> Domain {
        domain(self.l1.hub, CHAIN_ID)
    }

    /// A batch of this chain.
    pub fn batch(&self, number: u64, roots: [u64; 2], records: Vec<Record>) -> Batch {
        Batch::new(
            self.l1.hub,
            CHAIN_ID,
            number,
            roots.map(U256::from),
            records,
        )
    }

    /// The call that settles a batch which needs no tails.
    pub fn settle_call(&mut self, batch: &Batch) -> RollupChain::settleCall {
        RollupChain::settleCall {
            batch: batch.data(),
            proof: batch.proof(&self.key, &mut self.rng),
            tails: vec![],
        }
    }

    /// Settles a batch as the operator.
    pub async fn settle(&mut self, batch: &Batch) -> Result<TransactionReceipt, Refusal> {
        let call = self.settle_call(batch);
        self.send_blob(0, self.l1.chain, &call, &batch.blob).await
    }

    /// Commits a batch as the operator; returns what the chain stored.
    pub async fn commit(&self, batch: &Batch) -> Result<StoredBatch, Refusal> {
        let start = self.progress().await.queueCommitted;
        let call = RollupChain::commitCall {
            batch: batch.data(),
        };
        let receipt = self.send_blob(0, self.l1.chain, &call, &batch.blob).await?;
        Ok(batch.stored(start, self.time_of(&receipt).await))
    }

    /// Proves a committed batch, as an account without a role.
    pub async fn prove(
        &mut self,
        batch: &Batch,
        stored: &StoredBatch,
    ) -> Result<TransactionReceipt, Refusal> {
        let call = RollupChain::proveCall {
            stored: stored.clone(),
            proof: batch.proof(&self.key, &mut self.rng),
        };
        self.send(self.user(9), self.l1.chain, &call).await
    }

    /// Executes a proved batch without sends and takes, as an account without a role.
    pub async fn execute(&self, stored: &StoredBatch) -> Result<TransactionReceipt, Refusal> {
        let call = RollupChain::executeCall {
            stored: stored.clone(),
            crossings: Crossings {
                records: vec![],
                tails: vec![],
            },
        };
        self.send(self.user(9), self.l1.chain, &call).await
    }

    /// Lists a token that anyone may mint, as the governor, who must not have handed over.
    pub async fn list(&self, slot: u64, token: Address) -> Result<TransactionReceipt, Refusal> {
        let governor = self.user(0);
        let (to, amount) = (governor, U256::from(PROBE));
        self.send(governor, token, &mintCall { to, amount }).await?;
        self.list_held(slot, token).await
    }

    /// The same for a token of which the governor holds enough.
    pub async fn list_held(
        &self,
        slot: u64,
        token: Address,
    ) -> Result<TransactionReceipt, Refusal> {
        let governor = self.user(0);
        let approve = approveCall {
            spender: self.l1.bridge,
            amount: U256::from(PROBE),
        };
        self.send(governor, token, &approve).await?;
        let set = SharedBridge::setTokenCall {
            chainId: CHAIN_ID,
            slot: U256::from(slot),
            token,
            least: U256::ZERO,
        };
        self.send(governor, self.l1.bridge, &set).await
    }

    /// Asks for an exit with the fee of now.
    pub async fn request_exit(
        &self,
        from: Address,
        account: u64,
        token: u64,
    ) -> Result<TransactionReceipt, Refusal> {
        let chain = self.l1.chain;
        let fee = self.view(chain, &RollupChain::exitFeeCall {}).await?;
        let call = RollupChain::requestExitCall {
            account: U256::from(account),
            token: U256::from(token),
        };
        self.send_value(from, chain, &call, fee).await
    }

    /// Deposits ETH for oneself without a key.
    pub async fn deposit_eth(
        &self,
        from: Address,
        amount: u128,
    ) -> Result<TransactionReceipt, Refusal> {
        let call = SharedBridge::depositCall {
            chainId: CHAIN_ID,
            token: U256::ZERO,
            amount: U256::from(amount),
            owner: from,
            keyProof: vec![],
        };
        self.send_value(from, self.l1.bridge, &call, U256::from(amount))
            .await
    }

    /// Deposits an approved token for oneself.
    pub async fn deposit_token(
        &self,
        from: Address,
        slot: u8,
        amount: u128,
    ) -> Result<TransactionReceipt, Refusal> {
        let call = SharedBridge::depositCall {
            chainId: CHAIN_ID,
            token: U256::from(slot),
            amount: U256::from(amount),
            owner: from,
            keyProof: vec![],
        };
        self.send(from, self.l1.bridge, &call).await
    }
}

/// The name of a refusal.
pub fn name<T>(result: Result<T, Refusal>) -> &'static str {
    match result {
        Ok(_) => panic!("must be refused"),
        Err(reason) => reason.name(),
    }
}
