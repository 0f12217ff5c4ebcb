//! One slot of the batch: an operation, or nothing.
//!
//! [`Slot::new`] (before the challenges) checks the operation itself: fields, flags,
//! amounts, signature, and what follows from the values it reads. Whether these
//! values are the right ones is the bus's business: [`Slot::put_on`] (after the
//! challenges) takes each value read from the bus, as written at an earlier time,
//! and puts the new one there. Called by [`super::RollupCircuit`] once a slot.

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::bus::{Bus, Tag, Time, Tuple};
use super::shape::Shape;
use super::widths::{ACCOUNT_BITS, BALANCE_BITS, KIND_BITS, TOKEN_BITS};
use super::witness::{HeaderWitness, OpWitness};
use super::{decimal, signature};
use crate::edwards::EdwardsPoint;
use crate::num::{
    Num, alloc, alloc_uint, constant, enforce_fits, enforce_product, from_bit, is_equal, mul, pow2,
    shorten, sub,
};
use carillon_protocol::layout::{record, slot};

/// What all slots share.
pub(super) struct Context {
    pub(super) shape: Shape,
    /// The domain that operations are signed for.
    pub(super) domain: Num,
    /// The operator's account.
    pub(super) operator: Num,
}

/// An account's header in the circuit.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) key: EdwardsPoint,
    pub(super) nonce: Num,
    pub(super) owner: Num,
}

impl Header {
    /// Four variables; what binds them is up to the caller.
    fn witness<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        header: &HeaderWitness,
    ) -> Result<Self, SynthesisError> {
        let mut field =
            |name: &'static str, value: Scalar| alloc(cs.namespace(|| name), || Ok(value));
        Ok(Self {
            key: EdwardsPoint {
                x: field("key x", header.key.x)?,
                y: field("key y", header.key.y)?,
            },
            nonce: field("nonce", header.nonce)?,
            owner: field("owner", header.owner)?,
        })
    }

    /// The values of the header's tuple after the time.
    pub(super) fn values(&self) -> [&Num; 4] {
        [&self.key.x, &self.key.y, &self.nonce, &self.owner]
    }
}

/// The kind of an operation as flags, exactly one of which is one.
struct Kinds {
    flags: [Num; KINDS],
}

impl Kinds {
    /// 7 constraints.
    fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        bits: &[Boolean],
    ) -> Result<Self, SynthesisError> {
        let [k0, k1, k2, k3] = [0, 1, 2, 3].map(|i| from_bit::<CS>(&bits[i]));
        let k01 = mul(cs.namespace(|| "bits 0 and 1"), &k0, &k1)?;
        let k02 = mul(cs.namespace(|| "bits 0 and 2"), &k0, &k2)?;
        let k12 = mul(cs.namespace(|| "bits 1 and 2"), &k1, &k2)?;
        let all = mul(cs.namespace(|| "bits 0 to 2"), &k01, &k2)?;
        // Above 7 there are 8, 9 and 10. The flags of 11 would be those of a no-op, which is all zeros.
        enforce_product(&mut cs, "no kinds above 11", &k3, &k2, &Num::zero());
        let f9 = mul(cs.namespace(|| "bits 0 and 3"), &k0, &k3)?;
        let f10 = mul(cs.namespace(|| "bits 1 and 3"), &k1, &k3)?;
        let f8 = sub(&sub(&k3, &f9), &f10);
        let one = constant::<CS>(Scalar::ONE);
        let (f3, f5, f6) = (sub(&k01, &all), sub(&k02, &all), sub(&k12, &all));
        // A single bit: the bit without those flags that share it.
        let alone = |bit: &Num, others: &[&Num]| others.iter().fold(bit.clone(), |f, o| sub(&f, o));
        let f1 = alone(&k0, &[&f3, &f5, &all, &f9]);
        let f2 = alone(&k1, &[&f3, &f6, &all, &f10]);
        let f4 = alone(&k2, &[&f5, &f6, &all]);
        let f0 = alone(&one, &[&f1, &f2, &f3, &f4, &f5, &f6, &all, &k3]);
        Ok(Self {
            flags: [f0, f1, f2, f3, f4, f5, f6, all, f8, f9, f10],
        })
    }

    /// By its account's key.
    fn signed(&self) -> Num {
        self.any(&[TRANSFER, WITHDRAW, BUNDLE, SET_KEY, SEND])
    }

    /// Brings funds in.
    fn inbound(&self) -> Num {
        self.any(&[DEPOSIT, IMPORT, TAKE, RETURN])
    }

    /// Brings funds in, and perhaps a key.
    fn keyed(&self) -> Num {
        self.any(&[DEPOSIT, IMPORT])
    }

    /// Takes its amount off the account.
    fn debit(&self) -> Num {
        self.any(&[TRANSFER, WITHDRAW, BUNDLE, EXIT, SEND])
    }

    /// Stands in H with a record.
    fn recorded(&self) -> Num {
        self.any(&[
            DEPOSIT, WITHDRAW, BUNDLE, IMPORT, SET_KEY, EXIT, SEND, TAKE, RETURN,
        ])
    }

    /// Not a no-op.
    fn active<CS: ConstraintSystem<Scalar>>(&self) -> Num {
        sub(&constant::<CS>(Scalar::ONE), &self.flags[NOOP])
    }

    /// Sum of some flags: one for operations of these kinds, zero for others.
    fn any(&self, kinds: &[usize]) -> Num {
        kinds
            .iter()
            .fold(Num::zero(), |sum, kind| sum.add(&self.flags[*kind]))
    }
}

