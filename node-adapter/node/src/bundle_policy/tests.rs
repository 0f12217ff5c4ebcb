use alloy::primitives::address;
use blstrs::Scalar;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::Place;

use super::*;

alloy::sol! {
    function supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode);
    function approve(address spender, uint256 amount);
    function transfer(address to, uint256 amount);
    function transferFrom(address from, address to, uint256 amount);
    function note(string text, uint8 kind);
}

const POOL: Address = address!("00000000000000000000000000000000000000a1");
const WETH: Address = address!("00000000000000000000000000000000000000a2");
const BRIDGE: Address = address!("00000000000000000000000000000000000000a3");
const FRIEND: Address = address!("00000000000000000000000000000000000000b1");
const OWNER: Address = address!("00000000000000000000000000000000000000b2");
const STRANGER: Address = address!("00000000000000000000000000000000000000b3");
const NOW: u64 = 1_900_000_000;
const CHAIN: u64 = 7;

const POLICY: &str = r#"
tokens = [0, 3]
most_value = "500"
most_tip = "10"
recipients = ["0x00000000000000000000000000000000000000b1"]
deadline = { least = 600, most = 86400 }

[[allow]]
target = "0x00000000000000000000000000000000000000a1"
function = "supply(address,uint256,address,uint16)"
argument = [
    { index = 0, equal = "0x00000000000000000000000000000000000000a2" },
    { index = 1, at_least = "5", at_most = "1000" },
    { index = 2, own_alias = true },
]

[[allow]]
target = "0x00000000000000000000000000000000000000a1"
function = "note(string,uint8)"
most_value = "100"
argument = [{ index = 1, equal = "2" }]

[[allow]]
target = "0x00000000000000000000000000000000000000a2"
function = "approve(address,uint256)"

[[allow]]
target = "0x00000000000000000000000000000000000000a2"
function = "transfer(address,uint256)"

[[allow]]
target = "0x00000000000000000000000000000000000000a2"
function = "transferFrom(address,address,uint256)"

[[allow]]
target = "0x00000000000000000000000000000000000000a3"
function = "deposit(uint64,uint256,uint256,address,uint256[])"
most_value = "500"
"#;

fn place() -> Place {
    Place {
        chain_id: CHAIN,
        l1_chain_id: 31337,
        handler: address!("00000000000000000000000000000000000000c1"),
    }
}

fn alias() -> Address {
    alias_address(place().handler, CHAIN, OWNER)
}

fn bundle(calls: Vec<Call>) -> Bundle {
    Bundle::new(place(), OWNER, NOW + 3_600, 500_000, calls)
}

/// The operation that withdraws 1,000 of the token in slot 3 for this bundle.
fn operation(bundle: &Bundle) -> Operation {
    let word = |value: U256| -> Scalar {
        Option::from(Scalar::from_bytes_be(&value.to_be_bytes::<32>())).unwrap()
    };
    let mut operation = Operation::new(Kind::Bundle, 1, 3, 1_000, 3, 0);
    let owner = U256::from_be_slice(bundle.owner.as_slice());
    operation.words = [word(bundle.hash()), word(owner), Scalar::from(0)];
    operation
}

/// What the policy says of a bundle: its code and reason, or `taken`.
fn said(bundle: &Bundle) -> String {
    let policy = BundlePolicy::parse(POLICY).unwrap();
    let operation = operation(bundle);
    let encoded = bundle.abi_encode();
    match check(Some(&policy), CHAIN, &operation, Some(&encoded), NOW) {
        Ok(()) => "taken".into(),
        Err(refusal) => format!("{}: {}", refusal.code, refusal.reason),
    }
}

fn supplied(asset: Address, amount: u64, to: Address) -> Call {
    let call = supplyCall {
        asset,
        amount: U256::from(amount),
        onBehalfOf: to,
        referralCode: 0,
    };
    Call::of(POOL, &call)
}

fn deposited(owner: Address) -> Call {
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN,
        token: U256::ZERO,
        amount: U256::from(9),
        owner,
        keyProof: vec![],
    };
    Call::of(BRIDGE, &deposit).with_value(U256::from(9))
}

fn approved(spender: Address, amount: u64) -> Call {
    let amount = U256::from(amount);
    Call::of(WETH, &approveCall { spender, amount })
}

fn sent(to: Address) -> Call {
    let amount = U256::from(1);
    Call::of(WETH, &transferCall { to, amount })
}

fn pulled(from: Address, to: Address) -> Call {
    let amount = U256::from(1);
    Call::of(WETH, &transferFromCall { from, to, amount })
}

fn noted(kind: u8, wei: u64) -> Call {
    let text = "a text that is longer than a word of the encoding".to_owned();
    Call::of(POOL, &noteCall { text, kind }).with_value(U256::from(wei))
}

