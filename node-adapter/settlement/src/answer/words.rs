//! The words of Ethereum clients and providers for their errors, as data.
//!
//! The first row whose text is part of the message, in lower case, and whose requests fit, tells the
//! meaning. Rows follow the clients' sources and published answers; each has an answer as an example,
//! by which it is tested. A client that words something else adds a row here.

use super::meaning::{Meaning, On};

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Who says so.
    pub client: &'static str,
    /// To which requests.
    pub on: On,
    /// Part of the message, in lower case.
    pub text: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// The JSON-RPC code of the example.
    pub code: i64,
    /// A message of the client.
    pub example: &'static str,
}

const fn row(
    client: &'static str,
    on: On,
    text: &'static str,
    meaning: Meaning,
    code: i64,
    example: &'static str,
) -> Words {
    Words {
        client,
        on,
        text,
        meaning,
        code,
        example,
    }
}

/// The table.
#[rustfmt::skip]
pub const WORDS: &[Words] = &[
    // In the pool already.
    row("geth, reth, erigon", On::Send, "already known", Meaning::Known, -32000, "already known"),
    row("besu", On::Send, "known transaction", Meaning::Known, -32000, "Known transaction"),
    row("nethermind", On::Send, "alreadyknown", Meaning::Known, -32010, "AlreadyKnown"),
    row("anvil", On::Send, "already imported", Meaning::Known, -32003, "transaction already imported"),
    row("erigon", On::Send, "existing txn with same hash", Meaning::Known, -32000, "INTERNAL_ERROR: existing txn with same hash"),
    row("erigon 2", On::Send, "existing tx with same hash", Meaning::Known, -32000, "INTERNAL_ERROR: existing tx with same hash"),
    // Nonces.
    row("geth, reth, erigon, besu, anvil", On::Send, "nonce too low", Meaning::NonceUsed, -32000, "nonce too low: next nonce 5, tx nonce 4"),
    row("nethermind", On::Send, "oldnonce", Meaning::NonceUsed, -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4"),
    row("openethereum", On::Send, "nonce is too low", Meaning::NonceUsed, -32010, "Transaction nonce is too low. Try incrementing the nonce."),
    row("geth, besu", On::Send, "nonce too high", Meaning::NonceGap, -32000, "nonce too high: tx nonce 9, gapped nonce 7"),
    row("nethermind", On::Send, "noncegap", Meaning::NonceGap, -32010, "NonceGap, Future nonce. Expected nonce: 5"),
    row("nethermind", On::Send, "noncetoofarinfuture", Meaning::NonceGap, -32010, "NonceTooFarInFuture"),
    // Replacements. Before the words of fees, which are part of them.
    row("geth, reth, erigon, besu, anvil", On::Send, "replacement transaction underpriced", Meaning::Outbid, -32000, "replacement transaction underpriced: new tx gas fee cap 110 < 200 queued"),
    row("nethermind", On::Send, "replacementnotallowed", Meaning::Outbid, -32010, "ReplacementNotAllowed, Replacement transaction fee is too low"),
    row("erigon", On::Send, "could not replace existing tx", Meaning::Outbid, -32000, "INTERNAL_ERROR: could not replace existing tx"),
    row("openethereum", On::Send, "another transaction with same nonce", Meaning::Outbid, -32010, "Transaction gas price is too low. There is another transaction with same nonce in the queue."),
    // Fees.
    row("geth, reth", On::Send, "transaction underpriced", Meaning::FeeTooLow, -32000, "transaction underpriced: gas tip cap 1, minimum needed 1000000"),
    row("geth", On::Send, "gas price below minimum", Meaning::FeeTooLow, -32000, "transaction gas price below minimum: gas tip cap 1, minimum needed 1000000"),
    row("geth, reth, anvil", On::Any, "max fee per gas less than block base fee", Meaning::FeeTooLow, -32000, "max fee per gas less than block base fee: address 0x01, maxFeePerGas: 1, baseFee: 7"),
    row("geth", On::Any, "max fee per blob gas less than block blob gas fee", Meaning::FeeTooLow, -32000, "max fee per blob gas less than block blob gas fee: address 0x01 blobGasFeeCap: 1, blobBaseFee: 2"),
    row("besu", On::Send, "below current base fee", Meaning::FeeTooLow, -32009, "Gas price below current base fee"),
    row("besu", On::Send, "below current blob base fee", Meaning::FeeTooLow, -32009, "blob gas price below current blob base fee"),
    row("besu", On::Send, "below configured minimum gas price", Meaning::FeeTooLow, -32009, "Gas price below configured minimum gas price"),
    row("nethermind", On::Send, "feetoolow", Meaning::FeeTooLow, -32010, "FeeTooLowToCompete"),
    row("erigon", On::Send, "fee too low", Meaning::FeeTooLow, -32000, "INTERNAL_ERROR: fee too low"),
    row("erigon", On::Send, "underpriced", Meaning::FeeTooLow, -32000, "INTERNAL_ERROR: underpriced"),
    // The account's balance.
    row("geth, reth, erigon, anvil", On::Any, "insufficient funds", Meaning::Funds, -32000, "insufficient funds for gas * price + value: balance 1, tx cost 21000, overshot 20999"),
    row("nethermind", On::Send, "insufficientfunds", Meaning::Funds, -32010, "InsufficientFunds, Account balance: 0, cumulative cost: 21000"),
    row("nethermind", On::Call, "insufficient sender balance", Meaning::Funds, -32000, "insufficient sender balance"),
    row("nethermind", On::Call, "insufficient maxfeepergas for sender balance", Meaning::Funds, -32000, "insufficient MaxFeePerGas for sender balance"),
    row("besu", On::Any, "upfront cost exceeds account balance", Meaning::Funds, -32004, "Upfront cost exceeds account balance"),
    row("geth", On::Call, "insufficient balance for transfer", Meaning::Funds, -32000, "insufficient balance for transfer"),
    row("revm", On::Any, "lack of funds", Meaning::Funds, -32003, "lack of funds (0) for max fee (21000)"),
    row("geth, reth", On::Call, "gas required exceeds allowance", Meaning::GasAllowance, -32000, "gas required exceeds allowance (12000)"),
    // Capacity of the pool.
    row("geth, reth", On::Send, "address already reserved", Meaning::Reserved, -32000, "address already reserved"),
    row("nethermind", On::Send, "pendingtxsofconflictingtype", Meaning::Reserved, -32010, "PendingTxsOfConflictingType"),
    row("geth, reth", On::Send, "txpool is full", Meaning::PoolFull, -32000, "txpool is full"),
    row("geth", On::Send, "account limit exceeded", Meaning::PoolFull, -32000, "account limit exceeded: pooled 16 txs"),
    row("geth", On::Send, "in-flight transaction limit reached", Meaning::PoolFull, -32000, "in-flight transaction limit reached for delegated accounts"),
    row("erigon", On::Send, "sub-pool is full", Meaning::PoolFull, -32000, "INTERNAL_ERROR: pending sub-pool is full"),
    row("geth", On::Send, "exceeds the configured cap", Meaning::NodeFeeCap, -32000, "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)"),
    row("besu", On::Send, "transaction fee cap exceeded", Meaning::NodeFeeCap, -32000, "Transaction fee cap exceeded"),
    // Never valid as it is.
    row("geth, besu, reth", On::Send, "exceeds block gas limit", Meaning::Invalid, -32000, "exceeds block gas limit"),
    row("geth, reth", On::Any, "transaction gas limit too high", Meaning::Invalid, -32000, "transaction gas limit too high (cap: 16777216, tx: 20000000)"),
    row("nethermind", On::Send, "gaslimitexceeded", Meaning::Invalid, -32010, "GasLimitExceeded"),
    row("geth", On::Send, "intrinsic gas", Meaning::Invalid, -32000, "intrinsic gas too low: gas 20000, minimum needed 21000"),
    row("geth, erigon", On::Send, "oversized data", Meaning::Invalid, -32000, "oversized data: transaction size 200000, limit 131072"),
    row("geth, erigon", On::Send, "invalid sender", Meaning::Invalid, -32000, "invalid sender"),
    row("geth", On::Send, "transaction type not supported", Meaning::Invalid, -32000, "transaction type not supported"),
    row("geth", On::Any, "invalid chain id", Meaning::Invalid, -32000, "invalid chain id for signer: have 1 want 5"),
    row("besu", On::Send, "wrong chainid", Meaning::Invalid, -32000, "Wrong chainId"),
    row("besu", On::Send, "invalid transaction type", Meaning::Invalid, -32602, "Invalid transaction type"),
    row("geth", On::Send, "missing sidecar", Meaning::Invalid, -32000, "missing sidecar in blob transaction"),
    row("geth", On::Send, "unexpected sidecar version", Meaning::Invalid, -32000, "unexpected sidecar version, want: 1, got: 0"),
    row("geth, anvil", On::Send, "max priority fee per gas higher than max fee per gas", Meaning::Invalid, -32000, "max priority fee per gas higher than max fee per gas: address 0x01"),
    row("geth", On::Send, "rlp: ", Meaning::Invalid, -32000, "rlp: expected input list for types.LegacyTx"),
    // Too many requests. Before the limits of ranges, whose words are part of some of these.
    row("infura", On::Any, "request rate exceeded", Meaning::RateLimited, -32005, "project ID request rate exceeded"),
    row("infura", On::Any, "request rate limited", Meaning::RateLimited, -32005, "daily request count exceeded, request rate limited"),
    row("alchemy", On::Any, "compute units per second", Meaning::RateLimited, 429, "Your app has exceeded its compute units per second capacity."),
    row("quicknode", On::Any, "request limit reached", Meaning::RateLimited, -32007, "100/second request limit reached - reduce calls per second or upgrade your account"),
    row("quicknode", On::Any, "credits limited", Meaning::RateLimited, -32012, "credits limited to 6000/sec"),
    row("coinbase", On::Any, "over rate limit", Meaning::RateLimited, -32016, "over rate limit"),
    row("ankr, publicnode", On::Any, "too many requests", Meaning::RateLimited, -32000, "Too many requests, reason: call rate limit exhausted, retry in 10s"),
    row("cloudflare and others", On::Any, "rate limit", Meaning::RateLimited, -32046, "Cannot fulfill request: rate limit"),
    row("chainstack", On::Any, "requests per second", Meaning::RateLimited, -32005, "You've exceeded the RPS limit available on the current plan: requests per second"),
    // Ranges and sizes.
    row("infura", On::Logs, "query returned more than", Meaning::TooLarge, -32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
    row("alchemy", On::Logs, "log response size exceeded", Meaning::TooLarge, -32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size"),
    row("geth", On::Logs, "beyond current head", Meaning::Behind, -32000, "block range extends beyond current head block"),
    row("infura, alchemy", On::Logs, "query timeout exceeded", Meaning::TooLarge, -32005, "query timeout exceeded. Consider reducing your block range."),
    row("alchemy", On::Logs, "block range", Meaning::TooLarge, -32600, "You can make eth_getLogs requests with up to a 500 block range."),
    row("quicknode", On::Logs, "is limited to a", Meaning::TooLarge, -32614, "eth_getLogs is limited to a 10,000 range"),
    row("reth", On::Logs, "query exceeds max", Meaning::TooLarge, -32602, "query exceeds max results 20000, retry with the range 1-100"),
    row("besu", On::Logs, "exceeds maximum rpc range limit", Meaning::TooLarge, -32005, "Requested range exceeds maximum RPC range limit"),
    row("drpc", On::Logs, "ranges over", Meaning::TooLarge, 35, "ranges over 10000 blocks are not supported on freetier"),
    row("jsonrpsee, reth", On::Any, "response is too big", Meaning::TooLarge, -32008, "Response is too big"),
    row("geth", On::Any, "response too large", Meaning::TooLarge, -32003, "response too large"),
    row("ankr, tenderly", On::Logs, "too many blocks", Meaning::TooLarge, -32000, "too many blocks requested, limit is 3000"),
    // States that the node does not have.
    row("geth", On::Any, "missing trie node", Meaning::StateMissing, -32000, "missing trie node 5c0ee75d (path ) state 0x5c is not available"),
    row("geth", On::Any, "historical state", Meaning::StateMissing, -32000, "historical state 5c0e is not available"),
    row("geth", On::Any, "state is not available", Meaning::StateMissing, -32000, "state is not available"),
    row("geth", On::Any, "state not available", Meaning::StateMissing, -32000, "required state not available"),
    row("reth, erigon", On::Any, "pruned", Meaning::StateMissing, -32000, "state at block #5 is pruned"),
    row("erigon, reth", On::Any, "due to pruning", Meaning::StateMissing, -32000, "old data not available due to pruning"),
    row("besu", On::Any, "world state unavailable", Meaning::StateMissing, -32000, "World state unavailable"),
    row("nethermind", On::Any, "no state available", Meaning::StateMissing, -32002, "No state available for block 0x05"),
    row("infura", On::Any, "archive state", Meaning::StateMissing, -32002, "project ID does not have access to archive state"),
    // Blocks that the node has not seen.
    row("geth", On::Any, "header not found", Meaning::Behind, -32000, "header not found"),
    row("geth", On::Any, "unknown block", Meaning::Behind, -32000, "unknown block"),
    row("reth, besu, erigon", On::Any, "block not found", Meaning::Behind, -32001, "block not found: 0x5"),
    row("alchemy, openethereum", On::Logs, "cannot be found", Meaning::Behind, -32000, "One or more of the blocks specified in filter options (fromBlock, toBlock, blockHash) cannot be found."),
    row("besu", On::Any, "initial sync is still in progress", Meaning::Behind, -32008, "Initial sync is still in progress"),
    row("geth, providers", On::Any, "still syncing", Meaning::Behind, -32000, "node is still syncing"),
    // The node and what is in front of it.
    row("geth", On::Any, "does not exist/is not available", Meaning::Unsupported, -32601, "the method eth_x does not exist/is not available"),
    row("erigon, providers", On::Any, "method is not whitelisted", Meaning::Unsupported, -32000, "rpc method is not whitelisted"),
    row("providers", On::Any, "unsupported method", Meaning::Unsupported, -32004, "Unsupported method: eth_x"),
    row("providers", On::Any, "invalid api key", Meaning::Unauthorized, -32000, "invalid api key"),
    row("alchemy", On::Any, "must be authenticated", Meaning::Unauthorized, -32600, "Must be authenticated!"),
    row("geth", On::Any, "execution aborted (timeout", Meaning::Down, -32000, "execution aborted (timeout = 5s)"),
    row("geth", On::Any, "request timed out", Meaning::Down, -32002, "request timed out"),
    row("providers", On::Any, "service unavailable", Meaning::Down, -32000, "Service Unavailable"),
    row("providers", On::Any, "context deadline exceeded", Meaning::Down, -32000, "context deadline exceeded"),
    row("providers", On::Any, "upstream", Meaning::Down, -32000, "no upstream is available"),
    // Calls that fail in the EVM. Last: only words that nothing above explains.
    row("geth, besu, erigon", On::Call, "revert", Meaning::Reverted, -32000, "execution reverted: no"),
    row("geth, erigon", On::Call, "out of gas", Meaning::Reverted, -32000, "out of gas"),
    row("reth", On::Call, "outofgas", Meaning::Reverted, -32003, "EVM error: OutOfGas"),
    row("geth", On::Call, "invalid opcode", Meaning::Reverted, -32000, "invalid opcode: INVALID"),
    row("anvil, reth", On::Call, "evm error", Meaning::Reverted, -32003, "EVM error InvalidFEOpcode"),
    row("nethermind, openethereum", On::Call, "vm execution error", Meaning::Reverted, -32015, "VM execution error."),
    row("nethermind", On::Call, "bad instruction", Meaning::Reverted, -32015, "Bad instruction fe"),
    row("geth", On::Call, "stack underflow", Meaning::Reverted, -32000, "stack underflow (0 <=> 1)"),
    row("geth", On::Call, "invalid jump destination", Meaning::Reverted, -32000, "invalid jump destination"),
    row("openethereum", On::Call, "always failing transaction", Meaning::Reverted, -32016, "The execution failed due to an exception: always failing transaction"),
];
