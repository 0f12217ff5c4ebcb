//! State proofs as a file: what an owner keeps, or is given, to leave a halted chain. Pure. Called by
//! `carillon-node exit`.

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use crate::abi::ISharedBridge::StateProof;

/// A cell with its proof. Numbers are decimal, words `0x` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateProofJson {
    /// The account.
    pub account: u32,
    /// Token slot.
    pub token: u8,
    /// The balance in the token's smallest unit.
    pub balance: String,
    /// The account's key.
    pub key: [String; 2],
    /// nonce + 2^32 owner.
    pub header: String,
    /// Three siblings for each level of the token tree, from the leaf up.
    pub token_path: Vec<String>,
    /// The same for the account tree.
    pub account_path: Vec<String>,
}

impl StateProofJson {
    /// The file's form of a proof.
    pub fn of(proof: &StateProof) -> Self {
        let hex = |word: &U256| format!("{word:#066x}");
        Self {
            account: proof.account.saturating_to(),
            token: proof.token.saturating_to(),
            balance: proof.balance.to_string(),
            key: [hex(&proof.keyX), hex(&proof.keyY)],
            header: hex(&proof.header),
            token_path: proof.tokenPath.iter().map(hex).collect(),
            account_path: proof.accountPath.iter().map(hex).collect(),
        }
    }

    /// The argument of the contract.
    ///
    /// # Errors
    /// Which part is not a number, or has not its length.
    pub fn proof(&self) -> Result<StateProof, String> {
        let word = |text: &String| {
            text.parse::<U256>()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        let words = |words: &[String]| words.iter().map(word).collect::<Result<Vec<_>, _>>();
        let length = |what: &str| format!("`{what}` has not the length of the contract's proofs");
        let [x, y] = &self.key;
        Ok(StateProof {
            account: U256::from(self.account),
            token: U256::from(self.token),
            balance: word(&self.balance)?,
            keyX: word(x)?,
            keyY: word(y)?,
            header: word(&self.header)?,
            tokenPath: words(&self.token_path)?
                .try_into()
                .map_err(|_| length("token_path"))?,
            accountPath: words(&self.account_path)?
                .try_into()
                .map_err(|_| length("account_path"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::state_proof;
    use carillon_protocol::ledger::{Account, State};

    #[test]
    fn a_proof_survives_its_file_and_damage_is_named() {
        let mut state = State::genesis(12);
        let account = Account {
            owner: [7; 20],
            balances: [(0, 5), (3, 1 << 90)].into(),
            ..Account::default()
        };
        state.update([(9, account)]);
        let proof = state_proof(&state.prove(9, 3), 3).unwrap();
        let json = StateProofJson::of(&proof);
        let text = serde_json::to_string(&json).unwrap();
        let read: StateProofJson = serde_json::from_str(&text).unwrap();
        assert_eq!(read.proof().unwrap(), proof);
        let mut short = json.clone();
        short.account_path.pop();
        assert!(short.proof().unwrap_err().contains("account_path"));
        let mut wrong = json;
        wrong.balance = "many".into();
        assert!(wrong.proof().unwrap_err().contains("many"));
    }
}