const NOOP: usize = 0;
const TRANSFER: usize = 1;
const DEPOSIT: usize = 2;
const WITHDRAW: usize = 3;
const BUNDLE: usize = 4;
const IMPORT: usize = 5;
const SET_KEY: usize = 6;
const EXIT: usize = 7;
const SEND: usize = 8;
const TAKE: usize = 9;
const RETURN: usize = 10;
/// Kinds, the no-op among them.
const KINDS: usize = 11;

/// A field at its position in a word.
fn at(field: &Num, position: u32) -> Num {
    field.clone().scale(pow2(position.into()))
}

/// One access of the bus: what was read, when it was written, and what is written.
struct Access {
    flag: Num,
    address: Num,
    previous: Num,
}

/// A slot after its own checks.
pub(super) struct Slot {
    /// The slot's bits as a number.
    pub(super) packed: Num,
    /// The slot's share of what the challenges are drawn from.
    absorbed: [Num; 4],
    /// Records up to and with this slot.
    pub(super) records: Num,
    /// Time of the first access.
    time: u64,
    headers: [Header; 2],
    /// Balance read and balance written, for each of the three cells.
    balances: [[Num; 2]; 3],
    header_access: Access,
    cell_accesses: [Access; 3],
    /// Flag, number and words of the record.
    record: (Num, Num, [Num; 5]),
}

