//! A small state, signatures, and a batch with every kind of operation, for the tests
//! of the rollup circuit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bellpepper_core::Circuit;
use blstrs::Scalar;
use carillon_circuit::rollup::{
    HeaderWitness, OpWitness, RollupCircuit, Shape, StateView, Trace, Tracer, build,
};
use carillon_protocol::Domain;
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::poseidon::{hash_message, hash_node};
use carillon_runtime::groth16::{self, Groth16Error};
use ff::Field;
use group::Group;
use jubjub::{ExtendedPoint, Fr, SubgroupPoint};

/// Bits at both ends of the domain.
pub const CHAIN: Domain = Domain::from_number(0xca11 | 1 << 127);
pub const BATCH: u64 = 7;
pub const OPERATOR: u32 = 9;
pub const DEPTH: usize = 2;
/// Account without a key.
pub const KEYLESS: u32 = 6;
/// Account that nobody has used.
pub const UNUSED: u32 = 7;
/// Another account that nobody has used.
pub const NEWCOMER: u32 = 10;
/// Account whose nonce is at its end.
pub const WORN: u32 = 8;
pub const ZERO: Scalar = Scalar::ZERO;

/// A full tree with 16 accounts.
pub struct State {
    headers: Vec<HeaderWitness>,
    balances: BTreeMap<(u32, u8), Scalar>,
    tokens: Vec<Vec<Vec<Scalar>>>,
    nodes: Vec<Vec<Scalar>>,
}

fn levels(leaves: Vec<Scalar>) -> Vec<Vec<Scalar>> {
    let mut levels = vec![leaves];
    while levels.last().unwrap().len() > 1 {
        let (groups, _) = levels.last().unwrap().as_chunks::<4>();
        let above = groups.iter().map(hash_node).collect();
        levels.push(above);
    }
    levels
}

pub fn owner(account: u32) -> Scalar {
    Scalar::from(0xabcd_0000_0000 + u64::from(account))
}

pub fn secret(account: u32) -> Fr {
    Fr::from(u64::from(account) + 0x1234_5678).square()
}

pub fn public(secret: Fr) -> Point {
    Point::from_extended(&ExtendedPoint::from(SubgroupPoint::generator() * secret))
}

impl State {
    pub fn new() -> Self {
        Self::with(|_, _| ())
    }

    /// The state with other headers and balances.
    pub fn with(
        change: impl FnOnce(&mut [HeaderWitness], &mut BTreeMap<(u32, u8), Scalar>),
    ) -> Self {
        let header = |account: u32| match account {
            UNUSED | 10.. => HeaderWitness::UNUSED,
            KEYLESS => HeaderWitness {
                owner: owner(account),
                ..HeaderWitness::UNUSED
            },
            _ => HeaderWitness {
                key: public(secret(account)),
                nonce: Scalar::from(if account == WORN {
                    u64::from(u32::MAX)
                } else {
                    3
                }),
                owner: owner(account),
            },
        };
        let mut headers: Vec<_> = (0..16).map(header).collect();
        let mut balances: BTreeMap<(u32, u8), Scalar> = (0..9)
            .filter(|account| *account != UNUSED)
            .flat_map(|account| {
                let balance =
                    move |token: u64| Scalar::from(1000 + u64::from(account) + 100 * token);
                [((account, 0), balance(0)), ((account, 5), balance(5))]
            })
            .collect();
        change(&mut headers, &mut balances);
        let tokens: Vec<_> = (0..16)
            .map(|account| {
                let leaf = |token| balances.get(&(account, token)).copied().unwrap_or_default();
                levels((0..64).map(leaf).collect())
            })
            .collect();
        let leaves = headers
            .iter()
            .zip(&tokens)
            .map(|(header, tokens)| header.leaf(tokens[3][0]));
        let nodes = levels(leaves.collect());
        Self {
            headers,
            balances,
            tokens,
            nodes,
        }
    }
}

impl StateView for State {
    fn depth(&self) -> usize {
        DEPTH
    }
    fn header(&self, account: u32) -> HeaderWitness {
        self.headers[account as usize]
    }
    fn balance(&self, account: u32, token: u8) -> Scalar {
        self.balances
            .get(&(account, token))
            .copied()
            .unwrap_or_default()
    }
    fn token_node(&self, account: u32, level: usize, index: u32) -> Scalar {
        self.tokens[account as usize][level][index as usize]
    }
    fn node(&self, level: usize, index: u32) -> Scalar {
        self.nodes[level][index as usize]
    }
}

