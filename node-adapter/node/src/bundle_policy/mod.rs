//! What a chain lets bundles do: looked at where operations are admitted, on the whole bundle.
//!
//! An operation carries the hash of its bundle alone, so whoever sends it brings the bundle along,
//! encoded. What comes along is checked in any case: it must be the one that was signed, and one that can
//! run. With a policy ([`BundlePolicy`], a TOML file) it must come along, and everything that the policy
//! does not allow is refused, down to the recipients inside known calls. Nothing of it is kept. No I/O.
//!
//! | file | idea |
//! |---|---|
//! | `file` | the TOML file, read strictly |
//! | `rule` | a call that is allowed, with conditions for its arguments |
//! | `recipients` | who gets something by calls whose meaning is known |
//!
//! Called by `rpc`.

mod file;
mod recipients;
mod rule;

use std::collections::BTreeSet;

use alloy::primitives::{Address, U256, keccak256};
use alloy::sol_types::SolValue;
use alloy::sol_types::abi::AbiDecoderConfig;
use carillon_protocol::{Kind, Operation};
use carillon_settlement::interop::{Bundle, Call, alias_address};

use super::machine::Refusal;
use rule::Rule;

pub use file::PolicyError;

/// Most bytes of an encoded bundle: more than a transaction of 2^24 gas could bring as calldata.
const MOST_BYTES: usize = 256 * 1024;

/// What bundles may do. Whatever is not named is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePolicy {
    /// Token slots that may be withdrawn and sent back; `None` for all.
    tokens: Option<BTreeSet<u8>>,
    /// Wei that all calls together may carry.
    most_value: Option<U256>,
    /// Units of the withdrawn token that may go to whoever runs it.
    most_tip: Option<U256>,
    /// Seconds from now in which the deadline must lie.
    deadline: (u64, u64),
    /// Who may be paid beside the owner and his alias account.
    recipients: BTreeSet<Address>,
    /// Calls that are allowed.
    rules: Vec<Rule>,
}

/// Who a bundle acts for.
struct Actor {
    owner: Address,
    alias: Address,
}

/// Looks at a bundle's operation, and at the bundle that came with it. `now` is Unix time in seconds.
///
/// # Errors
/// [`Refusal`]: the bundle is not the one that was signed, can never run, or the policy refuses it.
pub(super) fn check(
    policy: Option<&BundlePolicy>,
    chain_id: u64,
    operation: &Operation,
    encoded: Option<&[u8]>,
    now: u64,
) -> Result<(), Refusal> {
    let Some(encoded) = encoded else {
        return match policy {
            Some(_) if operation.kind == Kind::Bundle => Err(Refusal::new(
                "bundle_unseen",
                "this chain has a policy for bundles, and looks at each: give the encoded bundle as the second parameter (`carillon-node bundle send` does)",
            )),
            _ => Ok(()),
        };
    };
    if operation.kind != Kind::Bundle {
        let reason = "an encoded bundle belongs to an operation of the kind bundle alone";
        return Err(Refusal::new("bundle_form", reason));
    }
    let bundle = signed(operation, encoded)?;
    if bundle.chainId != chain_id {
        let reason = format!(
            "the bundle is for chain {}, this is chain {chain_id}: it could never run",
            bundle.chainId
        );
        return Err(Refusal::new("bundle_form", reason));
    }
    let unfit = |reason: String| Refusal::new("bundle_form", reason);
    bundle.check().map_err(|error| unfit(error.to_string()))?;
    bundle
        .check_tip(operation.amount)
        .map_err(|error| unfit(error.to_string()))?;
    match policy {
        Some(policy) => policy.admit(operation.token, &bundle, now),
        None => Ok(()),
    }
}

