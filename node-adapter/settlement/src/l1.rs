//! A client of one Ethereum node with one signing key: sign, send, wait for the receipt, read.
//!
//! Called by `deploy`, the demo and the tests. The steps are separate (request, signed
//! bytes, receipt) so that a journal can be kept between them. Every request and every wait has a
//! deadline.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy::primitives::{Address, B256, Bytes, TxHash, TxKind, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::{RpcError, TransportErrorKind};

use super::sender::BlockRef;
use super::{EthNode, MAX_TRANSACTION_GAS, Refusal, SettlementError};

/// How long to wait for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the answer to one request.
    pub answer: Duration,
    /// From sending a transaction to its receipt.
    pub receipt: Duration,
    /// Between two looks for a receipt.
    pub poll: Duration,
}

impl Default for Deadlines {
    /// For a node on the same machine that mines every transaction at once.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            receipt: Duration::from_secs(30),
            poll: Duration::from_millis(20),
        }
    }
}

/// Where a transaction's gas limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GasLimit {
    /// From a simulation of the call; a call that would revert is refused and not sent.
    Estimate,
    /// As given; the transaction is sent unseen, and may be mined and revert.
    Fixed(u64),
}

/// A transaction that was mined and succeeded.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The node's receipt.
    pub receipt: TransactionReceipt,
    /// Time from sending to the receipt.
    pub wait: Duration,
}

/// A node's URL, a key, and deadlines.
#[derive(Clone)]
pub struct L1Client {
    node: EthNode,
    signer: PrivateKeySigner,
    deadlines: Deadlines,
}

impl fmt::Debug for L1Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1Client")
            .field("address", &self.address())
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

impl L1Client {
    /// A client of the node at `url` that signs with `signer`. Does not connect yet.
    pub fn new(
        url: &str,
        signer: PrivateKeySigner,
        deadlines: Deadlines,
    ) -> Result<Self, SettlementError> {
        Ok(Self {
            node: EthNode::new(url, deadlines.answer)?,
            signer,
            deadlines,
        })
    }

    /// The address that signs.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The same node with another key.
    pub fn with_signer(&self, signer: PrivateKeySigner) -> Self {
        Self {
            signer,
            ..self.clone()
        }
    }

    /// Sends a transaction to `to` (`None` creates a contract) and waits until it is mined.
    /// `action` names it in errors.
    pub async fn transact(
        &self,
        action: &'static str,
        to: Option<Address>,
        input: Bytes,
        gas: GasLimit,
    ) -> Result<Mined, SettlementError> {
        self.pay(action, to, U256::ZERO, input, gas).await
    }

    /// [`L1Client::transact`] with wei.
    pub async fn pay(
        &self,
        action: &'static str,
        to: Option<Address>,
        value: U256,
        input: Bytes,
        gas: GasLimit,
    ) -> Result<Mined, SettlementError> {
        let signed = self.sign(action, to, value, input, gas).await?;
        self.send_signed(action, &signed).await
    }

