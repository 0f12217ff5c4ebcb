//! Deposits with and without keys, claims, bundles as the handler sees them, withdrawals that are
//! taken back.

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolEvent};
use carillon_protocol::crypto::jubjub::Point;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};
use group::{Curve, Group};
use jubjub::{ExtendedPoint, SubgroupPoint};

use super::common::batch::{Batch, address_word, order, record, w0, word};
use super::common::state::{Account, State};
use super::common::world::{CHAIN_ID, World, name};
use super::test_contracts::ContractOwner;

pub fn claim(message: &Message, to: Address) -> SharedBridge::claimCall {
    SharedBridge::claimCall {
        message: message.clone(),
        to,
    }
}

/// P, 2P, 4P, 8P as words.
fn multiples(p: ExtendedPoint) -> Vec<U256> {
    let mut point = p;
    let mut words = Vec::new();
    for _ in 0..4 {
        let affine = Point::from_affine(&point.to_affine());
        words.extend([word(&affine.x), word(&affine.y)]);
        point = point.double();
    }
    words
}

#[tokio::test]
async fn keys_come_from_their_owner_and_from_the_subgroup() {
    let world = World::new(20, U256::from(1)).await;
    let (alice, bob) = (world.user(1), world.user(2));
    let call = |owner: Address, key_proof: Vec<U256>| SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::ZERO,
        amount: U256::from(5),
        owner,
        keyProof: key_proof,
    };
    let bridge = world.l1.bridge;
    let five = U256::from(5);
    let good = multiples(SubgroupPoint::generator().into());
    let receipt = world
        .send_value(alice, bridge, &call(alice, good.clone()), five)
        .await
        .unwrap();
    let entry = receipt
        .inner
        .logs()
        .iter()
        .find_map(|log| RollupChain::QueueEntry::decode_log(&log.inner).ok())
        .unwrap();
    let expected = [w0(2, 0, 0), five, address_word(alice), good[6], good[7]];
    assert_eq!(entry.words, expected);

    // Any point of the curve leads to a key: 8P is in the subgroup. Here P is not.
    let order_two = jubjub::AffinePoint::from_bytes((-jubjub::Fq::one()).to_bytes()).unwrap();
    let mixed = ExtendedPoint::from(SubgroupPoint::generator()) + ExtendedPoint::from(order_two);
    world
        .send_value(alice, bridge, &call(alice, multiples(mixed)), five)
        .await
        .unwrap();

    let refused = world
        .send_value(bob, bridge, &call(alice, good.clone()), five)
        .await;
    assert_eq!(name(refused), "KeyNotFromOwner");
    // Bob may deposit for Alice, without a key.
    world
        .send_value(bob, bridge, &call(alice, vec![]), five)
        .await
        .unwrap();

    let step = |result: Result<_, carillon_settlement::Refusal>| {
        let reason: carillon_settlement::Refusal =
            Result::<alloy::rpc::types::TransactionReceipt, _>::expect_err(result, "refused");
        reason.to_string()
    };
    let mut cases = vec![
        (good[..6].to_vec(), 0),
        (vec![U256::ZERO], 0),
        (multiples(ExtendedPoint::identity()), 5),
        (multiples(order_two.into()), 5),
    ];
    for i in 0..8 {
        let mut changed = good.clone();
        changed[i] += U256::ONE;
        cases.push((changed, if i < 2 { 1 } else { 1 + i / 2 }));
        let mut large = good.clone();
        large[i] += order();
        cases.push((large, 0));
        // The other solution of the curve's equation is not the double.
        let mut negated = good.clone();
        negated[i & !1] = order() - good[i & !1];
        if i >= 2 {
            cases.push((negated, 1 + i / 2));
        }
    }
    for (proof, expected) in cases {
        let refused = world
            .send_value(alice, bridge, &call(alice, proof.clone()), five)
            .await;
        let reason = step(refused);
        assert!(
            reason.contains(&format!("KeyProofInvalid {{ step: {expected} }}")),
            "{reason}, {proof:?}"
        );
    }
}