/// An operation on token 0 with an amount of `mantissa` and a fee of 5, unsigned.
pub fn op(kind: u8, from: u32, amount: u64) -> OpWitness {
    let signed = matches!(kind, 1 | 3 | 4 | 6 | 8);
    OpWitness {
        kind,
        from,
        amount: Scalar::from(amount),
        fee_mantissa: if signed { 5 } else { 0 },
        ..OpWitness::empty()
    }
}

pub fn transfer(from: u32, to: u32, amount: u64) -> OpWitness {
    OpWitness {
        to,
        mantissa: amount,
        ..op(1, from, amount)
    }
}

pub fn with_words(mut op: OpWitness, words: [Scalar; 3]) -> OpWitness {
    op.words = words;
    op
}

/// A new key and its root.
pub fn new_key(secret: Fr) -> (Point, Point) {
    let key = SubgroupPoint::generator() * secret;
    let root = key * Fr::from(8).invert().unwrap();
    (public(secret), Point::from_extended(&root.into()))
}

pub fn set_key(from: u32, secret: Fr) -> OpWitness {
    let (key, root) = new_key(secret);
    OpWitness {
        key_root: root,
        ..with_words(op(6, from, 0), [Scalar::ZERO, key.x, key.y])
    }
}

/// The challenge hash of a signature with the point `r`.
pub fn challenge_hash(op: &OpWitness, header: &HeaderWitness, r: Point, domain: Domain) -> Scalar {
    let (packed, domain) = (op.pack(), domain.number());
    let chained = Scalar::from_u64s_le(&[
        packed as u64,
        (packed >> 64) as u64 | (domain as u64) << 50,
        (domain >> 14) as u64,
        (domain >> 78) as u64,
    ]);
    let [w2, w3, w4] = op.words;
    hash_message(&[
        r.x,
        r.y,
        header.key.x,
        header.key.y,
        chained.unwrap(),
        header.nonce,
        header.owner,
        op.amount,
        w2,
        w3,
        w4,
    ])
}

/// The challenge: the low half of its hash.
pub fn challenge(hash: Scalar) -> Fr {
    let bytes = hash.to_bytes_le();
    let low = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap());
    Fr::from_raw([low(0), low(1), 0, 0])
}

pub fn sign(op: &mut OpWitness, header: &HeaderWitness, secret: Fr, domain: Domain) {
    let nonce = Fr::from(0x7777_1111 + u64::from(op.from)).square();
    let r = public(nonce);
    let c = challenge(challenge_hash(op, header, r, domain));
    (op.r, op.s) = (r, (nonce + c * secret).to_bytes());
}

/// Operations on the state, signed by their accounts.
pub struct Batch<'a> {
    pub tracer: Tracer<'a, State>,
    secrets: BTreeMap<u32, Fr>,
}

impl<'a> Batch<'a> {
    pub fn new(state: &'a State) -> Self {
        Self {
            tracer: Tracer::new(state, CHAIN, BATCH, OPERATOR),
            secrets: BTreeMap::new(),
        }
    }

    /// Signs with the account's key, if the operation needs it, and adds it.
    pub fn add(&mut self, mut op: OpWitness) -> &mut Self {
        if matches!(op.kind, 1 | 3 | 4 | 6 | 8) {
            let key = self.secrets.get(&op.from).copied();
            let key = key.unwrap_or_else(|| secret(op.from));
            let header = self.tracer.header(op.from);
            sign(&mut op, &header, key, CHAIN);
        }
        self.tracer.push(op);
        self
    }

    /// From now on the account signs with this key.
    pub fn key(&mut self, account: u32, secret: Fr) -> &mut Self {
        self.secrets.insert(account, secret);
        self
    }

    pub fn trace(self) -> Trace {
        self.tracer.finish()
    }
}

pub fn small() -> Shape {
    Shape::with_top(4, 7, 4, DEPTH, 1).unwrap()
}

pub fn z() -> Scalar {
    Scalar::from(0x1357_9bdf).square().square()
}

/// The circuit of a trace in the small shape.
pub fn circuit(state: &State, trace: &Trace) -> RollupCircuit {
    build(small(), state, trace).unwrap().evaluate_at(z())
}

/// The circuit of some operations in the small shape.
pub fn of(ops: &[OpWitness]) -> RollupCircuit {
    let state = State::new();
    circuit(&state, &traced(&state, ops))
}

pub fn traced(state: &State, ops: &[OpWitness]) -> Trace {
    let mut batch = Batch::new(state);
    for op in ops {
        batch.add(op.clone());
    }
    batch.trace()
}

