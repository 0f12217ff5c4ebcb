//! The rollup's contracts on Ethereum: deploy, read, settle.
//!
//! Called by `carillon-node` and the tests; speaks through [`super::L1Client`].

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
use alloy::sol_types::{SolCall, SolConstructor, SolEvent};
use blstrs::Scalar;
use carillon_runtime::groth16::VerifyingKey;

use super::contracts::{Groth16Verifier, RollupChain};
use super::intent::word;
use super::{GasLimit, L1Client, Mined, SettlementError, SettlementIntent, verifying_key_bytes};

/// The two contracts of one rollup chain, as deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The `Groth16Verifier`.
    pub verifier: Address,
    /// The `RollupChain`.
    pub rollup: Address,
    /// Gas of both deployments together.
    pub gas: u64,
}

/// What the contract knows of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupState {
    /// The last settled batch; 0 before the first.
    pub batch_number: u64,
    /// The state root after it.
    pub state_root: U256,
    /// The hash of the last settled batch, which fixes the whole history.
    pub last_batch_hash: B256,
}

/// A settled batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The settling transaction.
    pub transaction: TxHash,
    /// The block it was mined in.
    pub block: u64,
    /// Gas it used.
    pub gas_used: u64,
    /// Price per unit of gas in wei.
    pub gas_price: u128,
    /// The batch's hash in the chain of batches.
    pub batch_hash: B256,
    /// Time from sending to the receipt.
    pub wait: Duration,
}

/// A `RollupChain` and the client that speaks to it.
#[derive(Clone, Debug)]
pub struct RollupContract {
    client: L1Client,
    address: Address,
}

impl RollupContract {
    /// Speaks to the contract at `address`.
    pub fn at(client: L1Client, address: Address) -> Self {
        Self { client, address }
    }

    /// Deploys verifier and chain; the client's key becomes the operator.
    pub async fn deploy(
        client: L1Client,
        key: &VerifyingKey,
        chain_id: u64,
        genesis_root: &Scalar,
    ) -> Result<(Self, Deployment), SettlementError> {
        let arguments = Groth16Verifier::constructorCall {
            key: verifying_key_bytes(key)?.into(),
        };
        let init = init_code(&Groth16Verifier::BYTECODE, &arguments);
        let (verifier, verifier_gas) =
            create(&client, "the deployment of Groth16Verifier", init).await?;
        let arguments = RollupChain::constructorCall {
            verifier_: verifier,
            operator_: client.address(),
            chainId_: chain_id,
            genesisRoot: word(genesis_root),
        };
        let init = init_code(&RollupChain::BYTECODE, &arguments);
        let (rollup, rollup_gas) = create(&client, "the deployment of RollupChain", init).await?;
        let deployment = Deployment {
            verifier,
            rollup,
            gas: verifier_gas + rollup_gas,
        };
        Ok((Self::at(client, rollup), deployment))
    }

    /// The contract's address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Reads the contract's state.
    pub async fn state(&self) -> Result<RollupState, SettlementError> {
        Ok(RollupState {
            batch_number: self
                .read("batchNumber", RollupChain::batchNumberCall {})
                .await?,
            state_root: self
                .read("stateRoot", RollupChain::stateRootCall {})
                .await?,
            last_batch_hash: self
                .read("lastBatchHash", RollupChain::lastBatchHashCall {})
                .await?,
        })
    }

    /// Settles a batch: simulates, sends, waits for the receipt, and checks that the chain has
    /// moved as intended.
    pub async fn settle(&self, intent: &SettlementIntent) -> Result<Settled, SettlementError> {
        self.settle_with(intent, GasLimit::Estimate).await
    }

    /// [`RollupContract::settle`] with a chosen gas limit. With [`GasLimit::Fixed`] a batch that
    /// the contract refuses is refused on the chain, in a mined transaction, and not already in
    /// simulation.
    pub async fn settle_with(
        &self,
        intent: &SettlementIntent,
        gas: GasLimit,
    ) -> Result<Settled, SettlementError> {
        let mined = self
            .client
            .transact("the settlement", Some(self.address), intent.calldata(), gas)
            .await?;
        self.check(intent, &mined)
    }

    /// Verifies the intent's proof in a transaction of its own, without settling anything, and
    /// returns the gas it used: what the proof alone costs.
    pub async fn verification_gas(
        &self,
        verifier: Address,
        intent: &SettlementIntent,
    ) -> Result<u64, SettlementError> {
        let call = Groth16Verifier::verifyProofCall {
            proof: intent.proof.to_eip2537().to_vec().into(),
            inputs: intent.header.public_inputs().to_array().map(|i| word(&i)),
        };
        let mined = self
            .client
            .transact(
                "the verification",
                Some(verifier),
                call.abi_encode().into(),
                GasLimit::Estimate,
            )
            .await?;
        Ok(mined.receipt.gas_used)
    }

    fn check(&self, intent: &SettlementIntent, mined: &Mined) -> Result<Settled, SettlementError> {
        let (receipt, header) = (&mined.receipt, &intent.header);
        let wrong = |reason: &str| SettlementError::WrongEffect {
            transaction: receipt.transaction_hash,
            reason: reason.into(),
        };
        let event = receipt
            .inner
            .logs()
            .iter()
            .filter(|log| log.address() == self.address)
            .find_map(|log| RollupChain::BatchSettled::decode_log(&log.inner).ok())
            .ok_or_else(|| wrong("the contract announced no settled batch"))?;
        if event.number != header.batch_number
            || event.oldRoot != word(&header.old_root)
            || event.newRoot != word(&header.new_root)
            || event.dataCommitment != word(&header.data_commitment)
            || event.dataHash != keccak256(&intent.data)
        {
            return Err(wrong("the announced batch is not the one that was sent"));
        }
        Ok(Settled {
            transaction: receipt.transaction_hash,
            block: receipt
                .block_number
                .ok_or_else(|| wrong("its receipt names no block"))?,
            gas_used: receipt.gas_used,
            gas_price: receipt.effective_gas_price,
            batch_hash: event.batchHash,
            wait: mined.wait,
        })
    }

    async fn read<C: SolCall>(
        &self,
        request: &'static str,
        call: C,
    ) -> Result<C::Return, SettlementError> {
        let answer = self
            .client
            .call(request, self.address, call.abi_encode().into())
            .await?;
        C::abi_decode_returns(&answer).map_err(|error| SettlementError::NotOurContract {
            address: self.address,
            request,
            reason: error.to_string(),
        })
    }
}

/// Creation code followed by the constructor's arguments.
fn init_code(bytecode: &Bytes, arguments: &impl SolConstructor) -> Bytes {
    [bytecode.as_ref(), &arguments.abi_encode()].concat().into()
}

async fn create(
    client: &L1Client,
    action: &'static str,
    code: Bytes,
) -> Result<(Address, u64), SettlementError> {
    let mined = client
        .transact(action, None, code, GasLimit::Estimate)
        .await?;
    let address = mined
        .receipt
        .contract_address
        .ok_or_else(|| SettlementError::WrongEffect {
            transaction: mined.receipt.transaction_hash,
            reason: "its receipt names no contract".into(),
        })?;
    Ok((address, mined.receipt.gas_used))
}
