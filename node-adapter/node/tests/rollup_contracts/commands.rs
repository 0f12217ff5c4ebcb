//! The commands of users and operators on these contracts: `carillon-node deposit`, `claim`, `reclaim`,
//! `message`, `exit`, `recover`, `halt`, `pause`, `unpause`, `revert`, each as a process, with its checks
//! before anything is sent. `tests/demo/pages` runs them on chains with real proofs.

use std::path::Path;

use alloy::primitives::{Address, U256};
use carillon_node::MessageProofJson;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};

use super::common::batch::{address_word, masked, record};
use super::common::state::{Account, State};
use super::common::world::{CHAIN_ID, EXIT_FEE, World};
use super::terminal::{Terminal, private};
use super::test_contracts::PlainToken;

#[tokio::test(flavor = "multi_thread")]
async fn keys_deposits_and_pauses() {
    let world = World::with(90, U256::from(1), |options| options.hand_over = false).await;
    let user = Terminal::new(&world.anvil, world.l1.chain);
    let (alice, bridge) = (world.user(1), world.l1.bridge);

    // Keys: made once, readable by nobody else, and the same public key from library and command.
    let made = user.succeeds(1, "keygen --out my.key");
    let file = std::fs::metadata(user.path("my.key")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let seed = std::fs::read_to_string(user.path("my.key")).unwrap();
    let seed: [u8; 32] = hex::decode(seed.trim()).unwrap().try_into().unwrap();
    let key = SecretKey::from_seed(&seed);
    let public = format!("0x{}", hex::encode(key.public().to_bytes()));
    assert_eq!(made["public_key"], public);
    assert_eq!(user.succeeds(1, "pubkey --key my.key")["x"], made["x"]);
    assert!(
        user.refused(1, 4, "keygen --out my.key")
            .contains("left alone")
    );
    assert_eq!(
        std::fs::read_to_string(user.path("my.key")).unwrap().trim(),
        hex::encode(seed)
    );
    let there = user.succeeds(1, "pubkey --ethereum --key 1.l1");
    assert_eq!(there["address"], alice.to_string());
    user.succeeds(1, "keygen --ethereum --out other.l1");
    private(Path::new(&user.path("open.l1")), &"11".repeat(32));
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(user.path("open.l1"), open).unwrap();
    let message = user.refused(1, 4, "deposit --amount 5 --l1-key open.l1");
    assert!(message.contains("mode 644"), "{message}");
    let (code, value) = user.with(&[], "deposit --amount 5");
    assert_eq!(code, 4, "{value}");
    assert!(
        value["message"]
            .as_str()
            .unwrap()
            .contains("CARILLON_L1_KEY"),
        "{value}"
    );

    // Deposits: simulated first, with a key by its owner alone, within the balance.
    let tried = user.succeeds(1, "deposit --amount 1gwei --key my.key --dry-run");
    assert_eq!(tried["transaction"]["sent"], false);
    assert_eq!(world.progress().await.queueLength, 0);
    let done = user.succeeds(1, "deposit --amount 0.001eth --key my.key");
    assert_eq!(
        (&done["queue_index"], &done["amount"]),
        (&0.into(), &"1000000000000000".into())
    );
    let x = U256::from_be_bytes(key.public().coordinates().x.to_bytes_be());
    assert_eq!(done["key_registered"], true);
    let entries = queue(&world).await;
    assert_eq!(entries[0][3], x);
    let message = user.refused(
        1,
        4,
        &format!("deposit --amount 5 --key my.key --owner {}", world.user(2)),
    );
    assert!(message.contains("owner alone"), "{message}");
    let message = user.refused(1, 4, "deposit --amount 20000eth");
    assert!(message.contains("send it"), "{message}");
    let (code, value) = user.with(
        &[("CARILLON_L1_KEY", &"77".repeat(32))],
        "deposit --amount 1eth",
    );
    assert_eq!(code, 4, "{value}");
    assert!(user.refused(1, 4, "deposit --amount 0").contains("above 0"));
    assert!(
        user.refused(1, 4, "deposit --amount 5 --token 9")
            .contains("no token in slot 9")
    );
    let elsewhere = format!("deposit --amount 5 --chain {}", world.l1.hub);
    assert!(user.refused(1, 4, &elsewhere).contains("RollupChain"));
    let nobody = user.refused(1, 3, "deposit --amount 5 --l1 http://127.0.0.1:9");
    assert!(nobody.contains("Ethereum"), "{nobody}");

    // A token: balance, allowance, approval.
    let token = world.create(&PlainToken::BYTECODE).await;
    super::tokens::with_token(&world, token).await;
    let amount = "deposit --token 1 --amount 1000000000000000";
    let message = user.refused(1, 4, amount);
    assert!(message.contains("has 0 of the token"), "{message}");
    let mint = PlainToken::mintCall {
        to: alice,
        amount: U256::from(10).pow(U256::from(18)),
    };
    world.send(alice, token, &mint).await.unwrap();
    assert!(user.refused(1, 4, amount).contains("--approve"));
    user.succeeds(1, &format!("{amount} --approve"));
    let call = PlainToken::allowanceCall {
        owner: alice,
        spender: bridge,
    };
    let left = world.view(token, &call).await.unwrap();
    assert_eq!(left, U256::ZERO);
    assert_eq!(world.escrow(1).await, U256::from(10).pow(U256::from(15)));

    // Pauses are the guardian's, and a paused chain says so before anything is sent.
    assert!(
        user.refused(1, 4, "pause --seconds 60")
            .contains("only the guardian")
    );
    assert!(
        user.refused(0, 4, "pause --seconds 999999999")
            .contains("may be paused for")
    );
    assert!(user.refused(0, 4, "unpause").contains("not paused"));
    let paused = user.succeeds(0, "pause --seconds 600");
    let call = RollupChain::pausedUntilCall {};
    let until = world.view(world.l1.chain, &call).await.unwrap();
    assert_eq!(paused["paused_until"], until);
    let message = user.refused(1, 4, "deposit --amount 1gwei");
    assert!(
        message.contains(&format!("paused until {until}")),
        "{message}"
    );
    user.succeeds(0, "unpause");
    user.succeeds(1, "deposit --amount 0.001eth");
}

/// Words of the chain's queue.
async fn queue(world: &World) -> Vec<[U256; 5]> {
    use alloy::providers::Provider;
    use alloy::rpc::types::Filter;
    use alloy::sol_types::SolEvent;
    let filter = Filter::new()
        .address(world.l1.chain)
        .event_signature(RollupChain::QueueEntry::SIGNATURE_HASH)
        .from_block(0);
    let logs = world.provider.get_logs(&filter).await.unwrap();
    let entry =
        |log: &alloy::rpc::types::Log| RollupChain::QueueEntry::decode_log(&log.inner).unwrap();
    logs.iter().map(|log| entry(log).words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_listed_proved_and_claimed_once() {
    let mut world = World::new(91, U256::from(1)).await;
    let user = Terminal::new(&world.anvil, world.l1.chain);
    let (alice, bob) = (world.user(1), world.user(2));
    let amount = 1_000_000_000_000_000u128;
    world.deposit_eth(alice, amount).await.unwrap();
    let records = vec![
        record(2, 5, 0, amount, address_word(alice)),
        record(3, 5, 0, 100, address_word(bob)),
        record(3, 5, 0, 200, address_word(alice)),
        record(4, 5, 0, 300, U256::from(99)),
        record(3, 5, 0, 400, address_word(bob)),
    ];
    let batch = world.batch(1, [1, 2], records);
    // Not there yet.
    assert!(user.refused(2, 4, "claim").contains("no open withdrawal"));
    assert!(
        user.refused(2, 4, "claim --batch 1 --record 1")
            .contains("until it is settled")
    );
    world.settle(&batch).await.unwrap();

    let all = user.succeeds(2, "message list");
    assert_eq!(all["messages"].as_array().unwrap().len(), 4);
    let proof = user.succeeds(2, "message proof --batch 1 --record 4 --out proof.json");
    let read = std::fs::read_to_string(user.path("proof.json")).unwrap();
    let file: MessageProofJson = serde_json::from_str(&read).unwrap();
    assert_eq!(serde_json::to_value(&file).unwrap()["path"], proof["path"]);
    // The hub accepts it as it is.
    let word = |text: &String| text.parse::<U256>().unwrap();
    let words: Vec<U256> = file.words.iter().map(word).collect();
    let call = ChainHub::verifyMessageCall {
        chainId: CHAIN_ID,
        batch: 1,
        k: U256::from(4),
        words: words.try_into().unwrap(),
        path: file.path.iter().map(|node| node.parse().unwrap()).collect(),
        position: U256::from(file.position),
    };
    world.view(world.l1.hub, &call).await.unwrap();
    assert!(
        user.refused(2, 4, "message proof --batch 1 --record 0")
            .contains("no message")
    );

    // One by name, to another address; the rest of the owner's in one command; each once.
    let stranger = Address::repeat_byte(0x51);
    let elsewhere = format!("claim --batch 1 --record 1 --to {stranger}");
    assert!(
        user.refused(1, 4, &elsewhere)
            .contains("may send the payment elsewhere")
    );
    user.succeeds(2, &elsewhere);
    assert_eq!(world.balance(stranger).await, U256::from(100));
    assert!(
        user.refused(2, 4, "claim --batch 1 --record 1")
            .contains("claimed already")
    );
    assert!(
        user.refused(2, 4, "claim --batch 1 --record 3")
            .contains("bundle execute")
    );
    let before = world.balance(bob).await;
    // Anyone may claim for Bob.
    let claimed = user.succeeds(3, &format!("claim --owner {bob}"));
    assert_eq!(claimed["claims"].as_array().unwrap().len(), 1);
    assert_eq!(world.balance(bob).await, before + U256::from(400));
    assert!(user.refused(2, 4, "claim").contains("no open withdrawal"));
    let open = user.succeeds(2, "message list --open");
    let open: Vec<_> = open["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["amount"].clone())
        .collect();
    assert_eq!(open, ["200", "300"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_claim_is_taken_back_by_its_sender() {
    let mut world = World::new(95, U256::from(1)).await;
    let user = Terminal::new(&world.anvil, world.l1.chain);
    let (alice, bob, bridge) = (world.user(1), world.user(2), world.l1.bridge);
    let amount = 1_000_000_000_000_000u128;
    world.deposit_eth(alice, amount).await.unwrap();
    let account = |owner, amount| Account {
        key: [U256::from(7), U256::from(8)],
        nonce: 0,
        owner,
        balances: [(0, amount)].into(),
    };
    let state = State([(5, account(alice, amount - 600)), (6, account(bob, 0))].into());
    let mut batch = world.batch(
        1,
        [1, 0],
        vec![
            record(2, 5, 0, amount, address_word(alice)),
            record(3, 5, 0, 100, address_word(bridge)),
            record(3, 5, 0, 200, address_word(bob)),
            record(3, 5, 0, 300, address_word(bridge)),
        ],
    );
    batch.new_root = state.root();
    world.settle(&batch).await.unwrap();
    let write = |file: &str, account: u32| {
        let proof = carillon_settlement::archive::StateProofJson::of(&state.proof(account, 0));
        std::fs::write(user.path(file), serde_json::to_string(&[proof]).unwrap()).unwrap();
    };
    write("alice.json", 5);
    write("bob.json", 6);

    let claimed = user.refused(1, 4, "claim --batch 1 --record 1");
    assert!(claimed.contains("`reclaim`"), "{claimed}");
    let by_default = user.refused(1, 4, "reclaim");
    assert!(by_default.contains("--archive"), "{by_default}");
    let first = "reclaim --batch 1 --record 1";
    for (signer, args, expected) in [
        (
            1,
            "reclaim --batch 1 --record 2 --proofs alice.json".to_owned(),
            "can be used by whom",
        ),
        (
            1,
            format!("{first} --proofs bob.json"),
            "no proof of account 5",
        ),
        (
            2,
            format!("{first} --proofs alice.json --to {bob}"),
            "may send the payment elsewhere",
        ),
        (
            2,
            format!("{first} --proofs alice.json --owner {bob}"),
            "and not",
        ),
        (
            2,
            "reclaim --proofs alice.json".to_owned(),
            "no withdrawal of an account of",
        ),
    ] {
        let refused = user.refused(signer, 4, &args);
        assert!(refused.contains(expected), "{args}: {refused}");
    }

    // One by name, by anyone; what is left by its owner, to another address; each once.
    let before = world.balance(alice).await;
    let done = user.succeeds(2, &format!("{first} --proofs alice.json"));
    assert_eq!(
        done["reclaims"][0]["account_owner"],
        serde_json::json!(alice)
    );
    assert_eq!(world.balance(alice).await, before + U256::from(100));
    let again = user.refused(2, 4, &format!("{first} --proofs alice.json"));
    assert!(again.contains("taken back already"), "{again}");
    let to = Address::repeat_byte(0x53);
    let rest = user.succeeds(1, &format!("reclaim --proofs alice.json --to {to}"));
    assert_eq!(rest["reclaims"].as_array().unwrap().len(), 1);
    assert_eq!(world.balance(to).await, U256::from(300));
    let over = user.refused(1, 4, "reclaim --proofs alice.json");
    assert!(over.contains("is left"), "{over}");

    // The next batch makes a file too old; one of another state never was good.
    let last = vec![record(3, 5, 0, 50, address_word(bridge))];
    let mut batch = world.batch(2, [0, 3], last);
    batch.old_root = state.root();
    world.settle(&batch).await.unwrap();
    let old = user.refused(1, 4, "reclaim --proofs alice.json");
    let said = ["after batch 1", "has executed 2", "--archive"];
    assert!(said.iter().all(|part| old.contains(part)), "{old}");
    let other = State([(5, account(alice, 1))].into());
    let proof = carillon_settlement::archive::StateProofJson::of(&other.proof(5, 0));
    let text = serde_json::to_string(&[proof]).unwrap();
    std::fs::write(user.path("other.json"), text).unwrap();
    let none = user.refused(1, 4, "reclaim --proofs other.json");
    assert!(none.contains("no state of this chain"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_batches_are_taken_back_by_those_who_may() {
    let world = World::new(92, U256::from(1)).await;
    let user = Terminal::new(&world.anvil, world.l1.chain);
    assert!(user.refused(0, 4, "revert").contains("no batch"));
    let alice = world.user(1);
    let amount = 1_000_000_000_000_000u128;
    world.deposit_eth(alice, amount).await.unwrap();
    let first = world.batch(
        1,
        [1, 2],
        vec![record(2, 5, 0, amount, address_word(alice))],
    );
    let second = world.batch(2, [2, 3], vec![record(3, 5, 0, 7, address_word(alice))]);
    world.commit(&first).await.unwrap();
    world.commit(&second).await.unwrap();
    assert!(
        user.refused(0, 4, "revert --first 3")
            .contains("batches 1 to 2")
    );
    let message = user.refused(1, 4, "revert");
    assert!(message.contains("only the operator"), "{message}");
    let done = user.succeeds(0, "revert --first 2");
    assert_eq!((&done["first"], &done["last"]), (&2.into(), &2.into()));
    assert_eq!(world.progress().await.committed, 1);
    // An old one anybody takes back.
    world.warp(2 * 24 * 3600).await;
    user.succeeds(1, "revert");
    assert_eq!(world.progress().await.committed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_chain_is_left_by_commands() {
    let genesis = State::default().root();
    let mut world = World::new(93, genesis).await;
    let user = Terminal::new(&world.anvil, world.l1.chain);
    let (alice, bob) = (world.user(1), world.user(2));
    let amount = 1_000_000_000_000_000u128;
    assert!(user.refused(3, 4, "halt").contains("nothing waits"));
    world.deposit_eth(alice, amount).await.unwrap();
    let account = Account {
        key: [U256::from(7), U256::from(8)],
        nonce: 0,
        owner: alice,
        balances: [(0, amount)].into(),
    };
    let state = State([(5, account)].into());
    let mut batch = world.batch(
        1,
        [0, 0],
        vec![record(2, 5, 0, amount, address_word(alice))],
    );
    (batch.old_root, batch.new_root) = (genesis, state.root());
    world.settle(&batch).await.unwrap();

    world.deposit_eth(bob, amount).await.unwrap();
    let asked = user.succeeds(1, "exit request --account 5");
    assert_eq!(asked["queue_index"], 2);
    assert_eq!(asked["fee"], EXIT_FEE.to_string());
    let again = user.refused(1, 4, "exit request --account 5");
    assert!(again.contains("still open"), "{again}");
    assert!(
        user.refused(3, 4, "halt --entry 7")
            .contains("is none of them")
    );
    assert!(user.refused(3, 4, "halt").contains("not overdue"));
    assert!(user.refused(2, 4, "recover").contains("not halted"));
    assert!(
        user.refused(1, 4, "exit claim --proofs proof.json")
            .contains("not halted")
    );
    world.warp(8 * 24 * 3600).await;
    user.succeeds(3, "halt");
    assert!(user.refused(3, 4, "halt").contains("halted already"));
    assert!(
        user.refused(1, 4, "exit request --account 5")
            .contains("exit claim")
    );
    assert!(
        user.refused(1, 4, "deposit --amount 1gwei")
            .contains("halted for good")
    );

    // The proof of the contract tests' own state tree, as a file.
    let proof = state.proof(5, 0);
    let proof = carillon_settlement::archive::StateProofJson::of(&proof);
    let text = serde_json::to_string(&[proof]).unwrap();
    std::fs::write(user.path("proof.json"), &text).unwrap();
    std::fs::write(user.path("damaged.json"), text.replacen("0x", "0y", 1)).unwrap();
    assert!(
        user.refused(1, 4, "exit claim --proofs damaged.json")
            .contains("not a number")
    );
    std::fs::write(
        user.path("wrong.json"),
        text.replace(&amount.to_string(), "1"),
    )
    .unwrap();
    let wrong = user.refused(1, 11, "exit claim --proofs wrong.json");
    assert!(wrong.contains("StateProofInvalid"), "{wrong}");
    let to = Address::repeat_byte(0x52);
    user.succeeds(1, &format!("exit claim --proofs proof.json --to {to}"));
    assert_eq!(world.balance(to).await, U256::from(amount));
    let again = user.refused(1, 4, "exit claim --proofs proof.json");
    assert!(again.contains("paid already"), "{again}");

    // Deposits that were never executed; not those that were, and not requests.
    assert!(
        user.refused(1, 4, "recover --index 0")
            .contains("was executed")
    );
    // A request brought nothing in; its fee comes back, once, to the owner from anyone.
    let before = world.balance(alice).await;
    let fee = user.succeeds(3, "recover --index 2");
    assert_eq!(fee["recovered"][0]["what"], "fee");
    assert_eq!(world.balance(alice).await, before + U256::from(EXIT_FEE));
    assert!(
        user.refused(3, 4, "recover --index 2")
            .contains("paid back already")
    );
    assert!(
        user.refused(1, 4, "recover --index 3")
            .contains("has 3 entries")
    );
    assert!(user.refused(1, 4, "recover").contains("no deposit"));
    let before = world.balance(bob).await;
    let back = user.succeeds(3, &format!("recover --owner {bob}"));
    assert_eq!(back["recovered"][0]["queue_index"], 1);
    assert_eq!(world.balance(bob).await, before + U256::from(amount));
    assert!(
        user.refused(2, 4, "recover --index 1")
            .contains("paid back already")
    );
    let call = SharedBridge::entryRecoveredCall {
        chainId: CHAIN_ID,
        index: 1,
    };
    assert!(world.view(world.l1.bridge, &call).await.unwrap());
    let entry = masked(&record(2, 0, 0, amount, address_word(bob)));
    assert_eq!(queue(&world).await[1], entry);
}