/// A batch with every kind of operation.
pub fn all_kinds(state: &State) -> Trace {
    let (ours, theirs) = (Fr::from(77), Fr::from(78));
    let first_key = new_key(ours).0;
    let mut batch = Batch::new(state);
    batch
        .add(transfer(1, 2, 300))
        .add(with_words(
            op(2, UNUSED, 5000),
            [owner(UNUSED), first_key.x, first_key.y],
        ))
        .key(UNUSED, ours)
        .add(OpWitness {
            mantissa: 4,
            exponent: 3,
            fee_mantissa: 1,
            fee_exponent: 1,
            ..transfer(UNUSED, 1, 4000)
        })
        .add(with_words(
            op(3, 2, 1290),
            [owner(2), Scalar::ZERO, Scalar::ZERO],
        ))
        .add(OpWitness {
            token: 5,
            ..with_words(
                op(4, 3, 200),
                [Scalar::from(0xb00d), owner(3), Scalar::ZERO],
            )
        })
        .add(with_words(
            op(5, 3, 41),
            [owner(3), Scalar::ZERO, Scalar::ZERO],
        ))
        .add(set_key(4, theirs))
        .key(4, theirs)
        .add(transfer(4, 4, 900))
        .add(with_words(
            op(7, 5, 1005),
            [owner(5), Scalar::ZERO, Scalar::ZERO],
        ))
        .add(with_words(
            op(7, 1, 0),
            [owner(5), Scalar::ZERO, Scalar::ZERO],
        ))
        .add(send(3, 7))
        .add(arrival(9, NEWCOMER, 60))
        .add(arrival(10, 3, 7))
        .add(transfer(OPERATOR, 1, 1));
    batch.trace()
}

/// A batch with every kind fits.
pub fn for_all_kinds(top: usize) -> Shape {
    Shape::with_top(16, 19, 11, DEPTH, top).unwrap()
}

/// The other end of an operation between chains: an owner, a chain, the last leg of a flow.
pub fn party(owner: Scalar) -> Scalar {
    let [chain, leg, flow] = [(271, 160), (7, 224), (1, 232)]
        .map(|(value, bit): (u64, u64)| num(value) * num(2).pow_vartime([bit]));
    owner + chain + leg + flow
}

/// To somebody on another chain, by an account with the owner of its number. What was sent has 248 bits.
pub fn send(from: u32, amount: u64) -> OpWitness {
    let memo = num(2).pow_vartime([248]) - num(1);
    let words = [party(owner(70)), owner(from), memo];
    with_words(op(8, from, amount), words)
}

/// A take (9) or a return (10).
pub fn arrival(kind: u8, account: u32, amount: u64) -> OpWitness {
    let words = [owner(account), party(owner(70)), num(77)];
    with_words(op(kind, account, amount), words)
}

thread_local! {
    /// Forgeries that were refused, while they are recorded.
    static REFUSED: RefCell<Option<Vec<RollupCircuit>>> = const { RefCell::new(None) };
}

/// The circuits that a suite sees refused.
pub fn record(suite: impl FnOnce()) -> Vec<RollupCircuit> {
    REFUSED.with_borrow_mut(|refused| *refused = Some(Vec::new()));
    suite();
    REFUSED.take().unwrap_or_default()
}

/// The first constraint that a circuit violates.
pub fn violated(circuit: RollupCircuit) -> Option<String> {
    let kept = REFUSED.with_borrow(|refused| refused.is_some().then(|| circuit.clone()));
    let name = first_violated(circuit);
    if name.is_some() {
        REFUSED.with_borrow_mut(|refused| {
            if let Some(refused) = refused {
                refused.extend(kept);
            }
        });
    }
    name
}

fn first_violated(circuit: RollupCircuit) -> Option<String> {
    match groth16::synthesize(circuit) {
        Ok(_) => None,
        Err(Groth16Error::Unsatisfied { constraint, .. }) => Some(constraint),
        Err(other) => panic!("{other}"),
    }
}

#[track_caller]
pub fn assert_stopped_by(circuit: RollupCircuit, part: &str) {
    match violated(circuit) {
        Some(name) => assert!(
            name.contains(part),
            "stopped by `{name}`, expected `{part}`"
        ),
        None => panic!("the forgery was accepted; `{part}` should have stopped it"),
    }
}

/// Synthesises into any constraint system.
pub fn into<CS: bellpepper_core::ConstraintSystem<Scalar>>(cs: &mut CS, circuit: RollupCircuit) {
    circuit.synthesize(cs).unwrap();
}

/// A tree of production depth in which all accounts of a small number have a balance.
pub struct Wide {
    headers: Vec<HeaderWitness>,
    tokens: Vec<Vec<Vec<Scalar>>>,
    empty_tokens: Vec<Scalar>,
    nodes: BTreeMap<(usize, u32), Scalar>,
    empty: Vec<Scalar>,
}

impl Wide {
    const ACCOUNTS: u32 = 500;
    /// Distance between accounts: they lie all over the tree.
    const STRIDE: u32 = 33_000;