#[tokio::test]
async fn wrong_deposits_are_refused() {
    let world = World::new(21, U256::from(1)).await;
    let alice = world.user(1);
    let bridge = world.l1.bridge;
    let good = SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::ZERO,
        amount: U256::from(5),
        owner: alice,
        keyProof: vec![],
    };
    let five = U256::from(5);
    world.send_value(alice, bridge, &good, five).await.unwrap();
    let with = |change: &dyn Fn(&mut SharedBridge::depositCall)| {
        let mut call = good.clone();
        change(&mut call);
        call
    };
    let cases = [
        (with(&|c| c.chainId = 9), five, "UnknownChain"),
        (with(&|c| c.token = U256::from(1)), five, "UnknownToken"),
        (with(&|c| c.token = U256::from(64)), five, "UnknownToken"),
        (with(&|c| c.amount = U256::ZERO), U256::ZERO, "EmptyDeposit"),
        (with(&|c| c.owner = Address::ZERO), five, "EmptyDeposit"),
        (good.clone(), U256::from(4), "WrongValue"),
    ];
    for (call, value, expected) in cases {
        let refused = world.send_value(alice, bridge, &call, value).await;
        assert_eq!(name(refused), expected);
    }
    // Pure ETH is nobody's deposit.
    let plain = RollupChain::unpauseCall {};
    assert!(world.send_value(alice, bridge, &plain, five).await.is_err());
    assert_eq!(world.escrow(0).await, five);
    assert_eq!(world.balance(bridge).await, five);
    // What is above the amount comes back in the same call.
    let six = U256::from(6);
    world.send_value(alice, bridge, &good, six).await.unwrap();
    assert_eq!(world.escrow(0).await, U256::from(10));
    assert_eq!(world.balance(bridge).await, U256::from(10));
}

/// A batch that pays: records are withdrawals of account 4.
async fn paying(world: &mut World, records: Vec<[U256; 5]>) -> Batch {
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    batch
}

#[tokio::test]
async fn a_claim_is_paid_once_and_to_its_recipient() {
    let mut world = World::new(22, U256::from(1)).await;
    let (alice, bob, stranger) = (world.user(1), world.user(2), world.user(3));
    let bridge = world.l1.bridge;
    world.deposit_eth(alice, 1000).await.unwrap();
    let records = vec![
        record(2, 4, 0, 1000, address_word(alice)),
        record(3, 4, 0, 300, address_word(bob)),
        record(3, 4, 0, 100, address_word(alice)),
        record(4, 4, 0, 50, U256::from(77)),
        record(3, 4, 0, 5000, address_word(bob)),
    ];
    let batch = paying(&mut world, records).await;
    let to_bob = batch.message(1);
    let before = world.balance(bob).await;
    world
        .send(stranger, bridge, &claim(&to_bob, bob))
        .await
        .unwrap();
    assert_eq!(world.balance(bob).await - before, U256::from(300));
    assert_eq!(world.escrow(0).await, U256::from(700));
    let again = world.send(bob, bridge, &claim(&to_bob, bob)).await;
    assert_eq!(name(again), "MessageUsed");

    let to_alice = batch.message(2);
    let stolen = world
        .send(stranger, bridge, &claim(&to_alice, stranger))
        .await;
    assert_eq!(name(stolen), "NotRecipient");
    let mut forged = to_alice.clone();
    forged.words[2] = address_word(stranger);
    let refused = world
        .send(stranger, bridge, &claim(&forged, stranger))
        .await;
    assert_eq!(name(refused), "MessageNotInBatch");
    let mut more = to_alice.clone();
    more.words[1] += U256::ONE;
    let refused = world.send(alice, bridge, &claim(&more, alice)).await;
    assert_eq!(name(refused), "MessageNotInBatch");
    // Alice herself has it paid elsewhere.
    let elsewhere = Address::repeat_byte(0x77);
    world
        .send(alice, bridge, &claim(&to_alice, elsewhere))
        .await
        .unwrap();
    assert_eq!(world.balance(elsewhere).await, U256::from(100));

    let bundle = batch.message(3);
    let refused = world.send(alice, bridge, &claim(&bundle, alice)).await;
    assert_eq!(name(refused), "WrongMessageKind");
    // More than the chain holds: its proofs would be broken, and nobody else pays.
    let refused = world
        .send(bob, bridge, &claim(&batch.message(4), bob))
        .await;
    assert_eq!(name(refused), "EscrowTooSmall");
    assert_eq!(world.escrow(0).await, U256::from(600));
    assert_eq!(world.balance(bridge).await, U256::from(600));
}

