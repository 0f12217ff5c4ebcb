//! The in-process sequencer: takes signed transfers, executes them, seals batches.
//!
//! [`Sequencer`] is the single writer of the state. A submitted transfer is checked
//! and executed on the accounts at once; the tree is hashed when the batch is
//! sealed. No I/O: the caller brings transfers in and carries batches to the prover
//! and to settlement.

mod error;
mod sealed;

use std::collections::BTreeMap;

pub use error::{NewError, Party, SealError, SubmitError};
pub use sealed::SealedBatch;

use blstrs::Scalar;

use crate::batch::{SignedTransfer, Transfer};
use crate::circuit::{BatchBuilder, Built, Shape};
use crate::state::{Account, State, state_root};

/// What the sequencer answers to an accepted transfer: executed, not yet settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transfer's identifier, [`Transfer::id`].
    pub id: [u8; 32],
    /// Number of the batch that will contain it.
    pub batch: u64,
    /// Position within that batch.
    pub position: usize,
}

/// Executes transfers and seals them into batches.
#[derive(Debug)]
pub struct Sequencer {
    chain_id: u64,
    shape: Shape,
    /// State after the last sealed batch.
    state: State,
    /// Number of the batch being filled; the genesis counts as batch 0.
    number: u64,
    pending: Vec<SignedTransfer>,
    /// Accounts that pending transfers have changed.
    touched: BTreeMap<u32, Account>,
    /// Fees collected, pending transfers included.
    fees: u128,
}

impl Sequencer {
    /// A new chain: account `i` of the list gets index `i`, the first batch number 1.
    ///
    /// # Errors
    /// [`NewError`] if the accounts do not fit the shape's tree.
    pub fn new(chain_id: u64, shape: Shape, accounts: Vec<Account>) -> Result<Self, NewError> {
        let state = State::genesis(shape.depth(), accounts)?;
        Ok(Self {
            chain_id,
            shape,
            state,
            number: 1,
            pending: Vec::new(),
            touched: BTreeMap::new(),
            fees: 0,
        })
    }

    /// Chain for which transfers must be signed.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Shape of the batches.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// State after the last sealed batch; its root is what L1 holds or will hold.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Number of the batch being filled.
    pub fn batch_number(&self) -> u64 {
        self.number
    }

    /// Transfers accepted since the last sealed batch.
    pub fn pending(&self) -> &[SignedTransfer] {
        &self.pending
    }

    /// An account with the pending transfers applied.
    pub fn account(&self, index: u32) -> Option<&Account> {
        self.touched
            .get(&index)
            .or_else(|| self.state.account(index))
    }

    /// Checks a transfer and executes it.
    ///
    /// # Errors
    /// [`SubmitError`], one variant a cause; nothing has changed then.
    pub fn submit(&mut self, signed: SignedTransfer) -> Result<Receipt, SubmitError> {
        let position = self.pending.len();
        if position == self.shape.slots() {
            return Err(SubmitError::BatchFull { slots: position });
        }
        let order = &signed.transfer;
        let changes = self.execute(&signed)?;
        let receipt = Receipt {
            id: order.id(),
            batch: self.number,
            position,
        };
        self.fees += u128::from(order.fee);
        for (index, account) in changes {
            self.touched.insert(index, account);
        }
        self.pending.push(signed);
        Ok(receipt)
    }

    /// Seals the pending transfers into a batch with its witness.
    ///
    /// The tree is updated transfer by transfer for the witness and, independently,
    /// once from the executed accounts; both must give the same root.
    ///
    /// # Errors
    /// [`SealError::Empty`] without transfers. The other errors mean a fault of the
    /// node itself; the state is unchanged after any error.
    pub fn seal(&mut self) -> Result<SealedBatch, SealError> {
        if self.pending.is_empty() {
            return Err(SealError::Empty);
        }
        let mut builder = BatchBuilder::new(self.shape, self.chain_id, self.number, &self.state)?;
        for signed in &self.pending {
            builder.push(signed)?;
        }
        let Built {
            circuit,
            changes,
            accounts_root,
        } = builder.finish()?;
        self.check(accounts_root, circuit.public_inputs.new_root)?;

        let sealed = SealedBatch::new(self.number, std::mem::take(&mut self.pending), circuit);
        self.state
            .commit(std::mem::take(&mut self.touched), changes, self.fees);
        self.number += 1;
        Ok(sealed)
    }

