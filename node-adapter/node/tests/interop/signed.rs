//! From the user's signature on L2 to contracts on Ethereum and back: the records are made by the
//! node's ledger from signed operations, not by hand. The proof alone is simulated.

use alloy::primitives::{Address, U256};
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::{Ledger, Opened, RuleError, State};
use carillon_protocol::{Kind, Operation, Record, owner_word};
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::{Call, Ran};
use group::Curve;
use jubjub::{AffinePoint, ExtendedPoint, Fr};

use super::common::batch::{Batch, scalar, word};
use super::common::blob::Blob;
use super::world::{CHAIN, PLAIN, SHARE, World};
use carillon_testing::contracts::{Counter, PlainToken, ShareVault};

/// P, 2P, 4P and 8P, which is the key: what a deposit with a key shows.
pub fn key_proof(key: &SecretKey) -> Vec<U256> {
    let public = AffinePoint::from_bytes(key.public().to_bytes()).unwrap();
    let mut point = ExtendedPoint::from(public) * Fr::from(8).invert().unwrap();
    let mut words = Vec::new();
    for _ in 0..4 {
        let affine = Point::from_affine(&point.to_affine());
        words.extend([word(&affine.x), word(&affine.y)]);
        point = point.double();
    }
    words
}

/// The chain and the node's view of it.
pub struct Chain {
    pub world: World,
    pub ledger: Ledger,
    pub taken: u64,
}

impl Chain {
    /// Executes what waits in the queue on L1.
    pub async fn take_queue(&mut self) {
        for words in self.world.queue(self.taken).await {
            let entry = Record::from_words(&words.map(scalar), 0).unwrap();
            let operation = self.ledger.from_queue(self.taken, &entry).unwrap();
            self.ledger.execute(&operation).unwrap();
            self.taken += 1;
        }
    }

    /// Closes the batch and settles it, with its real blob.
    pub async fn settle(&mut self) -> Batch {
        let Opened { header, blob, .. } = self.ledger.close();
        let records = header
            .records
            .iter()
            .map(|r| r.to_words().map(|w| word(&w)));
        let roots = [word(&header.old_root), word(&header.new_root)];
        let mut batch = Batch::new(
            self.world.l1.hub,
            CHAIN,
            header.batch_number,
            roots,
            records.collect(),
        );
        let h: Vec<U256> = header.to_words().iter().map(word).collect();
        assert_eq!(batch.h(), h);
        batch.blob = Blob::new(&blob.iter().map(word).collect::<Vec<_>>());
        self.world.settle_batch(&batch).await;
        batch
    }
}

#[tokio::test]
async fn one_signature_on_l2_acts_on_l1_and_its_result_is_credited_on_l2() {
    let genesis = State::genesis(12).root();
    let world = World::start(word(&genesis)).await;
    let operator = world.user(0).into_array();
    let domain = world.domain();
    let ledger = Ledger::new(domain, 12, 0, operator);
    let owner = world.owner();
    let key = SecretKey::from_seed(&[7; 32]);

    // The owner deposits 5,000 tokens and sets a key.
    let amount = U256::from(5_000);
    let mint = PlainToken::mintCall { to: owner, amount };
    world.send(world.token, &mint).await.unwrap();
    let approve = PlainToken::approveCall {
        spender: world.l1.bridge,
        value: amount,
    };
    world.send_as(owner, world.token, &approve).await;
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN,
        token: U256::from(PLAIN),
        amount,
        owner,
        keyProof: key_proof(&key),
    };
    world.send_as(owner, world.l1.bridge, &deposit).await;
    let mut chain = Chain {
        world,
        ledger,
        taken: 0,
    };
    chain.take_queue().await;
    let account = chain.ledger.account_for(&owner.into_array());
    chain.settle().await;

    // One signature, over the bundle's hash.
    let counter = chain.world.create(&Counter::BYTECODE).await;
    let thousand = U256::from(1_000);
    let approve = PlainToken::approveCall {
        spender: chain.world.vault,
        value: thousand,
    };
    let calls = vec![
        Call::of(chain.world.token, &approve),
        Call::of(
            chain.world.vault,
            &ShareVault::depositCall { amount: thousand },
        ),
        Call::of(counter, &Counter::incrementCall {}),
    ];
    let bundle = chain.world.bundle(calls).await.returning(SHARE, 2_000);
    let words = bundle.record(account, PLAIN, 1_000).unwrap();
    let mut operation = Operation::new(Kind::Bundle, account, PLAIN, 1_000, 3, 0);
    operation.words = [scalar(words[2]), scalar(words[3]), scalar(words[4])];
    let operation = operation.sign(&key, domain, &owner.into_array()).unwrap();

    // Nobody else's bundle, and not in another name.
    let mut tampered = operation.clone();
    tampered.words[0] += scalar(U256::from(1));
    let refused = chain.ledger.check(&tampered).unwrap_err();
    assert_eq!(refused, RuleError::BadSignature { account });
    let mut other = operation.clone();
    other.words[1] = owner_word(&operator);
    let stranger = SecretKey::from_seed(&[8; 32]);
    let other = other.sign(&key, domain, &owner.into_array()).unwrap();
    let refused = chain.ledger.check(&other).unwrap_err();
    assert_eq!(refused, RuleError::Word { word: 3 });
    let forged = operation.clone();
    let forged = forged.sign(&stranger, domain, &owner.into_array()).unwrap();
    let refused = chain.ledger.check(&forged).unwrap_err();
    assert_eq!(refused, RuleError::BadSignature { account });

    chain.ledger.execute(&operation).unwrap();
    let again = chain.ledger.execute(&operation).unwrap_err();
    assert_eq!(
        again,
        RuleError::Nonce {
            expected: 1,
            got: 0
        }
    );
    let batch = chain.settle().await;
    assert_eq!(batch.records, [words]);

    // On L1, brought by an account without a role.
    let message = batch.message(0);
    let ran = chain
        .world
        .handler_as(6)
        .execute(&message, &bundle)
        .await
        .unwrap();
    let alias = chain.world.account();
    let sent_back = U256::from(2_000);
    assert_eq!(
        ran,
        Ran::Executed {
            account: alias,
            sent_back
        }
    );
    let count = Counter::countCall { caller: alias };
    assert_eq!(chain.world.read(counter, count).await, U256::from(1));
    assert_eq!(chain.world.balance(Address::ZERO, alias).await, U256::ZERO);

    // Back on L2.
    chain.take_queue().await;
    chain.settle().await;
    let held = chain.ledger.account(account);
    assert_eq!((held.balance(PLAIN), held.balance(SHARE)), (3_997, 2_000));
    assert_eq!(chain.ledger.account(0).balance(PLAIN), 3);
    assert_eq!(
        chain.world.state_root().await,
        word(&chain.ledger.state().root())
    );
}
