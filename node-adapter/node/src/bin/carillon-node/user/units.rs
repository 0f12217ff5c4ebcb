//! Amounts on the command line: a number of the token's smallest unit, or, for ETH, with a unit.

use alloy::primitives::utils::parse_units;

/// Amounts of the rollup are below this.
const LIMIT: u128 = 1 << 96;

/// An amount in the token's smallest unit: `1500`, or `0.5eth`, `20gwei`, `1500wei`.
pub fn amount(text: &str) -> Result<u128, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let wrong = || {
        format!(
            "`{text}` is no amount: give a number of the token's smallest unit, or one of ETH like 0.5eth, 20gwei"
        )
    };
    let known = |c: char| c.is_ascii_digit() || c == '.';
    // The library reads a unit without a digit as nothing.
    if !digits.chars().all(known) || !digits.contains(|c: char| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let value = match unit.to_ascii_lowercase().as_str() {
        "" | "wei" => digits.parse::<u128>().map_err(|_| wrong())?,
        "gwei" => units(digits, 9).ok_or_else(wrong)?,
        "eth" | "ether" => units(digits, 18).ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    if value >= LIMIT {
        return Err(format!("`{text}` is too much: amounts are below 2^96"));
    }
    Ok(value)
}

fn units(digits: &str, decimals: u8) -> Option<u128> {
    // The library cuts off what is below the smallest unit.
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.len() > usize::from(decimals) {
        return None;
    }
    let value = parse_units(digits, decimals).ok()?.get_absolute();
    value.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (text, value) in [
            ("0", 0),
            ("1500", 1_500),
            ("1500wei", 1_500),
            ("20gwei", 20_000_000_000),
            ("0.5eth", 500_000_000_000_000_000),
            ("1ETH", 1_000_000_000_000_000_000),
            ("1.000000000000000001ether", 1_000_000_000_000_000_001),
            ("79228162514264337593543950335", LIMIT - 1),
        ] {
            assert_eq!(amount(text), Ok(value), "{text}");
        }
        for text in [
            "",
            "eth",
            ".eth",
            "-1",
            "-1eth",
            "1.5",
            "1.5wei",
            "1usd",
            "0x10",
            "1e18",
            "1 eth",
            "..eth",
            "0.0000000001gwei",
            "1.0000000000000000001eth",
            "79228162514264337593543950336",
            "99999999999eth",
            "1é",
        ] {
            assert!(amount(text).is_err(), "{text}");
        }
    }
}