    pub fn account(i: u32) -> u32 {
        i * Self::STRIDE
    }

    pub fn new() -> Self {
        let header = |i| HeaderWitness {
            key: public(secret(Self::account(i))),
            nonce: Scalar::ZERO,
            owner: owner(i),
        };
        let headers: Vec<_> = (0..Self::ACCOUNTS).map(header).collect();
        let mut empty_tokens = vec![Scalar::ZERO];
        for level in 0..3 {
            empty_tokens.push(hash_node(&[empty_tokens[level]; 4]));
        }
        let mut empty = vec![HeaderWitness::UNUSED.leaf(empty_tokens[3])];
        for level in 0..12 {
            empty.push(hash_node(&[empty[level]; 4]));
        }
        let mut balances = vec![Scalar::ZERO; 64];
        balances[0] = Scalar::from(1_000_000);
        let tokens = levels(balances);
        let mut nodes = BTreeMap::new();
        for (i, header) in headers.iter().enumerate() {
            nodes.insert((0, Self::account(i as u32)), header.leaf(tokens[3][0]));
        }
        for (level, unused) in empty.iter().enumerate().take(12) {
            let below: std::collections::BTreeSet<u32> = nodes
                .range((level, 0)..(level + 1, 0))
                .map(|((_, index), _)| index >> 2)
                .collect();
            for parent in below {
                let child = |i| {
                    nodes
                        .get(&(level, parent << 2 | i))
                        .copied()
                        .unwrap_or(*unused)
                };
                let hash = hash_node(&[0, 1, 2, 3].map(child));
                nodes.insert((level + 1, parent), hash);
            }
        }
        Self {
            headers,
            tokens: vec![tokens],
            empty_tokens,
            nodes,
            empty,
        }
    }

    fn known(account: u32) -> Option<usize> {
        let i = account / Self::STRIDE;
        (account.is_multiple_of(Self::STRIDE) && i < Self::ACCOUNTS).then_some(i as usize)
    }
}

impl StateView for Wide {
    fn depth(&self) -> usize {
        12
    }
    fn header(&self, account: u32) -> HeaderWitness {
        Self::known(account).map_or(HeaderWitness::UNUSED, |i| self.headers[i])
    }
    fn balance(&self, account: u32, token: u8) -> Scalar {
        Self::known(account).map_or(Scalar::ZERO, |_| self.tokens[0][0][usize::from(token)])
    }
    fn token_node(&self, account: u32, level: usize, index: u32) -> Scalar {
        match Self::known(account) {
            Some(_) => self.tokens[0][level][index as usize],
            None => self.empty_tokens[level],
        }
    }
    fn node(&self, level: usize, index: u32) -> Scalar {
        self.nodes
            .get(&(level, index))
            .copied()
            .unwrap_or(self.empty[level])
    }
}

/// Transfers among some accounts, round and round.
pub fn many_transfers(state: &Wide, count: u32, accounts: u32) -> Trace {
    let mut tracer = Tracer::new(state, CHAIN, BATCH, 0);
    for i in 0..count {
        let (from, to) = (
            Wide::account(i * 7 % accounts),
            Wide::account(i * 13 % accounts),
        );
        let mut op = transfer(from, to, 100);
        let header = tracer.header(from);
        sign(&mut op, &header, secret(from), CHAIN);
        tracer.push(op);
    }
    tracer.finish()
}

pub fn num(value: u64) -> Scalar {
    Scalar::from(value)
}

/// A transfer and a withdrawal.
pub fn honest() -> RollupCircuit {
    of(&[transfer(1, 2, 300), withdraw(2, 100)])
}

pub fn withdraw(from: u32, amount: u64) -> OpWitness {
    with_words(op(3, from, amount), [owner(from), ZERO, ZERO])
}

pub fn deposit(to: u32, amount: u64, by: Scalar) -> OpWitness {
    with_words(op(2, to, amount), [by, ZERO, ZERO])
}

pub fn exit(of: u32, amount: u64, by: Scalar) -> OpWitness {
    with_words(op(7, of, amount), [by, ZERO, ZERO])
}

/// Applies a lie to an honest circuit and rebinds the public inputs to it.
pub fn after(lie: impl FnOnce(&mut RollupCircuit)) -> RollupCircuit {
    let mut circuit = honest();
    lie(&mut circuit);
    circuit.evaluate_at(z())
}

/// Applies a lie to an honest trace and builds everything from it.
pub fn built(ops: &[OpWitness], lie: impl FnOnce(&mut Trace)) -> RollupCircuit {
    let state = State::new();
    let mut trace = traced(&state, ops);
    assert_eq!(violated(circuit(&state, &trace)), None, "the honest case");
    lie(&mut trace);
    circuit(&state, &trace)
}
