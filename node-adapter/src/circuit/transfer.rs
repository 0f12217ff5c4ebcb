//! One slot of the batch: a transfer, or nothing.
//!
//! An empty slot moves nothing: its packed form must be zero, its openings are not
//! compared with the root, and the root passes through. Its signature check runs
//! on the identity point, which satisfies it, so no constraint of the signature
//! needs a switch. Called by [`super::BatchCircuit`] once a slot.

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::edwards::EdwardsPoint;
use super::num::{
    Num, alloc, alloc_bit, alloc_uint, constant, enforce_equal_if, enforce_product, enforce_u64,
    from_bit, pow2, sub, value,
};
use super::witness::{AccountWitness, TransferWitness};
use super::{merkle, poseidon, signature};

/// What is carried from slot to slot.
pub(super) struct Running {
    chain_id: Num,
    /// Root of the account tree.
    pub(super) accounts_root: Num,
    /// Fees collected.
    pub(super) fees: Num,
    /// Packed transfers so far, zero for empty slots.
    pub(super) packed: Vec<Num>,
    /// Whether the slot before held a transfer.
    previous: Boolean,
}

impl Running {
    pub(super) fn new(chain_id: Num, accounts_root: Num, fees: Num) -> Self {
        let previous = Boolean::constant(true);
        Self {
            chain_id,
            accounts_root,
            fees,
            packed: Vec::new(),
            previous,
        }
    }

    /// Adds the constraints of one slot.
    pub(super) fn step<CS: ConstraintSystem<Scalar>>(
        &mut self,
        mut cs: CS,
        slot: &TransferWitness,
    ) -> Result<(), SynthesisError> {
        let order = Order::new(cs.namespace(|| "order"), slot, &self.previous)?;

        // The sender pays amount and fee, and its nonce moves on.
        let sender = Account::new(cs.namespace(|| "sender"), &slot.sender)?;
        let paid = order.amount.clone().add(&order.fee);
        let mut charged = sender.clone();
        charged.balance = sub(&sender.balance, &paid);
        charged.nonce = sender.nonce.clone().add(&constant::<CS>(Scalar::ONE));
        enforce_u64(cs.namespace(|| "sender can pay"), &charged.balance)?;

        signature::verify(
            cs.namespace(|| "signature"),
            &sender.key,
            [
                order.packed.clone(),
                sender.nonce.clone(),
                self.chain_id.clone(),
            ],
            slot.r,
            &slot.s,
        )?;

        let root = self.accounts_root.clone();
        let root = order.update(
            cs.namespace(|| "sender update"),
            (&sender, &charged),
            (&order.from, &slot.sender_path),
            root,
        )?;

        // The receiver is opened in the tree that the sender's update left behind, so
        // a transfer to oneself works like any other.
        let receiver = Account::new(cs.namespace(|| "receiver"), &slot.receiver)?;
        let mut credited = receiver.clone();
        credited.balance = receiver.balance.clone().add(&order.amount);
        enforce_u64(cs.namespace(|| "receiver can hold"), &credited.balance)?;
        self.accounts_root = order.update(
            cs.namespace(|| "receiver update"),
            (&receiver, &credited),
            (&order.to, &slot.receiver_path),
            root,
        )?;

        self.fees = self.fees.clone().add(&order.fee);
        self.packed.push(order.packed);
        self.previous = order.enabled;
        Ok(())
    }
}

/// The transfer's own fields.
struct Order {
    enabled: Boolean,
    from: Vec<Boolean>,
    to: Vec<Boolean>,
    amount: Num,
    fee: Num,
    packed: Num,
}

impl Order {
    fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        slot: &TransferWitness,
        previous: &Boolean,
    ) -> Result<Self, SynthesisError> {
        let index_bits = 2 * slot.sender_path.len();
        let enabled = alloc_bit(cs.namespace(|| "enabled"), Some(slot.enabled))?;
        let (from, from_bits) = alloc_uint(cs.namespace(|| "from"), slot.from.into(), index_bits)?;
        let (to, to_bits) = alloc_uint(cs.namespace(|| "to"), slot.to.into(), index_bits)?;
        let (amount, _) = alloc_uint(cs.namespace(|| "amount"), slot.amount, 64)?;
        let (fee, _) = alloc_uint(cs.namespace(|| "fee"), slot.fee, 64)?;

        let fields = from
            .add(&to.scale(pow2(32)))
            .add(&amount.clone().scale(pow2(64)))
            .add(&fee.clone().scale(pow2(128)));
        let flag = from_bit::<CS>(&enabled);
        let one = constant::<CS>(Scalar::ONE);
        enforce_product(
            &mut cs,
            "an empty slot has no fields",
            &sub(&one, &flag),
            &fields,
            &Num::zero(),
        );
        // Transfers come first, so that a list of transfers has one batch.
        let before = from_bit::<CS>(previous);
        enforce_product(
            &mut cs,
            "no transfer after an empty slot",
            &sub(&one, &before),
            &flag,
            &Num::zero(),
        );
        let packed = fields.add(&flag.scale(pow2(192)));
        Ok(Self {
            enabled,
            from: from_bits,
            to: to_bits,
            amount,
            fee,
            packed,
        })
    }

    /// Replaces an account in the tree and returns the new root: the leaf must open
    /// against `root`; an empty slot leaves the root as it is.
    fn update<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        (old, new): (&Account, &Account),
        (index, path): (&[Boolean], &[[Scalar; 4]]),
        root: Num,
    ) -> Result<Num, SynthesisError> {
        let old_leaf = old.leaf(cs.namespace(|| "leaf before"))?;
        let new_leaf = new.leaf(cs.namespace(|| "leaf after"))?;
        let roots = merkle::replace(cs.namespace(|| "path"), old_leaf, new_leaf, index, path)?;
        enforce_equal_if(
            &mut cs,
            "account is in the tree",
            &self.enabled,
            &roots.before,
            &root,
        );
        // A fresh variable, so that the root does not grow into a sum over all slots.
        let new_root = alloc(cs.namespace(|| "new root"), || {
            value(if self.enabled.get_value() == Some(true) {
                &roots.after
            } else {
                &root
            })
        })?;
        enforce_product(
            &mut cs,
            "root changes with a transfer only",
            &from_bit::<CS>(&self.enabled),
            &sub(&roots.after, &root),
            &sub(&new_root, &root),
        );
        Ok(new_root)
    }
}

/// An account's fields.
#[derive(Clone)]
struct Account {
    key: EdwardsPoint,
    nonce: Num,
    balance: Num,
    owner: Num,
}

impl Account {
    fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        account: &AccountWitness,
    ) -> Result<Self, SynthesisError> {
        let mut field =
            |name: &'static str, value: Scalar| alloc(cs.namespace(|| name), || Ok(value));
        Ok(Self {
            key: EdwardsPoint {
                x: field("key x", account.key.x)?,
                y: field("key y", account.key.y)?,
            },
            nonce: field("nonce", account.nonce)?,
            balance: field("balance", account.balance)?,
            owner: field("owner", account.owner)?,
        })
    }

    fn leaf<CS: ConstraintSystem<Scalar>>(&self, cs: CS) -> Result<Num, SynthesisError> {
        let fields = [
            &self.key.x,
            &self.key.y,
            &self.nonce,
            &self.balance,
            &self.owner,
        ];
        poseidon::hash_leaf(cs, fields.map(Num::clone))
    }
}
