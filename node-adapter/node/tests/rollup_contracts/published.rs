//! Tokens that nobody here wrote, listed and used like the project's own: one that is paused, and one
//! that calls whoever pays and whoever is paid.

use alloy::primitives::{Address, U256};
use alloy::sol;
use alloy::sol_types::SolCall;
use carillon_settlement::Refusal;
use carillon_settlement::abi::SharedBridge;

use super::bridge::claim;
use super::common::batch::{address_word, record};
use super::common::published::{hooked_token, pausing_token, registry};
use super::common::world::{CHAIN_ID, PROBE, World, name};
use super::test_contracts::HookedOwner;

sol! {
    function mint(address to, uint256 amount);
    function approve(address spender, uint256 amount) returns (bool);
    function transfer(address to, uint256 amount) returns (bool);
    function balanceOf(address account) returns (uint256);
    function pause();
    function unpause();
}

async fn world(seed: u64) -> World {
    World::with(seed, U256::from(1), |options| options.hand_over = false).await
}

async fn balance(world: &World, token: Address, account: Address) -> U256 {
    world.view(token, &balanceOfCall { account }).await.unwrap()
}

fn deposit(owner: Address, amount: u64) -> SharedBridge::depositCall {
    SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::from(1),
        amount: U256::from(amount),
        owner,
        keyProof: vec![],
    }
}

/// In the token's own words.
fn words<T>(result: Result<T, Refusal>) -> String {
    result.err().unwrap().to_string()
}

#[tokio::test]
async fn while_a_published_token_is_paused_deposits_fail_and_claims_wait() {
    let mut world = world(38).await;
    let (governor, alice, bob) = (world.user(0), world.user(1), world.user(2));
    let bridge = world.l1.bridge;
    let token = world.create(&pausing_token()).await;
    world.list(1, token).await.unwrap();
    let mint = mintCall {
        to: alice,
        amount: U256::from(1_000),
    };
    world.send(governor, token, &mint).await.unwrap();
    let approve = approveCall {
        spender: bridge,
        amount: U256::MAX,
    };
    world.send(alice, token, &approve).await.unwrap();
    let paused = "ERC20Pausable: token transfer while paused";

    world.send(governor, token, &pauseCall {}).await.unwrap();
    let refused = words(world.deposit_token(alice, 1, 1_000).await);
    assert!(refused.contains(paused), "{refused}");
    assert_eq!(
        (world.escrow(1).await, world.progress().await.queueLength),
        (U256::ZERO, 0)
    );
    world.send(governor, token, &unpauseCall {}).await.unwrap();
    world.deposit_token(alice, 1, 1_000).await.unwrap();
    let records = vec![
        record(2, 4, 1, 1_000, address_word(alice)),
        record(3, 4, 1, 400, address_word(bob)),
    ];
    let batch = world.batch(1, [1, 2], records);
    // Settlement does not ask the token.
    world.send(governor, token, &pauseCall {}).await.unwrap();
    world.settle(&batch).await.unwrap();
    let call = claim(&batch.message(1), bob);
    let refused = words(world.send(alice, bridge, &call).await);
    assert!(refused.contains(paused), "{refused}");
    assert_eq!(world.escrow(1).await, U256::from(1_000));
    world.send(governor, token, &unpauseCall {}).await.unwrap();
    world.send(alice, bridge, &call).await.unwrap();
    assert_eq!(balance(&world, token, bob).await, U256::from(400));
    assert_eq!(world.escrow(1).await, U256::from(600));
    assert_eq!(balance(&world, token, bridge).await, U256::from(600));
    assert_eq!(name(world.send(alice, bridge, &call).await), "MessageUsed");
}

/// An owner with an ERC-777 token, who calls from within its payments.
struct Hooked {
    world: World,
    token: Address,
    owner: Address,
}

impl Hooked {
    /// The next payment out of, or into, the owner makes this call.
    async fn arm(&self, outgoing: bool, target: Address, call: Vec<u8>) {
        let arm = HookedOwner::armCall {
            outgoing,
            target,
            call: call.into(),
        };
        let sent = self.world.send(self.world.user(1), self.owner, &arm).await;
        sent.unwrap();
    }

    /// Calls the bridge or the token as the owner.
    async fn run(&self, target: Address, call: &impl SolCall) -> Result<(), Refusal> {
        let call = HookedOwner::runCall {
            target,
            call: call.abi_encode().into(),
        };
        let sent = self.world.send(self.world.user(1), self.owner, &call).await;
        sent.map(|_| ())
    }

