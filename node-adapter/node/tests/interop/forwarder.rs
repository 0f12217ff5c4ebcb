//! Messages of ERC-7786 from owners of L2 accounts, to receivers that OpenZeppelin wrote; and what may be
//! tried to speak for somebody else.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolConstructor, SolValue};
use carillon_settlement::Mined;
use carillon_settlement::interop::contracts::Forwarder7786;
use carillon_settlement::interop::{Call, Ran, factory_address};

use super::failures::failure;
use super::world::{CHAIN, ETH, World, reason};
use carillon_testing::contracts::{Counter, Impostor7786, MessageBook, RemoteExecutor};

/// ERC-7930, version 1, of an account on an EIP-155 chain whose number has one or two bytes.
fn interoperable(chain: u64, account: Address) -> Vec<u8> {
    let number = chain.to_be_bytes();
    let number = &number[number.iter().position(|byte| *byte != 0).unwrap()..];
    let head = [0, 1, 0, 0, number.len() as u8];
    [&head[..], number, &[20], account.as_slice()].concat()
}

/// The L1 of these tests.
fn here(account: Address) -> Vec<u8> {
    interoperable(31337, account)
}

async fn forwarder(world: &World) -> Address {
    let factory_ = factory_address(world.handler.address());
    let arguments = Forwarder7786::constructorCall { factory_ }.abi_encode();
    let code = [Forwarder7786::BYTECODE.as_ref(), &arguments].concat();
    world.create(&code.into()).await
}

fn message(recipient: &[u8], payload: &[u8]) -> Forwarder7786::sendMessageCall {
    Forwarder7786::sendMessageCall {
        recipient: recipient.to_vec().into(),
        payload: payload.to_vec().into(),
        attributes: vec![],
    }
}

#[tokio::test]
async fn receivers_that_others_wrote_hear_the_owner_and_each_message_once() {
    let mut world = World::new().await;
    let gateway = forwarder(&world).await;
    let arguments = MessageBook::constructorCall { gateway_: gateway }.abi_encode();
    let code = [MessageBook::BYTECODE.as_ref(), &arguments].concat();
    let book = world.create(&code.into()).await;
    let owner = interoperable(CHAIN, world.owner());

    // The same message twice in one bundle, the second with ETH: two ids.
    let send = Call::of(gateway, &message(&here(book), b"hello"));
    let calls = vec![send.clone(), send.with_value(U256::from(5))];
    let bundle = world.bundle(calls).await;
    let sent = world.message(&bundle, ETH, 5).await;
    let end = world.handler.execute(&sent, &bundle).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    let count = world.read(book, MessageBook::countCall {}).await;
    assert_eq!(count, U256::from(2));
    let sender = world.read(book, MessageBook::lastSenderCall {}).await;
    assert_eq!(sender, Bytes::from(owner.clone()));
    let payload = world.read(book, MessageBook::lastPayloadCall {}).await;
    assert_eq!(payload, Bytes::from_static(b"hello"));
    let value = world.read(book, MessageBook::lastValueCall {}).await;
    assert_eq!(value, U256::from(5));
    for number in 0..3u64 {
        let preimage = (U256::from(31337), gateway, U256::from(number));
        let receive_id: B256 = keccak256(preimage.abi_encode());
        let seen = MessageBook::seenCall {
            receiveId: receive_id,
        };
        assert_eq!(world.read(book, seen).await, number < 2, "{number}");
    }

    // OpenZeppelin's remote executor obeys one controller: the owner on the rollup.
    let arguments = RemoteExecutor::constructorCall {
        gateway_: gateway,
        controller_: owner.into(),
    };
    let code = [RemoteExecutor::BYTECODE.as_ref(), &arguments.abi_encode()].concat();
    let executor = world.create(&code.into()).await;
    let counter = world.create(&Counter::BYTECODE).await;
    // Mode 0: one call, reverting with it. Target, value, data.
    let increment = Counter::incrementCall {}.abi_encode();
    let one = [
        &[0; 32][..],
        counter.as_slice(),
        &[0; 32],
        increment.as_slice(),
    ]
    .concat();
    let call = Call::of(gateway, &message(&here(executor), &one));
    let bundle = world.bundle(vec![call.clone()]).await;
    let sent = world.message(&bundle, ETH, 5).await;
    let end = world.handler.execute(&sent, &bundle).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    let counted = Counter::countCall { caller: executor };
    assert_eq!(world.read(counter, counted).await, U256::from(1));

    // Another owner's alias account is not its controller.
    let mut theirs = world.bundle(vec![call]).await;
    theirs.owner = world.user(4);
    let sent = world.message_of(theirs.record(8, ETH, 5).unwrap()).await;
    let why = failure(&world, &sent, &theirs).await;
    assert!(why.contains("CallFailed: call 0"), "{why}");
    let counted = Counter::countCall { caller: executor };
    assert_eq!(world.read(counter, counted).await, U256::from(1));
}

