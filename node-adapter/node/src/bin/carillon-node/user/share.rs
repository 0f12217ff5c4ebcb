//! `carillon-node accept-share`: the bridge holds less of a token than it owes, and whoever is paid in it
//! agrees to a share. Until then its payments wait.

use alloy::primitives::U256;
use alloy::primitives::utils::parse_units;
use carillon_cli::Output;
use carillon_settlement::abi::SharedBridge;
use clap::Args;
use serde_json::json;

use super::chain::{ChainArgs, failure};
use super::deposit::IERC20;
use super::wallet::WalletArgs;
use crate::exit::Failure;

/// The contract's unit of a share: 10^18 is the whole.
const WHOLE: u64 = 1_000_000_000_000_000_000;

/// Arguments of `accept-share`.
#[derive(Debug, Args)]
pub struct AcceptShareArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Token slot of the chain
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u8).range(1..64))]
    token: u8,
    /// The least share that is accepted, in percent; 0 takes an agreement back
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    least: U256,
}

/// Percent as parts of the whole.
fn percent(text: &str) -> Result<U256, String> {
    let wrong = || format!("`{text}` is no share: give percent, like 97.5");
    let digits = text.strip_suffix('%').unwrap_or(text);
    let known = digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit());
    let value = parse_units(digits, 16).ok().filter(|_| known);
    let value = value.ok_or_else(wrong)?.get_absolute();
    if value > U256::from(WHOLE) {
        return Err(format!("`{text}` is more than all of it"));
    }
    Ok(value)
}

/// Says how it stands, and agrees.
pub async fn run(output: &Output, args: AcceptShareArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    let (id, bridge) = (chain.contracts.chain_id, chain.contracts.bridge);
    let call = SharedBridge::tokenAtCall {
        chainId: id,
        slot: U256::from(args.token),
    };
    let token = chain.source.read(bridge, call).await.map_err(failure)?;
    if token.is_zero() {
        return Err(Failure::input(format!(
            "chain {id} has no token in slot {}",
            args.token
        )));
    }
    let owed = SharedBridge::owedCall { token };
    let owed = chain.source.read(bridge, owed).await.map_err(failure)?;
    let held = IERC20::balanceOfCall { owner: bridge };
    let held = chain.source.read(token, held).await.map_err(failure)?;
    if held >= owed && !args.least.is_zero() {
        return Err(Failure::input(format!(
            "the bridge holds {held} of the token {token} and owes {owed}: everyone is paid in full, there is nothing to agree to"
        )));
    }
    let call = SharedBridge::acceptShareCall {
        token,
        least: args.least,
    };
    let sent = wallet
        .send(output, "accept a share", bridge, U256::ZERO, call)
        .await?;
    let next = "`claim`, `exit claim` and `recover` now pay amount * held / owed, as long as that is the least share or more";
    let fields = json!({
        "token": token,
        "held": held.to_string(),
        "owed": owed.to_string(),
        "least": args.least.to_string(),
        "transaction": sent.json(),
        "next": next,
    });
    let rows = [
        sent.row(),
        ("token", token.to_string()),
        ("the bridge holds", held.to_string()),
        ("the bridge owes", owed.to_string()),
    ];
    output.result("carillon.accept_share/1", fields, &rows);
    output.closing(&format!("next: {next}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_of_the_whole() {
        assert_eq!(percent("100").unwrap(), U256::from(WHOLE));
        assert_eq!(percent("97.5%").unwrap(), U256::from(WHOLE / 40 * 39));
        assert_eq!(percent("0").unwrap(), U256::ZERO);
        for text in ["", "%", ".", "-1", "100.1", "half", "1e2"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