impl Slot {
    /// The checks of slot number `index`; `records` of the slots before have one.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        context: &Context,
        index: usize,
        op: &OpWitness,
        records: &Num,
    ) -> Result<Self, SynthesisError> {
        let fields = Fields::new(cs.namespace(|| "fields"), op)?;
        let before = Header::witness(cs.namespace(|| "header"), &op.header)?;
        let amount = alloc(cs.namespace(|| "amount"), || Ok(op.amount))?;
        let words = fields.words(cs.namespace(|| "words"), op, &before)?;
        let digest = signature::verify_if(
            cs.namespace(|| "signature"),
            &fields.kinds.signed(),
            &before.key,
            fields.message(context, &before, &amount, &words),
            (op.r, &op.s),
        )?;
        let after = new_header(cs.namespace(|| "new header"), &fields, &before, &words, op)?;

        let [own, to, operator] = alloc_balances(&mut cs, op)?;
        fields.check_amount(
            cs.namespace(|| "amount rules"),
            &amount,
            &before,
            &own,
            &words,
        )?;
        let changed = fields.pay(&mut cs, &own, &amount)?;
        let to_after = to.clone().add(&amount);
        let operator_after = operator.clone().add(&fields.fee);

        let time = 4 * index as u64 + 1;
        let bits = context.shape.time_bits();
        let Times { previous, spelled } = Times::new(&mut cs, time, op.times, bits, &changed)?;
        let [header_access, cell_accesses @ ..] = fields.accesses::<CS>(context, previous);

        // A fresh variable, so that the count does not grow into a sum over all slots.
        let recorded = fields.kinds.recorded();
        let number = records.clone();
        let records = shorten(cs.namespace(|| "records"), &number.clone().add(&recorded))?;
        let [w2, w3, w4] = words;
        Ok(Self {
            packed: fields.packed.clone(),
            absorbed: [digest, spelled, to.clone(), operator.clone()],
            records,
            time,
            headers: [before, after],
            balances: [[own, changed], [to, to_after], [operator, operator_after]],
            header_access,
            cell_accesses,
            record: (recorded, number, [fields.word0(), amount, w2, w3, w4]),
        })
    }

    /// What the challenges are drawn from, by name.
    pub(super) fn absorbed(&self) -> [(&'static str, Num); 4] {
        let [digest, own, to, operator] = self.absorbed.clone();
        [
            ("slot digest", digest),
            ("slot balance and times", own),
            ("slot receiver's balance", to),
            ("slot operator's balance", operator),
        ]
    }

    /// Puts the slot's accesses and its record on the bus.
    pub(super) fn put_on<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        bus: &mut Bus,
    ) -> Result<(), SynthesisError> {
        let Access {
            flag,
            address,
            previous,
        } = &self.header_access;
        let [before, after] = &self.headers;
        let header = |time, values| Tuple {
            tag: Tag::Header,
            address,
            time,
            values,
        };
        let (read, written) = (before.values(), after.values());
        bus.consume(
            cs.namespace(|| "header read"),
            flag,
            &header(Time::Read(previous), &read),
        )?;
        bus.supply(
            cs.namespace(|| "header written"),
            flag,
            &header(Time::Known(self.time), &written),
        )?;

        for (j, (access, [before, after])) in
            self.cell_accesses.iter().zip(&self.balances).enumerate()
        {
            let Access {
                flag,
                address,
                previous,
            } = access;
            let cell = |time, values| Tuple {
                tag: Tag::Cell,
                address,
                time,
                values,
            };
            let mut cs = cs.namespace(|| format!("cell {j}"));
            let (read, written) = ([before], [after]);
            bus.consume(
                cs.namespace(|| "read"),
                flag,
                &cell(Time::Read(previous), &read),
            )?;
            let time = Time::Known(self.time + j as u64);
            bus.supply(cs.namespace(|| "written"), flag, &cell(time, &written))?;
        }

        let (flag, number, words) = &self.record;
        let words = [0, 1, 2, 3, 4].map(|i: usize| &words[i]);
        let record = Tuple {
            tag: Tag::Record,
            address: number,
            time: Time::None,
            values: &words,
        };
        bus.supply(cs.namespace(|| "record"), flag, &record)
    }
}

/// The slot's bits, read.
struct Fields {
    kinds: Kinds,
    kind: Num,
    from: Num,
    to: Num,
    token: Num,
    /// `mantissa * 10^exponent` of the amount field.
    decimal: Num,
    fee: Num,
    packed: Num,
}