#[tokio::test]
async fn nobody_speaks_for_another_and_an_address_has_one_form() {
    let mut world = World::new().await;
    let gateway = forwarder(&world).await;
    let arguments = MessageBook::constructorCall { gateway_: gateway }.abi_encode();
    let code = [MessageBook::BYTECODE.as_ref(), &arguments].concat();
    let book = world.create(&code.into()).await;
    let refused = |call: Result<Mined, _>, name: &str| {
        let why = reason(call);
        assert!(why.contains(name), "{why} is not {name}");
    };

    // A plain account, and a contract that claims to be the owner's alias account.
    let good = message(&here(book), b"pay");
    refused(world.send(gateway, &good).await, "NotAnAlias {");
    let impostor = world.create(&Impostor7786::BYTECODE).await;
    let owner_ = world.owner();
    let claim = Impostor7786::claimCall {
        chainId_: CHAIN,
        owner_,
    };
    world.send(impostor, &claim).await.unwrap();
    let forward = Impostor7786::forwardCall {
        to: gateway,
        call_: good.abi_encode().into(),
    };
    refused(world.send(impostor, &forward).await, "NotAnAlias {");

    // Every other form of the recipient's address, by its right sender.
    let plain = here(book);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        change(&mut bytes);
        bytes
    };
    let leading_zero = [&[0, 1, 0, 0, 3, 0, 0x7a, 0x69, 20][..], book.as_slice()].concat();
    let wrong = [
        with(&|b| b.push(0)),
        with(&|b| b[1] = 2),
        with(&|b| b[3] = 2),
        with(&|b| b.truncate(b.len() - 1)),
        with(&|b| b[7] = 0),
        leading_zero,
        interoperable(1, book),
        [&[0, 1, 0, 0, 0, 20][..], book.as_slice()].concat(),
        vec![],
    ];
    for recipient in wrong {
        let call = Call::of(gateway, &message(&recipient, b"pay"));
        let bundle = world.bundle(vec![call]).await;
        let sent = world.message(&bundle, ETH, 5).await;
        let why = failure(&world, &sent, &bundle).await;
        assert!(why.contains("RecipientRefused {"), "{recipient:?}: {why}");
    }

    // Attributes, an answer that is none, and nobody there.
    let mut attributes = good.clone();
    attributes.attributes = vec![vec![1, 2, 3, 4, 5].into()];
    let mut short = good.clone();
    short.attributes = vec![vec![1].into()];
    let deaf = message(&here(impostor), b"pay");
    let nobody = message(&here(Address::repeat_byte(0x12)), b"pay");
    for (call, expected) in [
        (&attributes, "UnsupportedAttribute { selector: 0x01020304 }"),
        (&short, "UnsupportedAttribute { selector: 0x00000000 }"),
        (&deaf, "NotReceived {"),
        (&nobody, "CallFailed: call 0"),
    ] {
        let bundle = world.bundle(vec![Call::of(gateway, call)]).await;
        let sent = world.message(&bundle, ETH, 5).await;
        let why = failure(&world, &sent, &bundle).await;
        assert!(why.contains(expected), "{why} is not {expected}");
    }
    let supports = Forwarder7786::supportsAttributeCall([1, 2, 3, 4].into());
    assert!(!world.read(gateway, supports).await);
    // Nothing of it was heard, and no number was used.
    let count = world.read(book, MessageBook::countCall {}).await;
    assert_eq!(count, U256::ZERO);
    let sent = world.read(gateway, Forwarder7786::sentCall {}).await;
    assert_eq!(sent, U256::ZERO);
    // The book itself trusts one gateway.
    let direct = MessageBook::receiveMessageCall {
        receiveId: B256::ZERO,
        sender: interoperable(CHAIN, owner_).into(),
        payload: Bytes::new(),
    };
    let why = reason(world.send(book, &direct).await);
    assert!(why.contains("reverted with 0x"), "{why}");
}
