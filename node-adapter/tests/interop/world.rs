//! The contracts of a rollup on anvil, with batches whose proofs are made from a known trapdoor:
//! any records can be settled. Blobs are empty; what is in them is the circuit's business.

use std::collections::HashMap;

use alloy::consensus::{
    SignableTransaction, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEnvelope,
};
use alloy::eips::Encodable2718;
use alloy::eips::eip4844::{Blob, Bytes48};
use alloy::eips::eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::{Provider, RootProvider};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolConstructor, SolEvent, SolValue};
use blstrs::Scalar;
use carillon_node::interop::contracts::ISharedBridge;
use carillon_node::interop::{Bundle, Call, InteropContract, Outcome, Place};
use carillon_node::settlement::abi::{IRollupChain, RollupChain, SharedBridge};
use carillon_node::settlement::deploy::{DeployOptions, Deployment};
use carillon_node::settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, Mined, Refusal, SettlementError,
};
use ff::PrimeField;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::abi::{PlainToken, ShareVault};
use super::common::Trapdoor;

pub const CHAIN: u64 = 4242;
pub const SHAPE: u32 = 1;
pub const L1_CHAIN: u64 = 31337;
/// Token slots of the chain.
pub const ETH: u8 = 0;
pub const PLAIN: u8 = 1;
pub const SHARE: u8 = 2;
/// The chain's queue delay: a week.
const QUEUE_DELAY: u64 = 7 * 24 * 3_600;
pub type Words = [U256; 5];
pub type Message = ISharedBridge::Message;

pub struct World {
    pub anvil: Anvil,
    pub client: L1Client,
    pub provider: RootProvider,
    pub bridge: Address,
    pub chain: Address,
    pub handler: InteropContract,
    pub token: Address,
    pub vault: Address,
    pub root: U256,
    pub batch: u64,
    trapdoor: Trapdoor,
    rng: ChaCha20Rng,
}

impl World {
    /// A chain with the genesis root `root`, holding 1,000,000 wei and as many tokens.
    pub async fn with_root(root: U256) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(55);
        let trapdoor = Trapdoor::with_inputs(5, &mut rng);
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let deadlines = Deadlines::default();
        let client = L1Client::new(anvil.url(), anvil.signers()[0].clone(), deadlines).unwrap();
        let token = create(&client, &PlainToken::BYTECODE, vec![]).await;
        let vault = ShareVault::constructorCall { asset_: token }.abi_encode();
        let vault = create(&client, &ShareVault::BYTECODE, vault).await;
        let genesis = Option::from(Scalar::from_bytes_be(&root.to_be_bytes())).unwrap();
        let mut options = DeployOptions::new(CHAIN, &genesis).verifier(SHAPE, trapdoor.key());
        options.tokens = vec![(PLAIN, token), (SHARE, vault)];
        let place = Deployment::deploy(&client, options).await.unwrap();

