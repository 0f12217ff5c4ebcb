//! Contracts that nobody here wrote, as their authors published them: OpenZeppelin 4.9 with the
//! bytecode of its package (pinned in `scripts/tools`), and the registry of ERC-1820.

use std::path::{Path, PathBuf};

use alloy::consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy::eips::Encodable2718;
use alloy::primitives::{Address, Bytes, Signature, TxKind, U256, address};
use alloy::providers::Provider;
use alloy::sol_types::SolValue;
use serde_json::Value;

use super::world::World;

/// Where the registry is on every chain.
const REGISTRY: Address = address!("1820a4B7618BdE71Dce8cdc73aAB6C95905faD24");
/// Nobody has this sender's key: its one transaction came before it.
const REGISTRAR: Address = address!("a990077c3205cbDf861e17Fa532eeB069cE9fF96");

/// The bytecode that creates a contract of OpenZeppelin 4.9 with these encoded arguments.
fn openzeppelin(contract: &str, arguments: &[u8]) -> Bytes {
    let tools = std::env::var_os("CARILLON_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"));
    let package = tools.join("node/node_modules/@openzeppelin/contracts-4");
    let path = package.join(format!("build/contracts/{contract}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make setup`", path.display()));
    let artifact: Value = serde_json::from_str(&text).unwrap();
    let code = artifact["bytecode"].as_str().unwrap();
    [
        &hex::decode(code.trim_start_matches("0x")).unwrap(),
        arguments,
    ]
    .concat()
    .into()
}

/// `ERC20PresetMinterPauser`: whoever creates it mints and pauses.
pub fn pausing_token() -> Bytes {
    let names = ("Pausing".to_owned(), "PSE".to_owned());
    openzeppelin("ERC20PresetMinterPauser", &names.abi_encode_params())
}

/// `ERC777PresetFixedSupply`, all of it `holder`'s; needs the registry.
pub fn hooked_token(supply: u64, holder: Address) -> Bytes {
    let operators: Vec<Address> = Vec::new();
    let (name, symbol) = ("Hooked".to_owned(), "HKD".to_owned());
    let arguments = (name, symbol, operators, U256::from(supply), holder);
    openzeppelin("ERC777PresetFixedSupply", &arguments.abi_encode_params())
}

/// Puts the registry of ERC-1820 on the chain by the transaction that its proposal gives, the same on
/// every chain. Sender and address follow from its bytes: with one changed the sender has no ether.
pub async fn registry(world: &World) {
    let input = hex::decode(include_str!("erc1820.hex").trim()).unwrap();
    let transaction = TxLegacy {
        chain_id: None,
        nonce: 0,
        gas_price: 100_000_000_000,
        gas_limit: 800_000,
        to: TxKind::Create,
        value: U256::ZERO,
        input: input.into(),
    };
    let word = U256::from_be_slice(&[0x18, 0x20].repeat(16));
    let signed = transaction.into_signed(Signature::new(word, word, false));
    let envelope: TxEnvelope = signed.into();
    let balance = U256::from(80_000_000_000_000_000u64);
    let _: Value = world
        .provider
        .raw_request("anvil_setBalance".into(), (REGISTRAR, balance))
        .await
        .unwrap();
    let sent = world
        .provider
        .send_raw_transaction(&envelope.encoded_2718())
        .await
        .unwrap();
    let receipt = world.receipt(*sent.tx_hash()).await;
    assert_eq!(receipt.contract_address, Some(REGISTRY));
}
