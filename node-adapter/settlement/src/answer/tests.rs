//! Errors as clients, providers and what is in front of them give them.

use super::*;
use alloy::sol_types::SolError;
use serde_json::json;

fn failure(request: &'static str, error: Value) -> RpcFailure {
    RpcFailure::answered(request, &serde_json::from_value(error).unwrap())
}

/// Every row, by an answer as the client gives it. A row that an earlier one hides, or that the
/// code alone explains, is no use.
#[test]
fn each_row_of_the_table_is_reached_by_its_example() {
    for words in WORDS {
        let request = match words.on {
            On::Send => SEND,
            On::Logs => LOGS,
            On::Call => "eth_estimateGas",
            On::Any => "eth_getBlockByNumber",
        };
        let low = words.example.to_ascii_lowercase();
        assert_eq!(words.text, words.text.to_ascii_lowercase(), "{words:?}");
        assert!(low.contains(words.text), "{words:?}");
        let first = WORDS
            .iter()
            .find(|w| w.on.covers(request) && low.contains(w.text));
        assert_eq!(first, Some(words), "an earlier row takes the example");
        let answer = json!({ "code": words.code, "message": words.example });
        let found = failure(request, answer);
        assert_eq!(found.meaning, words.meaning, "{words:?}");
        assert!(!found.to_string().is_empty() && !found.trouble().next_step.is_empty());
    }
}

#[test]
fn code_and_data_come_before_words() {
    let own = crate::abi::RollupChain::QueueOverrun { end: 3, length: 2 };
    let hex = format!("0x{}", hex::encode(own.abi_encode()));
    for error in [
        json!({ "code": 3, "message": "execution reverted", "data": hex }),
        // Erigon and others answer with the older code.
        json!({ "code": -32000, "message": "execution reverted", "data": hex }),
        // Words that mean something else in another place.
        json!({ "code": -32000, "message": "insufficient funds", "data": hex }),
        // Nethermind, as OpenEthereum did.
        json!({ "code": -32015, "message": "VM execution error.", "data": format!("Reverted {hex}") }),
        json!({ "code": -32603, "message": "Internal error", "data": { "data": hex, "txHash": "0x01" } }),
    ] {
        let found = failure("eth_estimateGas", error.clone());
        assert_eq!(found.meaning, Meaning::Reverted, "{error}");
        assert_eq!(found.refusal.unwrap().name(), "QueueOverrun", "{error}");
    }
    let silent = failure(
        "eth_call",
        json!({ "code": 3, "message": "execution reverted", "data": "0x" }),
    );
    assert_eq!(silent.refusal, Some(Refusal::Silent));
    let besu = failure(
        "eth_call",
        json!({ "code": -32000, "message": "Execution reverted" }),
    );
    assert_eq!(besu.refusal, Some(Refusal::Silent));
    let method = failure(
        SEND,
        json!({ "code": -32601, "message": "insufficient funds" }),
    );
    assert_eq!(method.meaning, Meaning::Unsupported);
    // A sent transaction does not revert: data there are words.
    let words = json!({ "code": -32010, "message": "Invalid", "data": "InsufficientFunds" });
    assert_eq!(failure(SEND, words).meaning, Meaning::Funds);
}

#[test]
fn codes_mean_what_the_request_makes_of_them() {
    for (request, code, meaning) in [
        (SEND, -32001, Meaning::NonceUsed),
        (SEND, -32004, Meaning::Funds),
        (SEND, -32006, Meaning::NonceGap),
        (SEND, -32009, Meaning::FeeTooLow),
        ("eth_call", -32001, Meaning::Behind),
        ("eth_call", -32004, Meaning::Unsupported),
        ("eth_call", -32005, Meaning::RateLimited),
        (LOGS, -32005, Meaning::TooLarge),
        (LOGS, -32602, Meaning::TooLarge),
        ("eth_call", -32602, Meaning::Unknown),
        ("eth_blockNumber", -32603, Meaning::Down),
        ("eth_call", -31999, Meaning::Unknown),
    ] {
        let found = failure(request, json!({ "code": code, "message": "no" }));
        assert_eq!(found.meaning, meaning, "{request} {code}");
    }
}

#[test]
fn http_answers_are_told_apart() {
    let http = |request, status, body: &str| {
        let failure = HttpFailure {
            status: Some(status),
            retry_after: Some(Duration::from_secs(7)),
            body: body.into(),
        };
        RpcFailure::http(request, &failure)
    };
    let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"project ID request rate exceeded"}}"#;
    for (request, status, body, meaning) in [
        ("eth_call", 502, "<html>Bad Gateway</html>", Meaning::Down),
        ("eth_call", 429, "", Meaning::RateLimited),
        ("eth_call", 429, limit, Meaning::RateLimited),
        ("eth_call", 200, "<html>hello</html>", Meaning::Unreadable),
        ("eth_call", 403, "no", Meaning::Unauthorized),
        ("eth_call", 413, "", Meaning::TooLarge),
        (LOGS, 400, "", Meaning::TooLarge),
        ("eth_call", 400, "", Meaning::Unknown),
        (
            SEND,
            400,
            r#"{"error":{"code":-32000,"message":"nonce too low"}}"#,
            Meaning::NonceUsed,
        ),
        (
            SEND,
            503,
            r#"{"error":{"code":1,"message":"sorry"}}"#,
            Meaning::Down,
        ),
    ] {
        let found = http(request, status, body);
        assert_eq!(found.meaning, meaning, "{request} {status} {body}");
        assert_eq!(found.retry_after, Some(Duration::from_secs(7)));
    }
}

#[test]
fn long_words_are_cut() {
    let long = "x".repeat(100_000);
    let found = failure(
        "eth_call",
        json!({ "code": 1, "message": long, "data": long }),
    );
    assert!(found.to_string().len() < 1000);
}