        Self {
            provider: RootProvider::new_http(anvil.url().parse().unwrap()),
            handler: InteropContract::at(client.clone(), place.handler),
            anvil,
            client,
            bridge: place.bridge,
            chain: place.chain,
            token,
            vault,
            root,
            batch: 0,
            trapdoor,
            rng,
        }
    }

    /// A chain that holds 1,000,000 wei and as many tokens, deposited by `client` for itself and
    /// executed in batch 1.
    pub async fn new() -> Self {
        let mut world = Self::with_root(U256::from(1)).await;
        let amount = U256::from(1_000_000);
        let mint = PlainToken::mintCall {
            to: world.client.address(),
            amount: amount + amount,
        };
        world.send(world.token, &mint).await.unwrap();
        let approve = PlainToken::approveCall {
            spender: world.bridge,
            value: amount,
        };
        world.send(world.token, &approve).await.unwrap();
        let me = world.client.address();
        for token in [ETH, PLAIN] {
            world.deposit(token, amount, me).await;
        }
        let records = world.queue(0).await;
        assert_eq!(records.len(), 2);
        world.settle(&records).await;
        world
    }

    /// Deposits for `owner`; the tokens must have been approved.
    pub async fn deposit(&self, token: u8, amount: U256, owner: Address) {
        let call = SharedBridge::depositCall {
            chainId: CHAIN,
            token: U256::from(token),
            amount,
            owner,
            keyProof: vec![],
        };
        let value = if token == ETH { amount } else { U256::ZERO };
        self.pay(self.bridge, value, call.abi_encode()).await;
    }

    /// Where bundles of this world may run.
    pub fn place(&self) -> Place {
        Place {
            chain_id: CHAIN,
            l1_chain_id: L1_CHAIN,
            handler: self.handler.address(),
        }
    }

    /// Settles the next batch with these records; returns the messages that it sent, by record.
    pub async fn settle(&mut self, records: &[Words]) -> HashMap<usize, Message> {
        let new_root = self.root + U256::from(1);
        self.settle_to(records, new_root).await
    }

    /// The same with a given new root.
    pub async fn settle_to(&mut self, records: &[Words], root: U256) -> HashMap<usize, Message> {
        let number = self.batch + 1;
        let head =
            U256::from(CHAIN) + (U256::from(number) << 64) + (U256::from(records.len()) << 160);
        let mut h = vec![head, self.root, root];
        h.extend(records.iter().flatten());
        let (c_h, c_b) = (U256::from(11), U256::from(12));
        let sidecar = empty_sidecar();
        let versioned_hash = sidecar.versioned_hashes().next().unwrap();
        let bytes: Vec<u8> = h.iter().flat_map(|w| w.to_be_bytes::<32>()).collect();
        let order: U256 = Scalar::MODULUS.parse().unwrap();
        let z = keccak256((c_h, c_b, keccak256(&bytes), versioned_hash).abi_encode());
        let z = U256::from_be_bytes(z.0) % order;
        let y_h = h.iter().rev().fold(U256::ZERO, |y, word| {
            y.mul_mod(z, order).add_mod(*word, order)
        });
        let inputs: Vec<Scalar> = [c_h, c_b, z, y_h, U256::ZERO]
            .iter()
            .map(|word| Option::from(Scalar::from_bytes_be(&word.to_be_bytes())).unwrap())
            .collect();
        let proof = self.trapdoor.prove(&inputs, &mut self.rng).to_eip2537();
        let infinity = Bytes::copy_from_slice(INFINITY.as_slice());
        let call = RollupChain::settleCall {
            batch: IRollupChain::BatchData {
                shape: SHAPE,
                blobIndex: U256::ZERO,
                cH: c_h,
                cB: c_b,
                h,
            },
            proof: IRollupChain::BatchProof {
                yB: U256::ZERO,
                kzgCommitment: infinity.clone(),
                kzgProof: infinity,
                proof: proof.to_vec().into(),
            },
        };
        self.send_blob(self.chain, call.abi_encode().into(), sidecar)
            .await;
        (self.batch, self.root) = (number, root);
        messages(number, records)
    }

    /// The entries of the chain's queue from `start` on.
    pub async fn queue(&self, start: u64) -> Vec<Words> {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.chain)
            .event_signature(RollupChain::QueueEntry::SIGNATURE_HASH)
            .from_block(0);
        let logs = self.provider.get_logs(&filter).await.unwrap();
        logs.iter()
            .map(|log| RollupChain::QueueEntry::decode_log(&log.inner).unwrap())
            .filter(|entry| entry.index >= start)
            .map(|entry| entry.words)
            .collect()
    }

    /// Ends the chain: an entry of the queue waits for too long.
    pub async fn halt(&self) {
        self.deposit(ETH, U256::from(1), self.client.address())
            .await;
        self.wait(QUEUE_DELAY + 2).await;
        self.send(self.chain, &RollupChain::haltCall {})
            .await
            .unwrap();
    }

    /// Unix time of the last block.
    pub async fn now(&self) -> u64 {
        let block = self.provider.get_block_by_number(Default::default()).await;
        block.unwrap().unwrap().header.timestamp
    }

    /// Lets time pass.
    pub async fn wait(&self, seconds: u64) {
        let () = self.rpc("evm_increaseTime", (seconds,)).await;
        let _: serde_json::Value = self.rpc("evm_mine", ()).await;
    }

    async fn rpc<T: serde::de::DeserializeOwned + 'static>(
        &self,
        method: &'static str,
        params: impl serde::Serialize,
    ) -> T
    where
        T: std::fmt::Debug + Send + Sync + Unpin,
    {
        let value = serde_json::to_value(params).unwrap();
        let answer: serde_json::Value = self
            .provider
            .raw_request(method.into(), value)
            .await
            .unwrap();
        serde_json::from_value(answer)
            .or_else(|_| serde_json::from_str("null"))
            .unwrap()
    }

    /// Sends a call as the operator.
    pub async fn send(&self, to: Address, call: &impl SolCall) -> Result<Mined, SettlementError> {
        let input = call.abi_encode().into();
        self.client
            .transact("test", Some(to), input, GasLimit::Estimate)
            .await
    }

    /// Reads.
    pub async fn read<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let answer = self
            .client
            .call("test", to, call.abi_encode().into())
            .await
            .unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    /// The balance of a token.
    pub async fn balance(&self, token: Address, of: Address) -> U256 {
        if token.is_zero() {
            self.provider.get_balance(of).await.unwrap()
        } else {
            self.read(token, PlainToken::balanceOfCall { account: of })
                .await
        }
    }

    /// What the chain may pay out.
    pub async fn escrow(&self, token: u8) -> U256 {
        let call = SharedBridge::escrowCall {
            chainId: CHAIN,
            token: U256::from(token),
        };
        self.read(self.bridge, call).await
    }

    /// Sends ETH with a call, as the operator.
    pub async fn pay(&self, to: Address, value: U256, input: Vec<u8>) {
        let signer = &self.anvil.signers()[0];
        let transaction = alloy::consensus::TxEip1559 {
            chain_id: L1_CHAIN,
            nonce: self.nonce(signer).await,
            gas_limit: 1_000_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: to.into(),
            value,
            input: input.into(),
            ..Default::default()
        };
        let signature = signer
            .sign_hash_sync(&transaction.signature_hash())
            .unwrap();
        let envelope: TxEnvelope = transaction.into_signed(signature).into();
        self.client.send_signed("test", &envelope).await.unwrap();
    }

    async fn send_blob(&self, to: Address, input: Bytes, sidecar: BlobTransactionSidecarEip7594) {
        let signer = &self.anvil.signers()[0];
        let tx = TxEip4844 {
            chain_id: L1_CHAIN,
            nonce: self.nonce(signer).await,
            gas_limit: 5_000_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            input,
            blob_versioned_hashes: sidecar.versioned_hashes().collect(),
            max_fee_per_blob_gas: 1_000_000_000,
            ..Default::default()
        };
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let sidecar = BlobTransactionSidecarVariant::Eip7594(sidecar);
        let tx =
            TxEip4844Variant::from(TxEip4844WithSidecar { tx, sidecar }).into_signed(signature);
        let raw = alloy::consensus::EthereumTxEnvelope::Eip4844(tx).encoded_2718();
        let pending = self.provider.send_raw_transaction(&raw).await.unwrap();
        let hash = *pending.tx_hash();
        for _ in 0..200 {
            if let Some(receipt) = self.provider.get_transaction_receipt(hash).await.unwrap() {
                assert!(receipt.status(), "the batch was refused");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the batch was not mined");
    }

    async fn nonce(&self, signer: &PrivateKeySigner) -> u64 {
        self.provider
            .get_transaction_count(signer.address())
            .await
            .unwrap()
    }
}

/// The KZG commitment of the zero polynomial, and every proof about it.
const INFINITY: Bytes48 = {
    let mut point = [0; 48];
    point[0] = 0xc0;
    Bytes48::new(point)
};

fn empty_sidecar() -> BlobTransactionSidecarEip7594 {
    BlobTransactionSidecarEip7594::new(
        vec![Blob::ZERO],
        vec![INFINITY],
        vec![INFINITY; alloy::eips::eip7594::CELLS_PER_EXT_BLOB],
    )
}

/// The messages of a batch and their paths, computed independently of the contracts.
pub fn messages(batch: u64, records: &[Words]) -> HashMap<usize, Message> {
    let sent: Vec<usize> = (0..records.len())
        .filter(|k| {
            let kind = records[*k][0].to::<u64>() & 7;
            kind == 4 || (kind == 3 || kind == 7) && !records[*k][1].is_zero()
        })
        .collect();
    let mut level: Vec<B256> = sent
        .iter()
        .map(|k| keccak256((CHAIN, batch, U256::from(*k), records[*k]).abi_encode()))
        .collect();
    level.resize(sent.len().next_power_of_two(), B256::ZERO);
    let mut paths = vec![Vec::new(); sent.len()];
    let mut depth = 0;
    while level.len() > 1 {
        for (position, path) in paths.iter_mut().enumerate() {
            path.push(level[(position >> depth) ^ 1]);
        }
        level = level
            .chunks(2)
            .map(|pair| keccak256((pair[0], pair[1]).abi_encode()))
            .collect();
        depth += 1;
    }
    sent.iter()
        .zip(paths)
        .enumerate()
        .map(|(position, (&k, path))| {
            let message = Message {
                chainId: CHAIN,
                batch,
                k: U256::from(k),
                words: records[k],
                path,
                position: U256::from(position),
            };
            (k, message)
        })
        .collect()
}

/// Why a call was refused: the name of the Solidity error with its arguments.
pub fn reason<T: std::fmt::Debug>(result: Result<T, SettlementError>) -> String {
    match result.expect_err("must be refused") {
        SettlementError::Refused { reason, .. } => reason.to_string(),
        other => panic!("not a refusal: {other}"),
    }
}

/// Revert data by name; `BundleAttacker` is of these tests alone.
pub fn error_of(data: &Bytes) -> String {
    Refusal::decode(data).to_string()
}

pub async fn create(client: &L1Client, code: &Bytes, arguments: Vec<u8>) -> Address {
    let code = [code.as_ref(), &arguments].concat().into();
    let mined = client
        .transact("create", None, code, GasLimit::Estimate)
        .await
        .unwrap();
    mined.receipt.contract_address.unwrap()
}

/// Bundles of this world.
impl World {
    /// The owner of the L2 account in these tests.
    pub fn owner(&self) -> Address {
        self.anvil.signers()[3].address()
    }

    /// The alias account of [`World::owner`].
    pub fn account(&self) -> Address {
        carillon_node::interop::alias_address(self.handler.address(), CHAIN, self.owner())
    }

    /// Calls of the owner, good for an hour.
    pub async fn bundle(&self, calls: Vec<Call>) -> Bundle {
        let deadline = self.now().await + 3_600;
        Bundle::new(self.place(), self.owner(), deadline, 500_000, calls)
    }

    /// Settles a batch with the bundle's record in it, between a withdrawal and another one.
    pub async fn message(&mut self, bundle: &Bundle, token: u8, amount: u128) -> Message {
        let record = bundle.record(9, token, amount).unwrap();
        self.message_of(record).await
    }

    /// The same with any record.
    pub async fn message_of(&mut self, record: Words) -> Message {
        let to = U256::from_be_slice(self.owner().as_slice());
        let withdrawal = [U256::from(3), U256::from(1), to, U256::ZERO, U256::ZERO];
        let mut sent = self.settle(&[withdrawal, record, withdrawal]).await;
        sent.remove(&1).unwrap()
    }

    /// What the handler recorded.
    pub async fn outcome(&self, message: &Message) -> Outcome {
        let k = message.k.to::<u64>();
        self.handler
            .outcome(message.chainId, message.batch, k)
            .await
            .unwrap()
    }

    /// Runs a bundle as another account.
    pub fn handler_as(&self, signer: usize) -> InteropContract {
        InteropContract::at(self.client_as(signer), self.handler.address())
    }

    /// A client with another account's key.
    pub fn client_as(&self, signer: usize) -> L1Client {
        self.client
            .with_signer(self.anvil.signers()[signer].clone())
    }

    /// The import entry that returns an amount to the owner.
    pub fn import(&self, token: u8, amount: u128) -> Words {
        let owner = U256::from_be_slice(self.owner().as_slice());
        let w0 = U256::from(5 + (u64::from(token) << 27));
        [w0, U256::from(amount), owner, U256::ZERO, U256::ZERO]
    }
}