#[tokio::test]
async fn a_recipient_that_refuses_or_reenters_gets_its_amount_once() {
    let mut world = World::new(23, U256::from(1)).await;
    let alice = world.user(1);
    let bridge = world.l1.bridge;
    let owner = world.create(&ContractOwner::BYTECODE).await;
    world.deposit_eth(alice, 1000).await.unwrap();
    let records = vec![
        record(2, 4, 0, 1000, address_word(alice)),
        record(3, 4, 0, 300, address_word(owner)),
        record(3, 4, 0, 200, address_word(owner)),
    ];
    let batch = paying(&mut world, records).await;
    let refuse = ContractOwner::setRefusesCall { refuses_: true };
    world.send(alice, owner, &refuse).await.unwrap();
    let message = batch.message(1);
    let refused = world.send(alice, bridge, &claim(&message, owner)).await;
    assert_eq!(name(refused), "EtherRefused");
    // Still open: the recipient names another address.
    let other = Address::repeat_byte(0x78);
    let run = ContractOwner::runCall {
        target: bridge,
        call: claim(&message, other).abi_encode().into(),
    };
    world.send(alice, owner, &run).await.unwrap();
    assert_eq!(world.balance(other).await, U256::from(300));

    // Claims again from within the payment, another message and the same.
    let accept = ContractOwner::setRefusesCall { refuses_: false };
    world.send(alice, owner, &accept).await.unwrap();
    let message = batch.message(2);
    let arm = ContractOwner::armCall {
        target: bridge,
        call: claim(&message, owner).abi_encode().into(),
    };
    world.send(alice, owner, &arm).await.unwrap();
    world
        .send(alice, bridge, &claim(&message, owner))
        .await
        .unwrap();
    let tried = world
        .view(owner, &ContractOwner::triedCall {})
        .await
        .unwrap();
    let succeeded = world
        .view(owner, &ContractOwner::succeededCall {})
        .await
        .unwrap();
    assert!(tried && !succeeded);
    assert_eq!(world.balance(owner).await, U256::from(200));
    assert_eq!(world.escrow(0).await, U256::from(500));
}

