//! Sends the transactions that put a market up: contracts of the package after the libraries that they
//! need, contracts of ours, and calls.

use std::collections::HashMap;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::{SolCall, SolConstructor};

use super::package::{AaveError, Package};
use crate::{GasLimit, L1Client, SettlementError};

/// Sends the transactions and counts their gas.
pub(super) struct Builder<'a> {
    pub client: &'a L1Client,
    package: &'a Package,
    libraries: HashMap<String, Address>,
    pub gas: u64,
}

impl<'a> Builder<'a> {
    pub(super) fn new(client: &'a L1Client, package: &'a Package) -> Self {
        Self {
            client,
            package,
            libraries: HashMap::new(),
            gas: 0,
        }
    }

    /// Creates a contract of the package, after the libraries that it needs.
    pub(super) async fn create(
        &mut self,
        source: &str,
        arguments: &[u8],
    ) -> Result<Address, AaveError> {
        let artifact = self.package.artifact(source)?;
        let mut addresses = Vec::new();
        for library in artifact.libraries() {
            let address = match self.libraries.get(library) {
                Some(address) => *address,
                None => {
                    // Libraries have libraries, and none needs itself.
                    let address = Box::pin(self.create(library, &[])).await?;
                    self.libraries.insert(library.to_owned(), address);
                    address
                }
            };
            addresses.push(address);
        }
        let code = [artifact.linked(&addresses)?.as_ref(), arguments].concat();
        Ok(self.deploy(code.into()).await?)
    }

    pub(super) async fn ours(
        &mut self,
        bytecode: &Bytes,
        arguments: &impl SolConstructor,
    ) -> Result<Address, AaveError> {
        let code = [bytecode.as_ref(), &arguments.abi_encode()].concat();
        Ok(self.deploy(code.into()).await?)
    }

    async fn deploy(&mut self, code: Bytes) -> Result<Address, SettlementError> {
        let action = "the deployment of a market's contract";
        let mined = self
            .client
            .transact(action, None, code, GasLimit::Estimate)
            .await?;
        self.gas += mined.receipt.gas_used;
        let created = mined.receipt.contract_address;
        created.ok_or_else(|| SettlementError::WrongEffect {
            transaction: mined.receipt.transaction_hash,
            reason: "the receipt names no new contract".into(),
        })
    }

    pub(super) async fn call(
        &mut self,
        to: Address,
        call: &impl SolCall,
    ) -> Result<(), SettlementError> {
        let input = call.abi_encode().into();
        let action = "the setup of a market";
        let mined = self
            .client
            .transact(action, Some(to), input, GasLimit::Estimate)
            .await?;
        self.gas += mined.receipt.gas_used;
        Ok(())
    }
}

/// Reads.
pub(super) async fn view<C: SolCall>(
    client: &L1Client,
    to: Address,
    request: &'static str,
    call: &C,
) -> Result<C::Return, SettlementError> {
    let answer = client.call(request, to, call.abi_encode().into()).await?;
    C::abi_decode_returns(&answer).map_err(|error| SettlementError::NotOurContract {
        address: to,
        request,
        reason: error.to_string(),
    })
}