impl Fields {
    fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        op: &OpWitness,
    ) -> Result<Self, SynthesisError> {
        let mut uint = |name: &'static str, value: u64, bits: usize| {
            alloc_uint(cs.namespace(|| name), value, bits)
        };
        let (kind, kind_bits) = uint("kind", op.kind.into(), KIND_BITS)?;
        let (from, _) = uint("from", op.from.into(), ACCOUNT_BITS)?;
        let (to, _) = uint("to", op.to.into(), ACCOUNT_BITS)?;
        let (token, _) = uint("token", op.token.into(), TOKEN_BITS)?;
        let (mantissa, _) = uint("mantissa", op.mantissa, 35)?;
        let (exponent, exponent_bits) = uint("exponent", op.exponent.into(), 5)?;
        let (fee_mantissa, _) = uint("fee mantissa", op.fee_mantissa.into(), 11)?;
        let (fee_exponent, fee_exponent_bits) = uint("fee exponent", op.fee_exponent.into(), 5)?;

        let kinds = Kinds::new(cs.namespace(|| "kinds"), &kind_bits)?;
        let receiver = at(&to, slot::TO);
        let amount = at(&mantissa, slot::AMOUNT).add(&at(&exponent, slot::AMOUNT_EXPONENT));
        let fee = at(&fee_mantissa, slot::FEE).add(&at(&fee_exponent, slot::FEE_EXPONENT));
        let packed = kind
            .clone()
            .add(&at(&from, slot::FROM))
            .add(&receiver)
            .add(&at(&token, slot::TOKEN))
            .add(&amount)
            .add(&fee);

        // Sums of bits with positive weights are zero only if every bit is.
        let one = constant::<CS>(Scalar::ONE);
        let signed = kinds.signed();
        let none = Num::zero();
        let rules = [
            ("a no-op is all zeros", kinds.flags[NOOP].clone(), &packed),
            (
                "receiver and amount of a transfer only",
                sub(&one, &kinds.flags[TRANSFER]),
                &receiver.add(&amount),
            ),
            ("fee of a signed operation only", sub(&one, &signed), &fee),
        ];
        for (name, flag, field) in rules {
            enforce_product(&mut cs, name, &flag, field, &none);
        }

        Ok(Self {
            decimal: decimal::scale(cs.namespace(|| "amount"), &mantissa, &exponent_bits)?,
            fee: decimal::scale(cs.namespace(|| "fee"), &fee_mantissa, &fee_exponent_bits)?,
            kinds,
            kind,
            from,
            to,
            token,
            packed,
        })
    }

    /// What a signature is checked against.
    fn message(
        &self,
        context: &Context,
        header: &Header,
        amount: &Num,
        [w2, w3, w4]: &[Num; 3],
    ) -> [Num; 7] {
        let domain = at(&context.domain, slot::BITS);
        [
            self.packed.clone().add(&domain),
            header.nonce.clone(),
            header.owner.clone(),
            amount.clone(),
            w2.clone(),
            w3.clone(),
            w4.clone(),
        ]
    }

    /// The account's balance afterwards. Only the debit is range-checked: no balance
    /// is ever negative, and all of one token together are at most what the bridge
    /// holds, below 2^96, so no credit can leave the range.
    fn pay<CS: ConstraintSystem<Scalar>>(
        &self,
        cs: &mut CS,
        own: &Num,
        amount: &Num,
    ) -> Result<Num, SynthesisError> {
        let direction = sub(&self.kinds.inbound(), &self.kinds.debit());
        let moved = mul(cs.namespace(|| "moved"), &direction, amount)?;
        let changed = sub(&own.clone().add(&moved), &self.fee);
        enforce_fits(cs.namespace(|| "can pay"), &changed, BALANCE_BITS)
    }

    /// Of the header, and of the account's, the receiver's and the operator's cell.
    fn accesses<CS: ConstraintSystem<Scalar>>(
        &self,
        context: &Context,
        previous: [Num; 4],
    ) -> [Access; 4] {
        let kinds = &self.kinds;
        let active = kinds.active::<CS>();
        let cell = |account: &Num| account.clone().scale(pow2(6)).add(&self.token);
        let access = |flag: &Num, address: Num, previous: Num| Access {
            flag: flag.clone(),
            address,
            previous,
        };
        let [header, own, to, operator] = previous;
        [
            access(&active, self.from.clone(), header),
            access(&active, cell(&self.from), own),
            access(&kinds.flags[TRANSFER], cell(&self.to), to),
            access(&kinds.signed(), cell(&context.operator), operator),
        ]
    }

    /// Word 0 of the record: kind, account and token.
    fn word0(&self) -> Num {
        self.kind
            .clone()
            .add(&at(&self.from, record::ACCOUNT))
            .add(&at(&self.token, record::TOKEN))
    }

    /// Words 2, 3 and 4 of the record, zero where the kind has none.
    fn words<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        op: &OpWitness,
        header: &Header,
    ) -> Result<[Num; 3], SynthesisError> {
        let mut words = Vec::with_capacity(3);
        for (i, word) in op.words.into_iter().enumerate() {
            words.push(alloc(cs.namespace(|| format!("word {}", i + 2)), || {
                Ok(word)
            })?);
        }
        let [w2, w3, w4] = [0, 1, 2].map(|i| words[i].clone());
        let kinds = &self.kinds;
        let rules = [
            (
                "no word 2",
                kinds.any(&[NOOP, TRANSFER, SET_KEY]),
                w2.clone(),
            ),
            (
                "no word 3",
                kinds.any(&[NOOP, TRANSFER, WITHDRAW, EXIT]),
                w3.clone(),
            ),
            (
                "no word 4",
                kinds.any(&[NOOP, TRANSFER, WITHDRAW, BUNDLE, EXIT]),
                w4.clone(),
            ),
            (
                "word 3 of a bundle or a send is its owner",
                kinds.any(&[BUNDLE, SEND]),
                sub(&w3, &header.owner),
            ),
        ];
        for (name, flag, word) in rules {
            enforce_product(&mut cs, name, &flag, &word, &Num::zero());
        }
        // Nobody could claim it. Whether word 2 is an address is L1's to check.
        let nobody = is_equal(cs.namespace(|| "nobody"), &w2, &Num::zero())?;
        enforce_product(
            &mut cs,
            "a withdrawal has a recipient",
            &kinds.flags[WITHDRAW],
            &from_bit::<CS>(&nobody),
            &Num::zero(),
        );
        Ok([w2, w3, w4])
    }

    /// The amount is the field's value in a transfer, nothing in a no-op or a set
    /// key, and in an exit the whole balance, if the owner asks, or nothing.
    /// Withdrawals, bundles and sends carry theirs in the record, whose range is checked
    /// there, and so do deposits and imports, whose record L1 compares, and takes and
    /// returns, which L1 holds against what was sent.
    fn check_amount<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        amount: &Num,
        header: &Header,
        balance: &Num,
        words: &[Num; 3],
    ) -> Result<(), SynthesisError> {
        let kinds = &self.kinds;
        let none = Num::zero();
        enforce_product(
            &mut cs,
            "amount of a transfer is its field",
            &kinds.flags[TRANSFER],
            &sub(amount, &self.decimal),
            &none,
        );
        enforce_product(
            &mut cs,
            "no amount",
            &kinds.any(&[NOOP, SET_KEY]),
            amount,
            &none,
        );
        let asked = is_equal(cs.namespace(|| "owner asks"), &header.owner, &words[0])?;
        let paid = mul(cs.namespace(|| "paid"), &from_bit::<CS>(&asked), balance)?;
        enforce_product(
            &mut cs,
            "an exit pays all or nothing",
            &kinds.flags[EXIT],
            &sub(amount, &paid),
            &none,
        );
        Ok(())
    }
}