    /// Fills in nonce, gas and fees and signs.
    pub async fn sign(
        &self,
        action: &'static str,
        to: Option<Address>,
        value: U256,
        input: Bytes,
        gas: GasLimit,
    ) -> Result<TxEnvelope, SettlementError> {
        let gas_limit = match gas {
            GasLimit::Fixed(gas) => gas,
            GasLimit::Estimate => {
                let request = self.request(to, input.clone()).value(value);
                self.ask(
                    "eth_estimateGas",
                    self.node.provider().estimate_gas(request).latest(),
                )
                .await
                .map_err(|error| error.of(action, None))?
            }
        };
        if gas_limit > MAX_TRANSACTION_GAS {
            return Err(SettlementError::TooMuchGas {
                action,
                gas: gas_limit,
            });
        }
        let fees = self
            .ask(
                "eth_feeHistory",
                self.node.provider().estimate_eip1559_fees(),
            )
            .await?;
        let nonce = self.node.provider().get_transaction_count(self.address());
        let transaction = TxEip1559 {
            chain_id: self
                .ask("eth_chainId", self.node.provider().get_chain_id())
                .await?,
            nonce: self.ask("eth_getTransactionCount", nonce.pending()).await?,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: to.map_or(TxKind::Create, TxKind::Call),
            value,
            input,
            ..Default::default()
        };
        let signature = self
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| SettlementError::Signing {
                action,
                reason: error.to_string(),
            })?;
        Ok(transaction.into_signed(signature).into())
    }

    /// Sends signed bytes and waits until they are mined; a mined revert is an error with its
    /// reason.
    pub async fn send_signed(
        &self,
        action: &'static str,
        signed: &TxEnvelope,
    ) -> Result<Mined, SettlementError> {
        let raw = signed.encoded_2718();
        let started = Instant::now();
        let sent = self.node.provider().send_raw_transaction(&raw);
        let transaction = *self.ask("eth_sendRawTransaction", sent).await?.tx_hash();
        let receipt = self.receipt(action, transaction, started).await?;
        if receipt.status() {
            return Ok(Mined {
                receipt,
                wait: started.elapsed(),
            });
        }
        Err(self.reason_of(action, signed, &receipt).await)
    }

    /// Waits for a transaction that may have been sent before: the node gets the bytes again if it
    /// knows nothing of them.
    pub async fn resume_signed(
        &self,
        action: &'static str,
        signed: &TxEnvelope,
    ) -> Result<Mined, SettlementError> {
        let hash = *signed.tx_hash();
        let look = self
            .node
            .provider()
            .get_transaction_by_hash(hash)
            .into_future();
        if self.ask("eth_getTransactionByHash", look).await?.is_none() {
            return self.send_signed(action, signed).await;
        }
        let started = Instant::now();
        let receipt = self.receipt(action, hash, started).await?;
        if receipt.status() {
            return Ok(Mined {
                receipt,
                wait: started.elapsed(),
            });
        }
        Err(self.reason_of(action, signed, &receipt).await)
    }

    /// Gas that a call would take, or why it would be refused; nothing is sent.
    pub async fn estimate(
        &self,
        action: &'static str,
        to: Option<Address>,
        input: Bytes,
    ) -> Result<u64, SettlementError> {
        let request = self.request(to, input);
        self.ask(
            "eth_estimateGas",
            self.node.provider().estimate_gas(request).latest(),
        )
        .await
        .map_err(|error| error.of(action, None))
    }

    /// The most that a unit of gas would cost in a transaction that is signed now, in wei.
    pub async fn gas_price(&self) -> Result<u128, SettlementError> {
        let fees = self
            .ask(
                "eth_feeHistory",
                self.node.provider().estimate_eip1559_fees(),
            )
            .await?;
        Ok(fees.max_fee_per_gas)
    }

    /// A contract's code; empty if there is none.
    pub async fn code(&self, address: Address) -> Result<Bytes, SettlementError> {
        let answer = self.node.provider().get_code_at(address);
        Ok(self.ask("eth_getCode", answer).await?)
    }

    /// Transactions of the signing address that were mined.
    pub async fn nonce(&self) -> Result<u64, SettlementError> {
        let answer = self.node.provider().get_transaction_count(self.address());
        Ok(self.ask("eth_getTransactionCount", answer).await?)
    }

    /// The first block's hash: which chain this is, beyond its id.
    pub async fn genesis(&self) -> Result<B256, SettlementError> {
        let request = "eth_getBlockByNumber";
        let first = self
            .node
            .provider()
            .get_block_by_number(BlockNumberOrTag::Number(0));
        let first = self.ask(request, first.into_future()).await?;
        first
            .map(|block| block.header.hash)
            .ok_or_else(|| SettlementError::Rpc {
                request,
                reason: "it has no first block".into(),
            })
    }

    /// Calls a contract on the newest block without sending a transaction, as the signing address.
    pub async fn call(
        &self,
        action: &'static str,
        to: Address,
        input: Bytes,
    ) -> Result<Bytes, SettlementError> {
        let request = self.request(Some(to), input);
        self.ask("eth_call", self.node.provider().call(request).latest())
            .await
            .map_err(|error| error.of(action, None))
    }

    /// The code that a contract would have, without creating it.
    pub async fn would_create(
        &self,
        action: &'static str,
        input: Bytes,
    ) -> Result<Bytes, SettlementError> {
        let request = self.request(None, input);
        self.ask("eth_call", self.node.provider().call(request).latest())
            .await
            .map_err(|error| error.of(action, None))
    }

    /// An account's wei.
    pub async fn balance(&self, address: Address) -> Result<U256, SettlementError> {
        let answer = self.node.provider().get_balance(address);
        Ok(self.ask("eth_getBalance", answer).await?)
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Option<BlockRef>, SettlementError> {
        self.block(BlockNumberOrTag::Latest).await
    }

    /// The block of the node's chain with a number, or a name; none if there is none.
    pub async fn block(
        &self,
        which: BlockNumberOrTag,
    ) -> Result<Option<BlockRef>, SettlementError> {
        let look = self.node.provider().get_block_by_number(which);
        let block = self.ask("eth_getBlockByNumber", look.into_future()).await?;
        Ok(block.map(|block| BlockRef {
            number: block.header.number,
            hash: block.header.hash,
        }))
    }

    /// Time of a block, in seconds since the Unix epoch; none if the node's chain does not have it.
    pub async fn time_of(&self, block: B256) -> Result<Option<u64>, SettlementError> {
        let look = self.node.provider().get_block_by_hash(block).into_future();
        let block = self.ask("eth_getBlockByHash", look).await?;
        Ok(block.map(|block| block.header.timestamp))
    }

    /// The node's EIP-155 chain id.
    pub async fn chain_id(&self) -> Result<u64, SettlementError> {
        let answer = self.node.provider().get_chain_id();
        Ok(self.ask("eth_chainId", answer).await?)
    }

    /// The receipt of a transaction; none if it is not mined.
    pub async fn mined(
        &self,
        transaction: TxHash,
    ) -> Result<Option<TransactionReceipt>, SettlementError> {
        let look = self.node.provider().get_transaction_receipt(transaction);
        Ok(self.ask("eth_getTransactionReceipt", look).await?)
    }

    async fn receipt(
        &self,
        action: &'static str,
        transaction: TxHash,
        started: Instant,
    ) -> Result<TransactionReceipt, SettlementError> {
        loop {
            let look = self.node.provider().get_transaction_receipt(transaction);
            if let Some(receipt) = self.ask("eth_getTransactionReceipt", look).await? {
                return Ok(receipt);
            }
            if started.elapsed() >= self.deadlines.receipt {
                return Err(SettlementError::NotMined {
                    action,
                    transaction,
                    deadline: self.deadlines.receipt,
                });
            }
            tokio::time::sleep(self.deadlines.poll).await;
        }
    }

    /// A receipt does not say why a transaction reverted: the call is repeated on the state after
    /// its block, where the reverted transaction changed nothing.
    async fn reason_of(
        &self,
        action: &'static str,
        signed: &TxEnvelope,
        receipt: &TransactionReceipt,
    ) -> SettlementError {
        use alloy::consensus::Transaction;
        let request = self
            .request(signed.to(), signed.input().clone())
            .value(signed.value())
            .gas_limit(signed.gas_limit());
        let block = BlockId::number(receipt.block_number.unwrap_or_default());
        let call = self.node.provider().call(request).block(block);
        match self.ask("eth_call", call).await {
            Ok(_) => SettlementError::Refused {
                action,
                reason: Refusal::Silent,
                transaction: Some(receipt.transaction_hash),
            },
            Err(error) => error.of(action, Some(receipt.transaction_hash)),
        }
    }

    fn request(&self, to: Option<Address>, input: Bytes) -> TransactionRequest {
        TransactionRequest {
            from: Some(self.address()),
            to: Some(to.map_or(TxKind::Create, TxKind::Call)),
            input: input.into(),
            ..Default::default()
        }
    }

    async fn ask<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<T, AskError> {
        let answer = self.node.ask(request, answer).await;
        answer.map_err(|failure| match failure.refusal {
            Some(reason) => AskError::Revert { request, reason },
            None => AskError::Other(failure.into()),
        })
    }
}

/// A request's failure: a revert, which the caller names, or anything else.
enum AskError {
    Revert {
        request: &'static str,
        reason: Refusal,
    },
    Other(SettlementError),
}

impl AskError {
    /// Names the action that reverted.
    fn of(self, action: &'static str, transaction: Option<TxHash>) -> SettlementError {
        match self {
            Self::Revert { reason, .. } => SettlementError::Refused {
                action,
                reason,
                transaction,
            },
            Self::Other(error) => error,
        }
    }
}

impl From<AskError> for SettlementError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Revert { request, reason } => SettlementError::Refused {
                action: request,
                reason,
                transaction: None,
            },
            AskError::Other(error) => error,
        }
    }
}