#[tokio::test]
async fn bundles_are_for_the_handler_alone() {
    let mut world = World::with(24, U256::from(1), |options| options.hand_over = false).await;
    let (alice, handler) = (world.user(1), world.user(7));
    let bridge = world.l1.bridge;
    world.deposit_eth(alice, 1000).await.unwrap();
    let bundle = |amount: u128| {
        let mut words = record(4, 4, 0, amount, U256::from(0xb0b));
        words[3] = address_word(alice);
        words
    };
    let records = vec![
        record(2, 4, 0, 1000, address_word(alice)),
        bundle(100),
        bundle(200),
        bundle(0),
        record(3, 4, 0, 5, address_word(alice)),
    ];
    let batch = paying(&mut world, records).await;
    let take = |k: usize, to: Address| SharedBridge::claimBundleCall {
        message: batch.message(k),
        to,
    };
    let runner = Address::repeat_byte(0xb2);
    let with_tip = |k: usize, tip: u64| SharedBridge::returnBundleCall {
        message: batch.message(k),
        tip: U256::from(tip),
        to: runner,
    };
    let give_back = |k: usize| with_tip(k, 0);
    for who in [alice, world.user(0), handler] {
        assert_eq!(
            name(world.send(who, bridge, &take(1, who)).await),
            "NotHandler"
        );
        assert_eq!(
            name(world.send(who, bridge, &give_back(1)).await),
            "NotHandler"
        );
    }
    let set = SharedBridge::setHandlerCall { handler_: handler };
    assert_eq!(name(world.send(alice, bridge, &set).await), "NotGovernor");
    world.send(world.user(0), bridge, &set).await.unwrap();
    let alias = Address::repeat_byte(0xa1);
    world.send(handler, bridge, &take(1, alias)).await.unwrap();
    assert_eq!(world.balance(alias).await, U256::from(100));
    assert_eq!(
        name(world.send(handler, bridge, &take(1, alias)).await),
        "MessageUsed"
    );
    assert_eq!(
        name(world.send(handler, bridge, &give_back(1)).await),
        "MessageUsed"
    );
    assert_eq!(
        name(world.send(handler, bridge, &take(4, alias)).await),
        "WrongMessageKind"
    );

    // Given back: the next entry of the queue, and the escrow stays but for the tip, which is part of it.
    let above = world.send(handler, bridge, &with_tip(2, 201)).await;
    assert_eq!(name(above), "Words");
    world.send(handler, bridge, &with_tip(2, 60)).await.unwrap();
    assert_eq!(world.balance(runner).await, U256::from(60));
    assert_eq!(
        name(world.send(handler, bridge, &take(2, alias)).await),
        "MessageUsed"
    );
    world.send(handler, bridge, &take(3, alias)).await.unwrap();
    assert_eq!(world.escrow(0).await, U256::from(840));
    let import = record(5, 4, 0, 140, address_word(alice));
    let next = world.batch(2, [2, 3], vec![import]);
    world.settle(&next).await.unwrap();
}