/// The balances read: the account's, the receiver's, the operator's.
fn alloc_balances<CS: ConstraintSystem<Scalar>>(
    cs: &mut CS,
    op: &OpWitness,
) -> Result<[Num; 3], SynthesisError> {
    let [own, to, operator] = op.balances;
    let mut balance =
        |name: &'static str, value: Scalar| alloc(cs.namespace(|| name), || Ok(value));
    Ok([
        balance("balance", own)?,
        balance("receiver's balance", to)?,
        balance("operator's balance", operator)?,
    ])
}

/// When what is read was written, for the header and the three cells.
struct Times {
    previous: [Num; 4],
    /// A number that spells the account's balance and all ages.
    spelled: Num,
}

impl Times {
    /// What is read was written before: the age, spelled in bits, cannot be negative.
    /// `time` is the slot's first, `balance` has [`BALANCE_BITS`] bits.
    fn new<CS: ConstraintSystem<Scalar>>(
        cs: &mut CS,
        time: u64,
        written: [u64; 4],
        bits: usize,
        balance: &Num,
    ) -> Result<Self, SynthesisError> {
        let mut previous = Vec::with_capacity(4);
        let mut spelled = balance.clone();
        // The header is read with the account's cell.
        for (j, (at, before)) in [time, time, time + 1, time + 2]
            .into_iter()
            .zip(written)
            .enumerate()
        {
            let age = (at - 1).wrapping_sub(before);
            let (age, _) = alloc_uint(cs.namespace(|| format!("age {j}")), age, bits)?;
            let weight = pow2((BALANCE_BITS + j * bits) as u64);
            spelled = spelled.add(&age.clone().scale(weight));
            previous.push(sub(&constant::<CS>(Scalar::from(at - 1)), &age));
        }
        let previous = [0, 1, 2, 3].map(|j: usize| previous[j].clone());
        Ok(Self { previous, spelled })
    }
}

