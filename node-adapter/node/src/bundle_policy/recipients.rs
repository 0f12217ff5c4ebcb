//! Who gets something by a call whose meaning is known, whatever contract is called: transfers and
//! approvals of ERC-20, and deposits into a bridge.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::Call;

use super::{Actor, BundlePolicy, Refusal};

alloy::sol! {
    function transfer(address to, uint256 amount);
    function transferFrom(address from, address to, uint256 amount);
    function approve(address spender, uint256 amount);
    function increaseAllowance(address spender, uint256 amount);
}

/// Refuses a call by which somebody else gets something. A call with a known selector whose arguments do
/// not decode is refused: what it does is not known.
pub(super) fn check(policy: &BundlePolicy, call: &Call, actor: &Actor) -> Result<(), Refusal> {
    let data = call.data.as_ref();
    let spends = |spender: Address, amount: U256| {
        if amount.is_zero() || policy.is_target(spender) {
            return Ok(());
        }
        policy.may_pay(spender, actor, "is approved")
    };
    if let Some(call) = read::<transferCall>(data)? {
        return policy.may_pay(call.to, actor, "is sent tokens");
    }
    if let Some(call) = read::<transferFromCall>(data)? {
        if call.from != actor.alias {
            let reason = format!("tokens of {} are moved, who is another", call.from);
            return Err(Refusal::new("bundle_recipient", reason));
        }
        return policy.may_pay(call.to, actor, "is sent tokens");
    }
    if let Some(call) = read::<approveCall>(data)? {
        return spends(call.spender, call.amount);
    }
    if let Some(call) = read::<increaseAllowanceCall>(data)? {
        return spends(call.spender, call.amount);
    }
    if let Some(call) = read::<SharedBridge::depositCall>(data)? {
        return policy.may_pay(call.owner, actor, "gets a deposit");
    }
    Ok(())
}

/// The arguments, if it is this call.
fn read<C: SolCall>(data: &[u8]) -> Result<Option<C>, Refusal> {
    if data.get(..4) != Some(C::SELECTOR.as_slice()) {
        return Ok(None);
    }
    C::abi_decode_validate(data).map(Some).map_err(|_| {
        let reason = format!("its data are no arguments of {}", C::SIGNATURE);
        Refusal::new("bundle_recipient", reason)
    })
}