/// Recipients that can never claim: the owner of the account takes the withdrawal back. Zero and what
/// is no address cannot be committed any more; here they are messages of an older chain.
#[tokio::test]
async fn what_nobody_can_claim_goes_back_to_the_account_that_sent_it() {
    let mut world = World::new(25, U256::from(1)).await;
    let (alice, bob) = (world.user(1), world.user(2));
    let (bridge, hub) = (world.l1.bridge, world.l1.hub);
    let mut state = State::default();
    for (index, owner) in [(4, alice), (5, bob)] {
        let balances = [(0, 5)].into();
        let account = Account {
            owner,
            balances,
            ..Account::default()
        };
        state.0.insert(index, account);
    }
    world.deposit_eth(alice, 1000).await.unwrap();
    let to_bridge = |amount: u128| record(3, 4, 0, amount, address_word(bridge));
    let mut with_owner = to_bridge(30);
    (with_owner[3], with_owner[4]) = (U256::from(78), address_word(bob));
    let records = vec![
        record(2, 4, 0, 1000, address_word(alice)),
        to_bridge(100),
        with_owner,
        record(3, 4, 0, 20, address_word(alice)),
    ];
    let roots = [U256::from(1), state.root()];
    let batch = Batch::new(hub, CHAIN_ID, 1, roots, records);
    world.settle(&batch).await.unwrap();
    let old = vec![
        record(3, 4, 0, 3, U256::ZERO),
        record(3, 4, 0, 4, U256::MAX >> 3),
    ];
    let old = Batch::new(hub, CHAIN_ID, 9, roots, old);
    let chain = world.l1.chain;
    for (method, params) in [
        ("anvil_impersonateAccount", serde_json::json!([chain])),
        (
            "anvil_setBalance",
            serde_json::json!([chain, "0xde0b6b3a7640000"]),
        ),
    ] {
        let asked = world
            .provider
            .raw_request::<_, serde_json::Value>(method.into(), params);
        asked.await.unwrap();
    }
    let recorded = ChainHub::recordMessageRootCall {
        chainId: CHAIN_ID,
        batch: 9,
        root: old.stored(0, 0).messageRoot,
    };
    world.send(chain, hub, &recorded).await.unwrap();

    for (message, to) in [
        (batch.message(1), bridge),
        (batch.message(1), alice),
        (old.message(0), Address::ZERO),
        (old.message(1), alice),
    ] {
        let refused = world.send(alice, bridge, &claim(&message, to)).await;
        assert_eq!(name(refused), "RecipientCannotClaim");
    }
    let proof = state.proof(4, 0);
    let reclaim = |message: Message, to: Address| SharedBridge::reclaimCall {
        message,
        proof: proof.clone(),
        to,
    };
    let mut foreign = reclaim(batch.message(1), bob);
    foreign.proof = state.proof(5, 0);
    let mut forged = reclaim(batch.message(1), bob);
    forged.proof.header = address_word(bob) << 32;
    for (call, expected) in [
        (reclaim(batch.message(1), bob), "NotRecipient"),
        (foreign, "WrongAccount"),
        (forged, "StateProofInvalid"),
        (reclaim(batch.message(3), alice), "RecipientCanClaim"),
    ] {
        assert_eq!(name(world.send(bob, bridge, &call).await), expected);
    }
    // Bob brings them, Alice is paid; she herself may name another address.
    let before = world.balance(alice).await;
    for message in [batch.message(1), old.message(0), old.message(1)] {
        let call = reclaim(message, alice);
        world.send(bob, bridge, &call).await.unwrap();
        assert_eq!(name(world.send(bob, bridge, &call).await), "MessageUsed");
    }
    assert_eq!(world.balance(alice).await - before, U256::from(107));
    let elsewhere = Address::repeat_byte(0x78);
    let call = reclaim(batch.message(2), elsewhere);
    world.send(alice, bridge, &call).await.unwrap();
    assert_eq!(world.balance(elsewhere).await, U256::from(30));
    assert_eq!(world.escrow(0).await, U256::from(1000 - 137));

    // What the bridge would own on L2, nobody could ever take out.
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::ZERO,
        amount: U256::from(5),
        owner: bridge,
        keyProof: vec![],
    };
    let refused = world.send_value(alice, bridge, &deposit, U256::from(5));
    assert_eq!(name(refused.await), "RecipientCannotClaim");
}

