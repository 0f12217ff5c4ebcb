//! The rows: every balance that the batch touches, opened and closed once.
//!
//! Rows stand in the order of their addresses, each address once. A row replaces one
//! balance in the token tree and the account's header in its leaf, and climbs to
//! the lower edge of the top; the rows below one node of the top form a run, in
//! which each row starts from the hash that the row before it left. An account's
//! header changes in its first row. [`Rows::new`] makes the openings before the
//! challenges, [`Rows::put_on`] supplies the values at time 0 and consumes the last
//! ones. Called by [`super::RollupCircuit`].

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::bus::{Bus, Tag, Time, Tuple};
use super::poseidon::hash_leaf;
use super::shape::Shape;
use super::slot::Header;
use super::widths::{NONCE_BITS, OWNER_BITS, TOKEN_BITS};
use super::witness::{CellWitness, HeaderWitness};
use crate::edwards::EdwardsPoint;
use crate::merkle;
use crate::num::{
    Num, alloc, alloc_uint, alloc_wide_uint, constant, enforce_equal, enforce_product, from_bit,
    is_equal, mul, pow2, sub,
};

/// One row after its own checks.
struct Row {
    address: Num,
    account: Num,
    /// Index of the node of the top above it.
    top: Num,
    headers: [Header; 2],
    balances: [Num; 2],
    /// Times of the last writes: header, balance.
    times: [Num; 2],
    /// Hash at the edge of the top, before and after.
    nodes: [Num; 2],
    /// Everything but the nodes that the challenges are drawn from.
    packed: Num,
}

impl Row {
    fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        shape: Shape,
        cell: &CellWitness,
    ) -> Result<Self, SynthesisError> {
        let (token, token_bits) =
            alloc_uint(cs.namespace(|| "token"), cell.token.into(), TOKEN_BITS)?;
        let (account, account_bits) = alloc_uint(
            cs.namespace(|| "account"),
            cell.account.into(),
            shape.account_bits(),
        )?;
        let address = token.add(&account.clone().scale(pow2(TOKEN_BITS as u64)));

        // The leaf's word is nonce + 2^32 owner. With the old owner in 160 bits it can
        // be split in one way only; the new owner is the old one or a record's.
        let [old, new] = &cell.headers;
        let (nonce, _) = alloc_wide_uint(cs.namespace(|| "old nonce"), old.nonce, NONCE_BITS)?;
        let (owner, _) = alloc_wide_uint(cs.namespace(|| "old owner"), old.owner, OWNER_BITS)?;
        let (new_nonce, _) = alloc_wide_uint(cs.namespace(|| "new nonce"), new.nonce, NONCE_BITS)?;
        let new_owner = alloc(cs.namespace(|| "new owner"), || Ok(new.owner))?;
        let before = Header {
            key: key(cs.namespace(|| "old key"), old)?,
            nonce: nonce.clone(),
            owner,
        };
        let after = Header {
            key: key(cs.namespace(|| "new key"), new)?,
            nonce: new_nonce.clone(),
            owner: new_owner,
        };
        let mut balance =
            |name: &'static str, value: Scalar| alloc(cs.namespace(|| name), || Ok(value));
        let balances = [
            balance("old balance", cell.balances[0])?,
            balance("new balance", cell.balances[1])?,
        ];

        let tokens = merkle::replace(
            cs.namespace(|| "token path"),
            balances[0].clone(),
            balances[1].clone(),
            &token_bits,
            &cell.token_path,
        )?;
        let old_leaf = leaf(cs.namespace(|| "leaf before"), &before, tokens.before)?;
        let new_leaf = leaf(cs.namespace(|| "leaf after"), &after, tokens.after)?;
        let (below, above) = account_bits.split_at(2 * shape.path_levels());
        let nodes = merkle::replace(
            cs.namespace(|| "account path"),
            old_leaf,
            new_leaf,
            below,
            &cell.account_path,
        )?;

        let bits = shape.time_bits();
        let (header_time, _) = alloc_uint(cs.namespace(|| "header time"), cell.header_time, bits)?;
        let (time, _) = alloc_uint(cs.namespace(|| "time"), cell.time, bits)?;
        // Lowest first; the widths are those of the bits above.
        let mut packed = Num::zero();
        let mut position = 0;
        for (number, width) in [
            (&address, shape.address_bits()),
            (&header_time, bits),
            (&time, bits),
            (&nonce, NONCE_BITS),
            (&new_nonce, NONCE_BITS),
        ] {
            packed = packed.add(&number.clone().scale(pow2(position)));
            position += width as u64;
        }
        Ok(Self {
            address,
            account,
            top: spelled::<CS>(above),
            headers: [before, after],
            balances,
            times: [header_time, time],
            nodes: [nodes.before, nodes.after],
            packed,
        })
    }
}

/// All rows, with what relates each to the one before it.
pub(super) struct Rows {
    rows: Vec<Row>,
    /// Whether a row is the first of its account.
    first: Vec<Num>,
    /// Whether a row belongs to the run of the row before it.
    same_run: Vec<Num>,
    /// Hash at the start of each row's run.
    run_start: Vec<Num>,
}