    /// The accounts a transfer changes, in order of change, or why it is refused.
    fn execute(&self, signed: &SignedTransfer) -> Result<[(u32, Account); 2], SubmitError> {
        let order = &signed.transfer;
        if order.chain_id != self.chain_id {
            return Err(SubmitError::WrongChain {
                expected: self.chain_id,
                got: order.chain_id,
            });
        }
        if order.amount == 0 {
            return Err(SubmitError::ZeroAmount);
        }
        let needed = order
            .amount
            .checked_add(order.fee)
            .ok_or(SubmitError::Overflow {
                amount: order.amount,
                fee: order.fee,
            })?;
        let mut sender = self.party(order.from, Party::Sender)?;
        self.party(order.to, Party::Receiver)?;
        if !sender
            .public_key
            .verify(&order.message(), &signed.signature)
        {
            return Err(SubmitError::BadSignature {
                account: order.from,
            });
        }
        if order.nonce != sender.nonce {
            return Err(SubmitError::WrongNonce {
                expected: sender.nonce,
                got: order.nonce,
            });
        }
        sender.balance = sender
            .balance
            .checked_sub(needed)
            .ok_or(SubmitError::Overspend {
                account: order.from,
                balance: sender.balance,
                needed,
            })?;
        sender.nonce = sender
            .nonce
            .checked_add(1)
            .ok_or(SubmitError::NonceExhausted {
                account: order.from,
            })?;
        let mut receiver = if order.to == order.from {
            sender
        } else {
            self.party(order.to, Party::Receiver)?
        };
        receiver.balance =
            receiver
                .balance
                .checked_add(order.amount)
                .ok_or(SubmitError::ReceiverOverflow {
                    account: order.to,
                    balance: receiver.balance,
                })?;
        Ok([(order.from, sender), (order.to, receiver)])
    }

    fn party(&self, index: u32, party: Party) -> Result<Account, SubmitError> {
        self.account(index)
            .copied()
            .ok_or(SubmitError::UnknownAccount { index, party })
    }

    /// Compares the witness's outcome with the executed accounts.
    fn check(&self, accounts_root: Scalar, new_root: Scalar) -> Result<(), SealError> {
        let mut draft = self.state.tree().draft();
        draft.set_leaves(
            self.touched
                .iter()
                .map(|(index, account)| (*index, account.leaf())),
        )?;
        let executed = draft.root();
        if executed != accounts_root || state_root(executed, self.fees) != new_root {
            return Err(SealError::RootMismatch {
                witness: accounts_root,
                executed,
            });
        }
        Ok(())
    }

    /// An unsigned transfer with chain id and the sender's next nonce filled in.
    ///
    /// # Errors
    /// [`SubmitError::UnknownAccount`] if the sender is not registered.
    pub fn draft_transfer(
        &self,
        from: u32,
        to: u32,
        amount: u64,
        fee: u64,
    ) -> Result<Transfer, SubmitError> {
        let nonce = self.party(from, Party::Sender)?.nonce;
        Ok(Transfer {
            chain_id: self.chain_id,
            from,
            to,
            amount,
            fee,
            nonce,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Owner;
    use crate::crypto::schnorr::SecretKey;

    #[test]
    fn a_faulty_execution_is_caught_and_leaves_the_state_alone() {
        let key = SecretKey::from_seed(&[1; 32]);
        let account = Account::new(*key.public(), Owner([1; 20]), 100);
        let shape = Shape::new(2, 2).unwrap();
        let mut sequencer = Sequencer::new(1, shape, vec![account; 2]).unwrap();
        let root = sequencer.state.root();
        let order = sequencer.draft_transfer(0, 1, 10, 1).unwrap();
        sequencer.submit(order.sign(&key)).unwrap();

        let mut faulty = account;
        faulty.balance += 11;
        let executed = sequencer.touched.insert(1, faulty).unwrap();
        assert!(matches!(
            sequencer.seal(),
            Err(SealError::RootMismatch { .. })
        ));
        sequencer.touched.insert(1, executed);
        sequencer.fees += 1;
        assert!(matches!(
            sequencer.seal(),
            Err(SealError::RootMismatch { .. })
        ));
        sequencer.fees -= 1;
        assert_eq!((sequencer.state.root(), sequencer.number), (root, 1));
        assert!(sequencer.seal().is_ok());
    }
}