#[test]
fn what_the_policy_names_is_taken_and_everything_else_is_refused() {
    let good = vec![
        approved(POOL, 1_000),
        supplied(WETH, 1_000, alias()),
        approved(POOL, 0),
        approved(STRANGER, 0),
        approved(FRIEND, 1),
        noted(2, 100),
        sent(FRIEND),
        sent(OWNER),
        pulled(alias(), alias()),
        deposited(OWNER),
        deposited(FRIEND),
        Call::pay(FRIEND, U256::from(5)),
        Call::pay(alias(), U256::ZERO),
    ];
    let all = bundle(good).returning(0, 1).tipping(10);
    assert_eq!(said(&all), "taken");

    let cases = [
        (supplied(WETH, 1_001, alias()), "bundle_argument: call 0"),
        (supplied(WETH, 4, alias()), "must be 0x5 at least"),
        (supplied(POOL, 5, alias()), "argument 0"),
        (supplied(WETH, 5, STRANGER), "own alias account"),
        (supplied(WETH, 5, OWNER), "own alias account"),
        (
            supplied(WETH, 5, alias()).with_value(U256::from(1)),
            "1 wei",
        ),
        (noted(3, 0), "must be 0x2"),
        (noted(2, 101), "101 wei"),
        // Another contract, another function.
        (
            Call {
                target: BRIDGE,
                ..supplied(WETH, 5, alias())
            },
            "bundle_call: call 0",
        ),
        (
            Call {
                target: POOL,
                ..sent(FRIEND)
            },
            "the function 0xa9059cbb",
        ),
        // Recipients inside.
        (sent(STRANGER), "bundle_recipient: call 0"),
        (pulled(alias(), STRANGER), "is sent tokens"),
        (pulled(FRIEND, alias()), "who is another"),
        (approved(STRANGER, 1), "is approved"),
        (deposited(STRANGER), "gets a deposit"),
        (Call::pay(STRANGER, U256::from(1)), "is paid"),
    ];
    for (call, expected) in cases {
        let refused = said(&bundle(vec![call]));
        assert!(refused.contains(expected), "{refused} is not {expected}");
    }
}

#[test]
fn arguments_are_read_as_the_contract_reads_them() {
    let dirty = |at: usize| {
        let mut call = supplied(WETH, 5, alias());
        let mut data = call.data.to_vec();
        data[at] = 1;
        call.data = data.into();
        call
    };
    // Bits above an address, and above a number of two bytes.
    for at in [4 + 11, 4 + 64, 4 + 96 + 29] {
        let refused = said(&bundle(vec![dirty(at)]));
        assert!(refused.contains("is none of supply"), "{at}: {refused}");
    }
    for change in [
        (|data: &mut Vec<u8>| data.push(0)) as fn(&mut Vec<u8>),
        |data| data.truncate(data.len() - 1),
        |data| data.truncate(4),
    ] {
        let mut call = supplied(WETH, 5, alias());
        let mut data = call.data.to_vec();
        change(&mut data);
        call.data = data.into();
        let refused = said(&bundle(vec![call]));
        assert!(refused.contains("no arguments of supply"), "{refused}");
    }
    // A deposit whose dynamic part is cut: its recipient is not known.
    let mut call = deposited(OWNER);
    call.data = call.data.slice(..call.data.len() - 1);
    let refused = said(&bundle(vec![call]));
    assert!(refused.contains("no arguments of deposit"), "{refused}");
}

#[test]
fn tokens_values_tips_and_deadlines_have_limits() {
    let pay = |wei: u64| Call::pay(FRIEND, U256::from(wei));
    for (wrong, expected) in [
        (bundle(vec![]).returning(4, 0), "bundle_token"),
        (bundle(vec![]).tipping(11), "bundle_tip"),
        (bundle(vec![pay(300), pay(201)]), "bundle_value"),
        (
            Bundle {
                deadline: NOW + 599,
                ..bundle(vec![])
            },
            "bundle_deadline",
        ),
        (
            Bundle {
                deadline: NOW + 86_401,
                ..bundle(vec![])
            },
            "bundle_deadline",
        ),
        (
            Bundle {
                deadline: 0,
                ..bundle(vec![])
            },
            "bundle_deadline",
        ),
    ] {
        let refused = said(&wrong);
        assert!(refused.starts_with(expected), "{refused} is not {expected}");
    }
    for right in [
        bundle(vec![pay(300), pay(200)]),
        Bundle {
            deadline: NOW + 600,
            ..bundle(vec![])
        },
        Bundle {
            deadline: NOW + 86_400,
            ..bundle(vec![])
        },
    ] {
        assert_eq!(said(&right), "taken");
    }
    // The token that is withdrawn counts, too.
    let policy = BundlePolicy::parse("tokens = [0]").unwrap();
    let bundle = bundle(vec![]);
    let refused = check(
        Some(&policy),
        CHAIN,
        &operation(&bundle),
        Some(&bundle.abi_encode()),
        NOW,
    );
    assert_eq!(refused.unwrap_err().code, "bundle_token");
}