/// The bundle whose hash and owner the operation has.
fn signed(operation: &Operation, encoded: &[u8]) -> Result<Bundle, Refusal> {
    let form = |reason: &str| Refusal::new("bundle_form", reason);
    if encoded.len() > MOST_BYTES {
        return Err(form("the encoded bundle is larger than 262,144 bytes"));
    }
    let word = |index: usize| U256::from_be_bytes(operation.words[index].to_bytes_be());
    let hash = U256::from_be_bytes(keccak256(encoded).0) >> 8;
    if hash != word(0) {
        let reason = format!(
            "the encoded bundle has the hash {hash:#066x}, the operation names {:#066x}",
            word(0)
        );
        return Err(Refusal::new("bundle_hash", reason));
    }
    // What is decoded may be many times what was sent: parts can be named twice.
    let limits = AbiDecoderConfig::new()
        .strict(true)
        .memory_limit(4 * MOST_BYTES);
    let bundle = Bundle::abi_decode_with_config(encoded, limits)
        .map_err(|_| form("these bytes encode no bundle"))?;
    // Ethereum hashes its own encoding: other bytes of the same bundle are a bundle that never runs.
    if bundle.abi_encode() != encoded {
        return Err(form(
            "the bundle is not encoded as Solidity does: on Ethereum it would have another hash and never run",
        ));
    }
    if U256::from_be_slice(bundle.owner.as_slice()) != word(1) {
        let reason =
            "the bundle's owner is not the owner that the operation names: it could never run";
        return Err(form(reason));
    }
    Ok(bundle)
}

impl BundlePolicy {
    fn admit(&self, token: u8, bundle: &Bundle, now: u64) -> Result<(), Refusal> {
        let refuse = |code, reason: String| Err(Refusal::new(code, reason));
        for slot in [Some(token), bundle.hasReturn.then_some(bundle.ret.token)] {
            let allowed = |slot| self.tokens.as_ref().is_none_or(|all| all.contains(&slot));
            if let Some(slot) = slot.filter(|slot| !allowed(*slot)) {
                let reason =
                    format!("the chain's policy has no bundles of the token in slot {slot}");
                return refuse("bundle_token", reason);
            }
        }
        let left = bundle.deadline.saturating_sub(now);
        let (least, most) = self.deadline;
        if !(least..=most).contains(&left) {
            let reason = format!(
                "the bundle may run for {left} more seconds; the chain's policy asks for {least} to {most}"
            );
            return refuse("bundle_deadline", reason);
        }
        let tip = U256::from(bundle.tip);
        if let Some(most) = self.most_tip.filter(|most| tip > *most) {
            let reason = format!("a tip of {tip} is above the {most} of the chain's policy");
            return refuse("bundle_tip", reason);
        }
        let calls = bundle.calls.iter();
        let value = calls.fold(U256::ZERO, |sum, call| sum.saturating_add(call.value));
        if let Some(most) = self.most_value.filter(|most| value > *most) {
            let reason = format!("{value} wei in calls are above the {most} of the chain's policy");
            return refuse("bundle_value", reason);
        }
        let actor = Actor {
            owner: bundle.owner,
            alias: alias_address(bundle.handler, bundle.chainId, bundle.owner),
        };
        for (index, call) in bundle.calls.iter().enumerate() {
            self.admit_call(call, &actor).map_err(|refusal| {
                let reason = format!("call {index} to {}: {}", call.target, refusal.reason);
                Refusal::new(refusal.code, reason)
            })?;
        }
        Ok(())
    }

    fn admit_call(&self, call: &Call, actor: &Actor) -> Result<(), Refusal> {
        let Some(selector) = call.data.get(..4) else {
            return self.may_pay(call.target, actor, "is paid");
        };
        let mut reason = None;
        let named = self
            .rules
            .iter()
            .filter(|rule| rule.names(call.target, selector));
        for rule in named {
            match rule.fits(call, actor.alias) {
                Ok(()) => return recipients::check(self, call, actor),
                Err(refused) => reason = Some(refused),
            }
        }
        match reason {
            Some(reason) => Err(Refusal::new("bundle_argument", reason)),
            None => Err(Refusal::new(
                "bundle_call",
                format!(
                    "the function 0x{} of this contract is not on the chain's list",
                    hex::encode(selector)
                ),
            )),
        }
    }

    /// Whether this one may get something.
    fn may_pay(&self, to: Address, actor: &Actor, how: &str) -> Result<(), Refusal> {
        if to == actor.alias || to == actor.owner || self.recipients.contains(&to) {
            return Ok(());
        }
        let reason = format!("{to} {how}, and is none of the recipients of the chain's policy");
        Err(Refusal::new("bundle_recipient", reason))
    }

    /// Whether it is a contract that bundles may call.
    fn is_target(&self, contract: Address) -> bool {
        self.rules.iter().any(|rule| rule.target() == contract)
    }
}

#[cfg(test)]
mod tests;