/// A state that was kept shows owners after later batches; one that was not, or that L1 never executed,
/// shows nothing, and no balance is paid by it.
#[tokio::test]
async fn a_kept_state_shows_owners_and_nothing_else() {
    let account = |owner, balance| Account {
        owner,
        balances: [(0, balance)].into(),
        ..Account::default()
    };
    let state_of = |accounts: &[(u32, Address, u128)]| {
        let accounts = accounts.iter();
        State(
            accounts
                .map(|(index, owner, balance)| (*index, account(*owner, *balance)))
                .collect(),
        )
    };
    let mut world = World::new(26, State::default().root()).await;
    let (alice, bob) = (world.user(1), world.user(2));
    let (operator, bridge, chain) = (world.user(0), world.l1.bridge, world.l1.chain);
    // Account 9 is Bob's in a batch that is committed and taken back.
    let states = [
        state_of(&[(4, alice, 900)]),
        state_of(&[(4, alice, 800), (5, bob, 50)]),
        state_of(&[(4, alice, 700), (5, bob, 60)]),
        state_of(&[(4, bob, 700), (9, bob, 900)]),
    ];
    let roots = [State::default().root()]
        .into_iter()
        .chain(states.iter().map(State::root))
        .collect::<Vec<_>>();
    world.deposit_eth(alice, 1000).await.unwrap();
    let stuck = |amount| record(3, 4, 0, amount, address_word(bridge));
    let mut batches = Vec::new();
    for (number, records) in [
        (
            1,
            vec![record(2, 4, 0, 1000, address_word(alice)), stuck(30)],
        ),
        (2, vec![stuck(40)]),
        (3, vec![stuck(50)]),
        (4, vec![]),
    ] {
        let mut batch = world.batch(number, [0, 0], records);
        (batch.old_root, batch.new_root) = (roots[number as usize - 1], roots[number as usize]);
        batches.push(batch);
    }
    let keep = |chain_id| SharedBridge::keepStateRootCall { chainId: chain_id };
    let is_kept = async |world: &World, root| {
        let call = SharedBridge::stateRootKeptCall {
            chainId: CHAIN_ID,
            root,
        };
        world.view(bridge, &call).await.unwrap()
    };
    let reclaim = |message: Message, state: &State, account| SharedBridge::reclaimCall {
        message,
        proof: state.proof(account, 0),
        to: alice,
    };
    let refused = world.send(bob, bridge, &keep(CHAIN_ID + 1)).await;
    assert_eq!(name(refused), "UnknownChain");

    world.settle(&batches[0]).await.unwrap();
    assert!(!is_kept(&world, roots[1]).await);
    // Anyone keeps it, as often as he likes.
    for _ in 0..2 {
        let receipt = world.send(bob, bridge, &keep(CHAIN_ID)).await.unwrap();
        let kept = receipt.inner.logs().iter();
        let kept = kept.filter_map(|log| SharedBridge::StateRootKept::decode_log(&log.inner).ok());
        let kept: Vec<_> = kept.map(|event| (event.batch, event.root)).collect();
        assert_eq!(kept, [(1, roots[1])]);
        println!("gas of keeping a state root: {}", receipt.gas_used);
    }
    assert!(is_kept(&world, roots[1]).await);
    world.settle(&batches[1]).await.unwrap();
    world.settle(&batches[2]).await.unwrap();
    // The fourth is committed only.
    let pending = world.commit(&batches[3]).await.unwrap();
    world.send(bob, bridge, &keep(CHAIN_ID)).await.unwrap();
    assert!(is_kept(&world, roots[3]).await);
    for root in [roots[2], roots[4]] {
        assert!(!is_kept(&world, root).await);
    }

    // The second state was executed and is gone, the fourth was never executed: neither shows an
    // owner. An owner is nobody's to change in a kept one.
    let message = |batch: usize| batches[batch].message(if batch == 0 { 1 } else { 0 });
    let mut forged = reclaim(message(0), &states[0], 4);
    (forged.proof.header, forged.to) = (address_word(bob) << 32, bob);
    let mut thief = reclaim(message(0), &states[3], 4);
    thief.to = bob;
    let old = reclaim(message(0), &states[1], 4);
    for call in [&forged, &thief, &old] {
        let refused = world.send(bob, bridge, call).await;
        assert_eq!(name(refused), "StateProofInvalid");
    }
    let revert = RollupChain::revertBatchesCall { first: pending };
    world.send(operator, chain, &revert).await.unwrap();
    assert_eq!(
        name(world.send(bob, bridge, &thief).await),
        "StateProofInvalid"
    );
    // Of the third batch's message the first state, which was kept, is as good as the newest; an account
    // that it does not have is nobody's there.
    let before = world.balance(alice).await;
    for (batch, state) in [(2, 0), (0, 0), (1, 2)] {
        let call = reclaim(message(batch), &states[state], 4);
        world.send(bob, bridge, &call).await.unwrap();
        assert_eq!(name(world.send(bob, bridge, &call).await), "MessageUsed");
    }
    assert_eq!(world.balance(alice).await - before, U256::from(120));

    // Halted, the chain pays balances of its last state alone.
    world.request_exit(alice, 4, 0).await.unwrap();
    world.warp(8 * 24 * 3600).await;
    let halt = RollupChain::haltCall {};
    world.send(bob, chain, &halt).await.unwrap();
    let exit = |state: &State| SharedBridge::exitCall {
        chainId: CHAIN_ID,
        proof: state.proof(4, 0),
        to: alice,
    };
    let refused = world.send(alice, bridge, &exit(&states[0])).await;
    assert_eq!(name(refused), "StateProofInvalid");
    world.send(alice, bridge, &exit(&states[2])).await.unwrap();
}