#[test]
fn what_comes_along_is_what_was_signed_also_without_a_policy() {
    let good = bundle(vec![sent(STRANGER)]);
    let encoded = good.abi_encode();
    let order = operation(&good);
    let policy = BundlePolicy::parse("").unwrap();
    let code = |policy: Option<&BundlePolicy>, order: &Operation, bytes: Option<&[u8]>| match check(
        policy, CHAIN, order, bytes, NOW,
    ) {
        Ok(()) => "taken",
        Err(refusal) => refusal.code,
    };
    // Without a policy a bundle need not be shown, with one it must; other kinds have none.
    assert_eq!(code(None, &order, None), "taken");
    assert_eq!(code(None, &order, Some(&encoded)), "taken");
    assert_eq!(code(Some(&policy), &order, None), "bundle_unseen");
    assert_eq!(code(Some(&policy), &order, Some(&encoded)), "bundle_call");
    let transfer = Operation::new(Kind::Transfer, 1, 3, 5, 3, 0);
    assert_eq!(code(Some(&policy), &transfer, None), "taken");
    assert_eq!(code(None, &transfer, Some(&encoded)), "bundle_form");
    // A policy without rules: only what makes no calls.
    let empty = bundle(vec![]);
    let bytes = empty.abi_encode();
    assert_eq!(
        code(Some(&policy), &operation(&empty), Some(&bytes)),
        "taken"
    );

    // Another bundle than the signed one.
    assert_eq!(code(None, &order, Some(&bytes)), "bundle_hash");
    // Bytes that are signed and no bundle, or one that Ethereum would encode otherwise.
    let rehashed = |bytes: &[u8]| {
        let mut order = order.clone();
        let hash: U256 = U256::from_be_bytes(keccak256(bytes).0) >> 8;
        order.words[0] = Option::from(Scalar::from_bytes_be(&hash.to_be_bytes::<32>())).unwrap();
        order
    };
    let longer = [encoded.as_slice(), &[0; 32]].concat();
    let large = vec![0; MOST_BYTES + 1];
    for bytes in [&[][..], &[1; 40], &longer, &large] {
        assert_eq!(code(None, &rehashed(bytes), Some(bytes)), "bundle_form");
    }
    // Bundles that could never run.
    let mut other = good.clone();
    other.chainId += 1;
    let mut theirs = operation(&good);
    theirs.words[1] = Scalar::from(5);
    let never = [
        (operation(&other), other.clone()),
        (theirs, good.clone()),
        (
            operation(&good.clone().tipping(1_001)),
            good.clone().tipping(1_001),
        ),
    ];
    for (order, bundle) in never {
        let bytes = bundle.abi_encode();
        assert_eq!(code(None, &order, Some(&bytes)), "bundle_form");
    }
}

#[test]
fn files_are_read_strictly_and_faults_say_where() {
    let allow = |rest: &str| {
        format!("[[allow]]\ntarget = \"0x00000000000000000000000000000000000000a1\"\n{rest}")
    };
    let with = |argument: &str| {
        allow(&format!(
            "function = \"f(address,uint8,bytes,int256)\"\nargument = [{{ {argument} }}]"
        ))
    };
    for (text, expected) in [
        ("colour = 1".to_owned(), "unknown field"),
        ("tokens = [64]".into(), "slot 64"),
        ("most_tip = \"-1\"".into(), "most_tip"),
        ("most_value = \"0x\"".into(), "most_value"),
        ("deadline = { least = 2, most = 1 }".into(), "deadline"),
        ("recipients = [\"0x12\"]".into(), "recipients"),
        (allow("function = \"transfer\""), "[[allow]] number 1"),
        (allow("function = \"f(uint)\""), "`uint`"),
        (allow("function = \"f(uint7)\""), "`uint7`"),
        (allow("function = \"f(uint264)\""), "`uint264`"),
        (allow("function = \"f(bytes33)\""), "`bytes33`"),
        (allow("function = \"f((uint8,uint8))\""), "no type"),
        (allow("function = \"f(uint8[2])\""), "no type"),
        (allow("function = \"f( uint8)\""), "no type"),
        (with("index = 4, equal = \"1\""), "index 4"),
        (with("index = 0"), "has no condition"),
        (with("index = 0, at_most = \"1\""), "cannot have"),
        (with("index = 1, own_alias = true"), "cannot have"),
        (with("index = 1, equal = \"256\""), "cannot have"),
        (with("index = 2, equal = \"1\""), "cannot have"),
        (with("index = 3, at_least = \"1\""), "cannot have"),
    ] {
        let fault = BundlePolicy::parse(&text).unwrap_err();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    BundlePolicy::parse(&with("index = 3, equal = \"1\"")).unwrap();
    let fault = BundlePolicy::read(std::path::Path::new("no-such-policy.toml")).unwrap_err();
    assert!(fault.to_string().contains("no-such-policy.toml"), "{fault}");
}
