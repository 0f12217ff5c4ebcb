//! A state of a few accounts, its root and its proofs, computed here from PROTOCOL.md ("State"),
//! apart from the node's own ledger.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use blstrs::Scalar;
use carillon_node::interop::contracts::ISharedBridge::StateProof;
use ff::Field;
use generic_array::typenum::U4;
use neptune::hash_type::{CType, HashType};
use neptune::poseidon::{Poseidon, PoseidonConstants};

const TOKEN_LEVELS: usize = 3;
const ACCOUNT_LEVELS: usize = 12;

pub struct State {
    node: PoseidonConstants<Scalar, U4>,
    leaf: PoseidonConstants<Scalar, U4>,
    accounts: BTreeMap<u64, (Address, BTreeMap<u64, u64>)>,
}

impl State {
    pub fn new() -> Self {
        let kind = HashType::Custom(CType::Arbitrary(1));
        Self {
            node: PoseidonConstants::new(),
            leaf: PoseidonConstants::new_with_strength_and_type(neptune::Strength::Standard, kind),
            accounts: BTreeMap::new(),
        }
    }

    /// Gives an account an owner and a balance.
    pub fn set(&mut self, account: u64, owner: Address, token: u64, balance: u64) {
        let entry = self
            .accounts
            .entry(account)
            .or_insert((owner, BTreeMap::new()));
        entry.0 = owner;
        entry.1.insert(token, balance);
    }

    pub fn root(&self) -> U256 {
        let leaves = self.leaves();
        word(self.path(&leaves, self.leaf_of(None), 0, ACCOUNT_LEVELS).0)
    }

    /// Opens a cell.
    pub fn proof(&self, account: u64, token: u64) -> StateProof {
        let (owner, balances) = &self.accounts[&account];
        let cells = cells(balances);
        let (_, tokens) = self.path(&cells, Scalar::ZERO, token, TOKEN_LEVELS);
        let leaves = self.leaves();
        let (_, path) = self.path(&leaves, self.leaf_of(None), account, ACCOUNT_LEVELS);
        StateProof {
            account: U256::from(account),
            token: U256::from(token),
            balance: U256::from(balances.get(&token).copied().unwrap_or_default()),
            keyX: U256::ZERO,
            keyY: U256::ZERO,
            header: U256::from_be_slice(owner.as_slice()) << 32,
            tokenPath: tokens.try_into().unwrap(),
            accountPath: path.try_into().unwrap(),
        }
    }

    fn leaves(&self) -> BTreeMap<u64, Scalar> {
        let leaf = |account| self.leaf_of(Some(account));
        self.accounts
            .iter()
            .map(|(i, account)| (*i, leaf(account)))
            .collect()
    }

    fn leaf_of(&self, account: Option<&(Address, BTreeMap<u64, u64>)>) -> Scalar {
        let empty = (Address::ZERO, BTreeMap::new());
        let (owner, balances) = account.unwrap_or(&empty);
        let tokens = self.path(&cells(balances), Scalar::ZERO, 0, TOKEN_LEVELS).0;
        let header: U256 = U256::from_be_slice(owner.as_slice()) << 32;
        let header: Scalar = Option::from(Scalar::from_bytes_be(&header.to_be_bytes())).unwrap();
        let fields = [Scalar::ZERO, Scalar::ZERO, header, tokens];
        Poseidon::new_with_preimage(&fields, &self.leaf).hash()
    }

    /// Root of a sparse tree, and the siblings of the leaf at `place`, from the leaf up.
    fn path(
        &self,
        leaves: &BTreeMap<u64, Scalar>,
        mut empty: Scalar,
        mut place: u64,
        levels: usize,
    ) -> (Scalar, Vec<U256>) {
        let hash =
            |children: &[Scalar; 4]| Poseidon::new_with_preimage(children, &self.node).hash();
        let (mut nodes, mut siblings) = (leaves.clone(), Vec::new());
        for _ in 0..levels {
            let at =
                |nodes: &BTreeMap<u64, Scalar>, i: u64| nodes.get(&i).copied().unwrap_or(empty);
            let first = place & !3;
            siblings.extend(
                (first..first + 4)
                    .filter(|i| *i != place)
                    .map(|i| word(at(&nodes, i))),
            );
            let mut parents = BTreeMap::new();
            for i in nodes.keys().map(|i| i >> 2) {
                parents.insert(
                    i,
                    hash(&std::array::from_fn(|j| at(&nodes, 4 * i + j as u64))),
                );
            }
            (nodes, empty, place) = (parents, hash(&[empty; 4]), place >> 2);
        }
        (nodes.get(&0).copied().unwrap_or(empty), siblings)
    }
}

fn cells(balances: &BTreeMap<u64, u64>) -> BTreeMap<u64, Scalar> {
    balances
        .iter()
        .map(|(token, value)| (*token, Scalar::from(*value)))
        .collect()
}

fn word(scalar: Scalar) -> U256 {
    U256::from_be_bytes(scalar.to_bytes_be())
}
