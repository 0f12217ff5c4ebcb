//! What happens on the rollup: deposits from the queue, transfers between Alice and Bob, a withdrawal
//! and a bundle. Amounts follow from the seed alone.

use alloy::primitives::{Address, U256};
use blstrs::Scalar;
use carillon_protocol::ledger::{Ledger, Opened, State, replay};
use carillon_protocol::{Kind, Operation, Record, owner_word};
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::{Bundle, Call, Place};

use super::figures::{BUNDLED, CHAIN_ID, DEPTH, FEE, GIVEN, MILLI, OPERATOR, WITHDRAWN, draw};
use super::world::{User, World};
use crate::exit::Failure;

/// A batch, executed.
pub struct Story {
    /// The ledger after the batch.
    pub ledger: Ledger,
    /// The state before it.
    pub before: State,
    /// The batch.
    pub batch: Opened,
    /// Alice's bundle.
    pub bundle: Bundle,
}

impl Story {
    /// Executes the queue's entries and the users' signed operations, and closes the batch. The
    /// native checker recomputes it from its public data.
    pub fn play(
        world: &World,
        entries: &[(u64, Record)],
        transfers: usize,
        seed: u64,
    ) -> Result<Self, Failure> {
        let operator: [u8; 20] = world.operator.address().into();
        let mut ledger = Ledger::new(world.domain(), DEPTH, OPERATOR, operator)
            .with_bridge(world.l1.bridge.into());
        let before = ledger.state().clone();
        for (index, entry) in entries {
            let operation = ledger.from_queue(*index, entry).map_err(refused)?;
            ledger.execute(&operation).map_err(refused)?;
        }
        let [alice, bob] = &world.users;
        for i in 0..transfers {
            let (from, to) = if i % 2 == 0 {
                (alice, bob)
            } else {
                (bob, alice)
            };
            let amount = (1 + u128::from(draw(seed, b"transfer", i)[0])) * MILLI / 1000;
            let to = ledger.account_for(&to.owner().into());
            let order = |from| Operation::transfer(from, to, 0, amount, FEE, 0);
            sign_and_execute(&mut ledger, from, order)?;
        }
        let withdrawal = |from| Operation {
            words: [word(bob.owner()), Scalar::from(0), Scalar::from(0)],
            ..Operation::new(Kind::Withdraw, from, 0, WITHDRAWN, FEE, 0)
        };
        sign_and_execute(&mut ledger, bob, withdrawal)?;
        let bundle = bundle(world);
        bundle
            .check()
            .map_err(|error| Failure::unexpected(error.to_string()))?;
        let hash = Scalar::from_bytes_be(&bundle.hash().to_be_bytes());
        let hash = Option::<Scalar>::from(hash).unwrap_or_default();
        let bundling = |from| Operation {
            words: [hash, word(alice.owner()), Scalar::from(0)],
            ..Operation::new(Kind::Bundle, from, 0, BUNDLED, FEE, 0)
        };
        sign_and_execute(&mut ledger, alice, bundling)?;

        let batch = ledger.close();
        let mut checker = before.clone();
        replay(&mut checker, &batch.header, &batch.blob)
            .map_err(|error| Failure::wrong_result(format!("the native checker: {error}")))?;
        Ok(Self {
            ledger,
            before,
            batch,
            bundle,
        })
    }
}

/// On Ethereum, by Alice's alias account: a deposit on the rollup for a friend, a payment to a
/// third party, and the rest back to Alice on the rollup.
fn bundle(world: &World) -> Bundle {
    let [alice, bob] = &world.users;
    let given = U256::from(GIVEN);
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::ZERO,
        amount: given,
        owner: bob.owner(),
        keyProof: Vec::new(),
    };
    let calls = vec![
        Call::of(world.l1.bridge, &deposit).with_value(given),
        Call::pay(world.third_party, given),
    ];
    let place = Place {
        chain_id: CHAIN_ID,
        l1_chain_id: world.l1_chain_id,
        handler: world.l1.handler,
    };
    Bundle::new(place, alice.owner(), u64::MAX, 1_000_000, calls).returning(0, GIVEN)
}

fn sign_and_execute(
    ledger: &mut Ledger,
    user: &User,
    operation: impl FnOnce(u32) -> Operation,
) -> Result<(), Failure> {
    let owner = user.owner().into();
    let from = ledger.account_for(&owner);
    let nonce = ledger.account(from).nonce.into();
    let operation = Operation {
        nonce,
        ..operation(from)
    };
    let signed = operation
        .sign(&user.key, ledger.domain(), &owner)
        .map_err(|error| Failure::unexpected(error.to_string()))?;
    ledger.execute(&signed).map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::unexpected(format!("the ledger refused an operation: {error}"))
}

fn word(address: Address) -> Scalar {
    owner_word(&address.into())
}