    /// The call from within was made, and the bridge's guard refused it.
    async fn refused_inside(&self) {
        let (world, owner) = (&self.world, self.owner);
        let tried = world.view(owner, &HookedOwner::triedCall {}).await;
        let succeeded = world.view(owner, &HookedOwner::succeededCall {}).await;
        assert_eq!((tried.unwrap(), succeeded.unwrap()), (true, false));
        let answer = world.view(owner, &HookedOwner::answerCall {}).await;
        let guard = "ReentrancyGuardReentrantCall";
        assert_eq!(Refusal::decode(&answer.unwrap()).name(), guard);
    }

    async fn holds(&self) -> U256 {
        balance(&self.world, self.token, self.owner).await
    }
}

#[tokio::test]
async fn hooks_of_a_published_erc777_are_paid_once() {
    let world = world(39).await;
    let (governor, alice) = (world.user(0), world.user(1));
    let bridge = world.l1.bridge;
    registry(&world).await;
    let supply = 2 * u64::try_from(PROBE).unwrap();
    let token = world.create(&hooked_token(supply, governor)).await;
    world.list_held(1, token).await.unwrap();
    let owner = world.create(&HookedOwner::BYTECODE).await;
    let transfer = |to, amount: u64| transferCall {
        to,
        amount: U256::from(amount),
    };
    let funds = transfer(owner, 10_000);
    world.send(governor, token, &funds).await.unwrap();
    let mut hooked = Hooked {
        world,
        token,
        owner,
    };
    let approve = approveCall {
        spender: bridge,
        amount: U256::MAX,
    };
    hooked.run(token, &approve).await.unwrap();

    // Another deposit from within, before the first one's tokens move.
    let first = deposit(owner, 1_000);
    hooked.arm(true, bridge, first.abi_encode()).await;
    hooked.run(bridge, &first).await.unwrap();
    hooked.refused_inside().await;
    assert_eq!(hooked.world.escrow(1).await, U256::from(1_000));
    assert_eq!(hooked.world.progress().await.queueLength, 1);
    let held = balance(&hooked.world, token, bridge).await;
    assert_eq!(
        (held, hooked.holds().await),
        (U256::from(1_000), U256::from(9_000))
    );
    // A payment beside the deposit would be counted as part of it.
    let aside = transfer(bridge, 5).abi_encode();
    hooked.arm(true, token, aside).await;
    let refused = hooked.run(bridge, &first).await;
    assert_eq!(name(refused), "TokenMovedOtherAmount");
    assert_eq!(hooked.world.escrow(1).await, U256::from(1_000));

    let records = vec![
        record(2, 4, 1, 1_000, address_word(owner)),
        record(3, 4, 1, 400, address_word(owner)),
        record(3, 4, 1, 300, address_word(owner)),
        record(3, 4, 1, 200, address_word(owner)),
    ];
    let batch = hooked.world.batch(1, [1, 2], records);
    hooked.world.settle(&batch).await.unwrap();
    // The same claim, another claim, a deposit, each from within a payment that has arrived.
    let calls = [1, 2, 3].map(|k| claim(&batch.message(k), owner));
    let again = [
        calls[0].abi_encode(),
        deposit(owner, 1_000).abi_encode(),
        calls[1].abi_encode(),
    ];
    let mut holds = hooked.holds().await;
    for ((call, inside), amount) in calls.iter().zip(again).zip([400, 300]) {
        hooked.arm(false, bridge, inside).await;
        hooked.world.send(alice, bridge, call).await.unwrap();
        hooked.refused_inside().await;
        holds += U256::from(amount);
        assert_eq!(hooked.holds().await, holds);
        let twice = hooked.world.send(alice, bridge, call).await;
        assert_eq!(name(twice), "MessageUsed");
    }
    // One that does not want to be paid loses nothing, and names another address.
    let refuse = HookedOwner::setRefusesCall { refuses_: true };
    hooked.world.send(alice, owner, &refuse).await.unwrap();
    let refused = words(hooked.world.send(alice, bridge, &calls[2]).await);
    assert!(refused.contains("no tokens"), "{refused}");
    assert_eq!(hooked.world.escrow(1).await, U256::from(300));
    let elsewhere = Address::repeat_byte(0x79);
    let away = claim(&batch.message(3), elsewhere);
    hooked.run(bridge, &away).await.unwrap();
    let paid = balance(&hooked.world, token, elsewhere).await;
    assert_eq!(paid, U256::from(200));
    let twice = hooked.world.send(alice, bridge, &calls[2]).await;
    assert_eq!(name(twice), "MessageUsed");
    let left = balance(&hooked.world, token, bridge).await;
    assert_eq!(
        (left, hooked.world.escrow(1).await),
        (U256::from(100), U256::from(100))
    );
}