impl Rows {
    /// The openings of all rows.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        cs: &mut CS,
        shape: Shape,
        cells: &[CellWitness],
    ) -> Result<Self, SynthesisError> {
        let mut all = Self {
            rows: Vec::with_capacity(cells.len()),
            first: Vec::new(),
            same_run: Vec::new(),
            run_start: Vec::new(),
        };
        for (i, cell) in cells.iter().enumerate() {
            let mut cs = cs.namespace(|| format!("cell {i}"));
            let row = Row::new(cs.namespace(|| "opening"), shape, cell)?;
            all.link(
                cs.namespace(|| "order"),
                shape,
                row,
                cell,
                i.checked_sub(1).map(|i| &cells[i]),
            )?;
        }
        Ok(all)
    }

    /// Adds a row after the rows so far.
    fn link<CS: ConstraintSystem<Scalar>>(
        &mut self,
        mut cs: CS,
        shape: Shape,
        row: Row,
        cell: &CellWitness,
        before: Option<&CellWitness>,
    ) -> Result<(), SynthesisError> {
        let one = constant::<CS>(Scalar::ONE);
        let (Some(previous), Some(previous_cell)) = (self.rows.last(), before) else {
            self.first.push(one);
            self.same_run.push(Num::zero());
            self.run_start.push(row.nodes[0].clone());
            self.rows.push(row);
            return Ok(());
        };

        // Strictly increasing addresses: the difference less one is not negative.
        let address =
            |cell: &CellWitness| u64::from(cell.account) << TOKEN_BITS | u64::from(cell.token);
        let gap = address(cell)
            .wrapping_sub(address(previous_cell))
            .wrapping_sub(1);
        let (gap, _) = alloc_uint(cs.namespace(|| "gap"), gap, shape.address_bits())?;
        let next = previous.address.clone().add(&gap).add(&one);
        enforce_equal(&mut cs, "addresses increase", &row.address, &next);

        // Further rows of an account leave its header alone.
        let further = is_equal(
            cs.namespace(|| "same account"),
            &row.account,
            &previous.account,
        )?;
        let further = from_bit::<CS>(&further);
        let [old, new] = &row.headers;
        for (name, (old, new)) in [
            "key x changes in the first row",
            "key y changes in the first row",
            "nonce changes in the first row",
            "owner changes in the first row",
        ]
        .into_iter()
        .zip(old.values().into_iter().zip(new.values()))
        {
            enforce_product(&mut cs, name, &further, &sub(new, old), &Num::zero());
        }

        // Within a run each row continues from the one before it.
        let same = is_equal(cs.namespace(|| "same run"), &row.top, &previous.top)?;
        let same = from_bit::<CS>(&same);
        enforce_product(
            &mut cs,
            "a run continues",
            &same,
            &sub(&row.nodes[0], &previous.nodes[1]),
            &Num::zero(),
        );
        let start = &row.nodes[0];
        let carried = self.run_start.last().unwrap_or(start);
        let start = mul(cs.namespace(|| "run start"), &same, &sub(carried, start))?.add(start);

        self.first.push(sub(&one, &further));
        self.same_run.push(same);
        self.run_start.push(start);
        self.rows.push(row);
        Ok(())
    }

    /// What the challenges are drawn from, by name: three values a row.
    pub(super) fn absorbed(&self) -> impl Iterator<Item = (&'static str, Num)> + '_ {
        self.rows.iter().flat_map(|row| {
            let [before, after] = row.nodes.clone();
            [
                ("row node before", before),
                ("row node after", after),
                ("row address, times and nonces", row.packed.clone()),
            ]
        })
    }

    /// Supplies the values at time 0, and consumes the last ones and the runs.
    pub(super) fn put_on<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        bus: &mut Bus,
    ) -> Result<(), SynthesisError> {
        let one = constant::<CS>(Scalar::ONE);
        for (i, row) in self.rows.iter().enumerate() {
            let mut cs = cs.namespace(|| format!("cell {i}"));
            let [before, after] = &row.headers;
            let (opened, closed) = (before.values(), after.values());
            let header = |time, values| Tuple {
                tag: Tag::Header,
                address: &row.account,
                time,
                values,
            };
            let [header_time, time] = &row.times;
            let first = &self.first[i];
            bus.supply(
                cs.namespace(|| "header opened"),
                first,
                &header(Time::Known(0), &opened),
            )?;
            bus.consume(
                cs.namespace(|| "header closed"),
                first,
                &header(Time::Read(header_time), &closed),
            )?;

            let [old, new] = &row.balances;
            let (opened, closed) = ([old], [new]);
            let cell = |time, values| Tuple {
                tag: Tag::Cell,
                address: &row.address,
                time,
                values,
            };
            bus.supply(
                cs.namespace(|| "opened"),
                &one,
                &cell(Time::Known(0), &opened),
            )?;
            bus.consume(
                cs.namespace(|| "closed"),
                &one,
                &cell(Time::Read(time), &closed),
            )?;

            let ends = self
                .same_run
                .get(i + 1)
                .map_or_else(|| one.clone(), |same| sub(&one, same));
            let run = Tuple {
                tag: Tag::Top,
                address: &row.top,
                time: Time::None,
                values: &[&self.run_start[i], &row.nodes[1]],
            };
            bus.consume(cs.namespace(|| "run"), &ends, &run)?;
        }
        Ok(())
    }
}

fn key<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    header: &HeaderWitness,
) -> Result<EdwardsPoint, SynthesisError> {
    Ok(EdwardsPoint {
        x: alloc(cs.namespace(|| "x"), || Ok(header.key.x))?,
        y: alloc(cs.namespace(|| "y"), || Ok(header.key.y))?,
    })
}

fn leaf<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    header: &Header,
    tokens: Num,
) -> Result<Num, SynthesisError> {
    let word = header
        .nonce
        .clone()
        .add(&header.owner.clone().scale(pow2(NONCE_BITS as u64)));
    hash_leaf(
        cs,
        [header.key.x.clone(), header.key.y.clone(), word, tokens],
    )
}

/// The number that bits spell, least significant first.
fn spelled<CS: ConstraintSystem<Scalar>>(bits: &[Boolean]) -> Num {
    bits.iter().enumerate().fold(Num::zero(), |sum, (i, bit)| {
        sum.add_bool_with_coeff(CS::one(), bit, pow2(i as u64))
    })
}
