//! Messages and state proofs as the interop handler takes them. The types that `sol!` makes for the
//! handler and for the bridge are the same structs twice; everything outside this folder uses
//! those of the bridge.

use super::contracts::ISharedBridge as handlers;
use crate::abi::ISharedBridge::{Message, StateProof};

impl From<Message> for handlers::Message {
    fn from(message: Message) -> Self {
        Self {
            chainId: message.chainId,
            batch: message.batch,
            k: message.k,
            words: message.words,
            path: message.path,
            position: message.position,
        }
    }
}

impl From<StateProof> for handlers::StateProof {
    fn from(proof: StateProof) -> Self {
        Self {
            account: proof.account,
            token: proof.token,
            balance: proof.balance,
            keyX: proof.keyX,
            keyY: proof.keyY,
            header: proof.header,
            tokenPath: proof.tokenPath,
            accountPath: proof.accountPath,
        }
    }
}
