//! `carillon-node bundle` on these contracts: encoded, run, cancelled after the deadline, and the
//! alias account of a halted chain in its owner's hands. `tests/demo/pages` sends one from the rollup.

use alloy::primitives::{Address, U256};
use carillon_settlement::archive::StateProofJson;
use carillon_settlement::interop::{Bundle, Call, Outcome};
use serde_json::json;

use super::common::state::{Account, State};
use super::terminal::Terminal;
use super::world::{ETH, World};

/// The bundle that the command has written, built by the library.
fn bundle_of(world: &World, encoded: &serde_json::Value, calls: Vec<Call>) -> Bundle {
    let deadline = encoded["deadline"].as_u64().unwrap();
    let gas = encoded["bundle"]["gas_limit"].as_u64().unwrap();
    let tip = encoded["bundle"]["tip"].as_str().unwrap().parse().unwrap();
    let bundle = Bundle::new(world.place(), world.owner(), deadline, gas, calls).tipping(tip);
    assert_eq!(encoded["hash"], format!("{:#066x}", bundle.hash()));
    bundle
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_run_or_cancelled_and_a_dead_chain_s_alias_obeys_its_owner() {
    let mut world = World::new().await;
    let owner = world.owner();
    let user = Terminal::new(&world.anvil, world.l1.chain);
    let friend = Address::repeat_byte(0x61);
    let encode = |file: &str, gas: u64| {
        let args =
            format!("bundle encode --owner {owner} --call {friend},60 --gas-limit {gas} --tip 5");
        user.succeeds(3, &format!("{args} --out {file}"))
    };
    let encoded = encode("good.json", 500_000);
    let alias: Address = encoded["alias"].as_str().unwrap().parse().unwrap();
    assert_eq!(alias, world.account());
    let exists = format!("bundle encode --owner {owner} --out good.json");
    assert!(user.refused(3, 4, &exists).contains("exists"));
    let nobody = format!("bundle encode --owner {} --out nobody.json", Address::ZERO);
    assert!(user.refused(3, 4, &nobody).contains("owner"));
    let late = encode("late.json", 400_000);
    let late_args = "--gas-limit 499999 --valid 2592000";
    let later =
        format!("bundle encode --owner {owner} {late_args} --call {friend},1 --out failing.json");
    let failing = user.succeeds(3, &later);

    let pay = |wei: u64| vec![Call::pay(friend, U256::from(wei))];
    let good = bundle_of(&world, &encoded, pay(60));
    let early = user.refused(2, 4, "bundle execute --bundle good.json");
    assert!(early.contains("until its batch is settled"), "{early}");
    let message = world.message(&good, ETH, 65).await;
    // Anyone runs it, once.
    let tried = user.succeeds(2, "bundle execute --bundle good.json --dry-run");
    assert_eq!(tried["transaction"]["sent"], false);
    assert_eq!(tried["tip"], json!({ "token": 0, "amount": "5" }));
    assert!(
        user.refused(2, 4, "bundle cancel --bundle good.json")
            .contains("can still run")
    );
    let ran = user.succeeds(2, "bundle execute --bundle good.json");
    assert_eq!(ran["outcome"], "executed");
    assert_eq!(ran["earned"], "5");
    assert_eq!(world.outcome(&message).await, Outcome::Executed);
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(60));
    let again = user.refused(2, 4, "bundle execute --bundle good.json");
    assert!(again.contains("was executed"), "{again}");

    // A bundle whose file is lost: announced by the owner, taken back after the delay.
    let lost = world.bundle(pay(2)).await;
    let message = world.message(&lost, ETH, 33).await;
    let take_back = format!("bundle take-back --batch {} --record 1", message.batch);
    let theirs = user.refused(2, 4, &take_back);
    assert!(theirs.contains("only the owner"), "{theirs}");
    assert_eq!(user.succeeds(3, &take_back)["step"], "announced");
    assert!(
        user.refused(3, 4, &take_back)
            .contains("can be taken back from")
    );
    world.warp(7 * 24 * 3600 + 1).await;
    let queued = world.queue(0).await.len();
    assert_eq!(user.succeeds(3, &take_back)["step"], "taken back");
    assert_eq!(world.queue(0).await[queued], world.import(ETH, 33));

    // A tip that the amount cannot pay: told before any gas is spent, and cancelled at once.
    let args = format!("bundle encode --owner {owner} --tip 9 --out generous.json");
    let generous = bundle_of(&world, &user.succeeds(3, &args), vec![]);
    let mut record = generous.record(9, ETH, 9).unwrap();
    record[1] = U256::from(8);
    let message = world.message_of(record).await;
    let never = user.refused(2, 4, "bundle execute --bundle generous.json");
    assert!(
        never.contains("a tip of 9 cannot be paid out of 8"),
        "{never}"
    );
    user.succeeds(2, "bundle cancel --bundle generous.json");
    assert_eq!(world.outcome(&message).await, Outcome::Cancelled);

    // The same calls signed again, and too late.
    let late = bundle_of(&world, &late, pay(60));
    let state = {
        let account = Account {
            owner,
            nonce: 3,
            balances: [(0, 70)].into(),
            ..Account::default()
        };
        State([(9, account)].into())
    };
    let failing = bundle_of(&world, &failing, pay(1));
    let records = [
        late.record(9, ETH, 65).unwrap(),
        failing.record(9, ETH, 0).unwrap(),
    ];
    let messages = world.settle_to(&records, state.root()).await;
    world.warp(25 * 3600).await;
    let over = user.refused(2, 4, "bundle execute --bundle late.json");
    assert!(over.contains("bundle cancel"), "{over}");
    let queued = world.queue(0).await.len();
    let batch = messages[&0].batch;
    user.succeeds(
        2,
        &format!("bundle cancel --bundle late.json --batch {batch}"),
    );
    assert_eq!(world.outcome(&messages[&0]).await, Outcome::Cancelled);
    assert_eq!(world.queue(0).await[queued], world.import(ETH, 65));
    // A run that fails is told, with the code of a wrong result.
    let (code, failed) = user.run(2, "bundle execute --bundle failing.json");
    assert_eq!(code, 5, "{failed}");
    assert_eq!(world.outcome(&messages[&1]).await, Outcome::Failed);

    // After a halt the owner has the alias account, by a state proof from a file.
    let proof = StateProofJson::of(&state.proof(9, 0));
    std::fs::write(
        user.path("proof.json"),
        serde_json::to_string(&[proof]).unwrap(),
    )
    .unwrap();
    let args = "bundle as-owner --proofs proof.json";
    assert!(user.refused(3, 4, args).contains("not halted"));
    world.halt().await;
    assert!(user.refused(3, 4, args).contains("has no ETH"));
    world.donate(5, world.account(), 900).await;
    let refused = user.refused(2, 4, args);
    assert!(refused.contains("has no ETH"), "{refused}");
    let theirs = format!("{args} --call {friend},1");
    let refused = user.refused(2, 11, &theirs);
    assert!(refused.contains("NotOwner"), "{refused}");
    user.succeeds(3, &format!("{args} --call {friend},400"));
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(460));
    // Without calls, what is left goes to the owner.
    user.succeeds(3, args);
    assert_eq!(
        world.balance(Address::ZERO, world.account()).await,
        U256::ZERO
    );
}
