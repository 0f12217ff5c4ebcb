//! The state tree as PROTOCOL.md says, by plain recursion over a sparse map; and state proofs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy::primitives::{Address, U256};
use blstrs::Scalar;
use carillon_settlement::abi::ISharedBridge::StateProof;
use ff::Field;
use generic_array::typenum::U4;
use neptune::hash_type::{CType, HashType};
use neptune::poseidon::{Poseidon, PoseidonConstants};

use super::batch::{address_word, scalar, word};

/// An account; unused ones are the default.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub key: [U256; 2],
    pub nonce: u32,
    pub owner: Address,
    pub balances: BTreeMap<u8, u128>,
}

impl Account {
    pub fn header(&self) -> U256 {
        U256::from(self.nonce) + (address_word(self.owner) << 32)
    }
}

/// The whole state.
#[derive(Clone, Debug, Default)]
pub struct State(pub BTreeMap<u32, Account>);

struct Domains {
    node: PoseidonConstants<Scalar, U4>,
    leaf: PoseidonConstants<Scalar, U4>,
}

static DOMAINS: LazyLock<Domains> = LazyLock::new(Domains::new);

impl Domains {
    fn new() -> Self {
        Self {
            node: PoseidonConstants::new(),
            leaf: PoseidonConstants::new_with_strength_and_type(
                neptune::Strength::Standard,
                HashType::Custom(CType::Arbitrary(1)),
            ),
        }
    }
}

/// A sparse 4-ary tree: levels of nodes from the leaves up.
struct Tree {
    levels: Vec<BTreeMap<u32, Scalar>>,
    empty: Vec<Scalar>,
}

impl Tree {
    fn new(domains: &Domains, depth: usize, empty: Scalar, leaves: BTreeMap<u32, Scalar>) -> Self {
        let hash =
            |children: &[Scalar; 4]| Poseidon::new_with_preimage(children, &domains.node).hash();
        let (mut levels, mut empties) = (vec![leaves], vec![empty]);
        for level in 0..depth {
            let below = &levels[level];
            let mut above = BTreeMap::new();
            for index in below.keys() {
                above.entry(index >> 2).or_insert_with(|| {
                    hash(&std::array::from_fn(|child| {
                        let child = (index >> 2 << 2) + child as u32;
                        *below.get(&child).unwrap_or(&empties[level])
                    }))
                });
            }
            levels.push(above);
            empties.push(hash(&[empties[level]; 4]));
        }
        Self {
            levels,
            empty: empties,
        }
    }

    fn root(&self) -> Scalar {
        let top = self.levels.len() - 1;
        *self.levels[top].get(&0).unwrap_or(&self.empty[top])
    }

    /// The three siblings of each level.
    fn path(&self, index: u32) -> Vec<U256> {
        let mut path = Vec::new();
        for level in 0..self.levels.len() - 1 {
            let place = index >> (2 * level);
            for child in 0..4 {
                let sibling = (place >> 2 << 2) + child;
                if sibling != place {
                    let node = self.levels[level].get(&sibling);
                    path.push(word(node.unwrap_or(&self.empty[level])));
                }
            }
        }
        path
    }
}

impl State {
    fn token_tree(domains: &Domains, account: &Account) -> Tree {
        let leaves = account
            .balances
            .iter()
            .map(|(token, balance)| (u32::from(*token), scalar(U256::from(*balance))))
            .collect();
        Tree::new(domains, 3, Scalar::ZERO, leaves)
    }

    fn leaf(domains: &Domains, account: &Account) -> Scalar {
        let fields = [
            scalar(account.key[0]),
            scalar(account.key[1]),
            scalar(account.header()),
            Self::token_tree(domains, account).root(),
        ];
        Poseidon::new_with_preimage(&fields, &domains.leaf).hash()
    }

    fn tree(&self, domains: &Domains) -> Tree {
        let empty = Self::leaf(domains, &Account::default());
        let leaves = self
            .0
            .iter()
            .map(|(index, account)| (*index, Self::leaf(domains, account)))
            .collect();
        Tree::new(domains, 12, empty, leaves)
    }

    /// The state root.
    pub fn root(&self) -> U256 {
        word(&self.tree(&DOMAINS).root())
    }

    /// Opens one cell.
    pub fn proof(&self, account: u32, token: u8) -> StateProof {
        let domains = &*DOMAINS;
        let opened = self.0.get(&account).cloned().unwrap_or_default();
        let token_path = Self::token_tree(domains, &opened).path(u32::from(token));
        StateProof {
            account: U256::from(account),
            token: U256::from(token),
            balance: U256::from(opened.balances.get(&token).copied().unwrap_or(0)),
            keyX: opened.key[0],
            keyY: opened.key[1],
            header: opened.header(),
            tokenPath: token_path.try_into().unwrap(),
            accountPath: self.tree(domains).path(account).try_into().unwrap(),
        }
    }
}