/// Header after the operation.
fn new_header<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    fields: &Fields,
    before: &Header,
    [w2, w3, w4]: &[Num; 3],
    op: &OpWitness,
) -> Result<Header, SynthesisError> {
    let none = Num::zero();
    let inbound = &fields.kinds.inbound();
    // An account belongs to its first depositor for good.
    let foreign = mul(
        cs.namespace(|| "owner (owner - word 2)"),
        &before.owner,
        &sub(&before.owner, w2),
    )?;
    enforce_product(
        &mut cs,
        "a deposit goes to its owner's account",
        inbound,
        &foreign,
        &none,
    );
    let owner = mul(
        cs.namespace(|| "owner changes"),
        inbound,
        &sub(w2, &before.owner),
    )?
    .add(&before.owner);

    // The new key of a set key is eight times a point: on the curve, and in the
    // prime-order subgroup, in which only the identity has x = 0.
    let set_key = &fields.kinds.flags[SET_KEY];
    let root = EdwardsPoint::witness(cs.namespace(|| "key root"), op.key_root)?;
    let double = root.double(cs.namespace(|| "2P"))?;
    let quadruple = double.double(cs.namespace(|| "4P"))?;
    let key = quadruple.double(cs.namespace(|| "8P"))?;
    for (name, coordinate, word) in [("new key's x", &key.x, w3), ("new key's y", &key.y, w4)] {
        enforce_product(&mut cs, name, set_key, &sub(coordinate, word), &none);
    }
    let absent = is_equal(cs.namespace(|| "no key"), w3, &none)?;
    let absent = from_bit::<CS>(&absent);
    enforce_product(
        &mut cs,
        "a new key is not the identity",
        set_key,
        &absent,
        &none,
    );

    let present = sub(&constant::<CS>(Scalar::ONE), &absent);
    let keyed = &fields.kinds.keyed();
    let changes = mul(cs.namespace(|| "deposit with a key"), keyed, &present)?.add(set_key);
    let mut replace = |name: &'static str, old: &Num, new: &Num| -> Result<Num, SynthesisError> {
        Ok(mul(cs.namespace(|| name), &changes, &sub(new, old))?.add(old))
    };
    Ok(Header {
        key: EdwardsPoint {
            x: replace("key x changes", &before.key.x, w3)?,
            y: replace("key y changes", &before.key.y, w4)?,
        },
        nonce: before.nonce.clone().add(&fields.kinds.signed()),
        owner,
    })
}
