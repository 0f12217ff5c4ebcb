//! The key by which a chain signs its receipts, as the hub keeps it.

use alloy::primitives::{Address, U256};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::{ChainHub, RollupChain};
use carillon_settlement::receipt_key;
use carillon_settlement::watch::NodeSource;

use super::common::world::{CHAIN_ID, World};

fn set(chain: u64, key: &SecretKey) -> ChainHub::setReceiptKeyCall {
    let point = key.public().coordinates();
    ChainHub::setReceiptKeyCall {
        chainId: chain,
        x: U256::from_be_bytes(point.x.to_bytes_be()),
        y: U256::from_be_bytes(point.y.to_bytes_be()),
    }
}

#[tokio::test]
async fn the_operator_alone_says_which_key_signs_receipts() {
    let world = World::with(77, U256::from(10), |options| options.hand_over = false).await;
    let (hub, operator) = (world.l1.hub, world.user(0));
    let source = NodeSource::new(
        world.anvil.url(),
        world.l1.chain,
        std::time::Duration::from_secs(5),
    );
    let source = source.unwrap();
    let found = async || receipt_key(&source, hub, CHAIN_ID).await.unwrap();
    assert_eq!(found().await, None);
    let (first, second) = (
        SecretKey::from_seed(&[1; 32]),
        SecretKey::from_seed(&[2; 32]),
    );
    let send =
        async |from: Address, call: &ChainHub::setReceiptKeyCall| world.send(from, hub, call).await;
    send(operator, &set(CHAIN_ID, &first)).await.unwrap();
    assert_eq!(found().await, Some(*first.public()));
    let refusal = send(world.user(1), &set(CHAIN_ID, &second))
        .await
        .unwrap_err();
    assert_eq!(refusal.name(), "NotTheOperator");
    let refusal = send(operator, &set(999, &second)).await.unwrap_err();
    assert_eq!(refusal.name(), "UnknownChain");
    assert_eq!(found().await, Some(*first.public()));
    // Who operates now decides, not who did.
    let call = RollupChain::setOperatorCall {
        operator_: world.user(1),
        operatorAccount_: 0,
    };
    world.send(operator, world.l1.chain, &call).await.unwrap();
    assert!(send(operator, &set(CHAIN_ID, &second)).await.is_err());
    send(world.user(1), &set(CHAIN_ID, &second)).await.unwrap();
    assert_eq!(found().await, Some(*second.public()));
    // What is no key counts as none.
    for (x, y) in [(0, 0), (3, 4)] {
        let none = ChainHub::setReceiptKeyCall {
            chainId: CHAIN_ID,
            x: U256::from(x),
            y: U256::from(y),
        };
        send(world.user(1), &none).await.unwrap();
        assert_eq!(found().await, None);
    }
}
