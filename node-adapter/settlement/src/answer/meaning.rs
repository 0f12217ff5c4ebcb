//! What an error can mean, and the kinds of requests that words are read by. Pure; used by the table
//! of words, and by everything that reacts to an error of an Ethereum node.

/// What an error means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The contract refuses the call, or the call fails in the EVM.
    Reverted,
    /// The transaction is in the pool already.
    Known,
    /// The nonce is used by a mined transaction.
    NonceUsed,
    /// A nonce before this one is missing.
    NonceGap,
    /// Another transaction with this nonce is in the pool and offers too much to be replaced.
    Outbid,
    /// The fees are below what the pool or the next block asks for.
    FeeTooLow,
    /// The account cannot pay.
    Funds,
    /// The gas that the account can pay, or that the node allows, is not enough for the call.
    GasAllowance,
    /// The account has transactions of another type in the pool.
    Reserved,
    /// The pool is full.
    PoolFull,
    /// The node does not send transactions that cost as much.
    NodeFeeCap,
    /// The transaction can never be valid.
    Invalid,
    /// The node does not have the method.
    Unsupported,
    /// The answer, or the range asked for, is too large.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The node does not have the state that the request needs: pruned, or not there yet.
    StateMissing,
    /// The node has not seen the block: behind, or syncing.
    Behind,
    /// The node does not let us in.
    Unauthorized,
    /// The node is down, overloaded, or does not answer in time.
    Down,
    /// The answer is no JSON-RPC.
    Unreadable,
    /// None of these.
    Unknown,
}

impl Meaning {
    /// A short name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reverted => "reverted",
            Self::Known => "already_known",
            Self::NonceUsed => "nonce_used",
            Self::NonceGap => "nonce_gap",
            Self::Outbid => "outbid",
            Self::FeeTooLow => "fee_too_low",
            Self::Funds => "funds",
            Self::GasAllowance => "gas_allowance",
            Self::Reserved => "other_type_pending",
            Self::PoolFull => "pool_full",
            Self::NodeFeeCap => "node_fee_cap",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::StateMissing => "state_missing",
            Self::Behind => "behind",
            Self::Unauthorized => "unauthorized",
            Self::Down => "down",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
        }
    }

    /// What the operator can do.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Reverted => "look at the reason; the call is tried again",
            Self::Known => "wait until it is mined",
            Self::NonceUsed => {
                "wait until the transaction with this nonce is found; is somebody else using the key?"
            }
            Self::NonceGap => "wait until the transactions before it are mined",
            Self::Outbid => {
                "wait: the fees are raised up to the cap; is somebody else using the key?"
            }
            Self::FeeTooLow => "wait: the fees are raised up to the cap",
            Self::Funds => "send ETH to the operator's address",
            Self::GasAllowance => {
                "send ETH to the operator's address, or raise the node's gas cap for simulations"
            }
            Self::Reserved => {
                "wait until the account's other transactions are mined, or use a key of its own for the operator"
            }
            Self::PoolFull => "wait, or use another Ethereum node",
            Self::NodeFeeCap => {
                "raise the node's fee cap for transactions (geth: --rpc.txfeecap), or use another node"
            }
            Self::Invalid => {
                "check that the Ethereum node follows the newest fork; report the reason if it does"
            }
            Self::Unsupported => "use an Ethereum node that serves the method",
            Self::TooLarge => "wait: smaller ranges are asked for",
            Self::RateLimited => "wait, or use a node or plan that allows more requests",
            Self::StateMissing => "wait; if it goes on, use a node that keeps the newest states",
            Self::Behind => "wait until the Ethereum node has caught up",
            Self::Unauthorized => "check the URL and its key",
            Self::Down => "wait, or use another Ethereum node",
            Self::Unreadable => "check that the URL is that of an Ethereum node's JSON-RPC",
            Self::Unknown => "look the node's words up; the request is tried again",
        }
    }
}

/// Method whose range may be too large.
pub(in super::super) const LOGS: &str = "eth_getLogs";
/// Method that hands a signed transaction to the node.
pub(super) const SEND: &str = "eth_sendRawTransaction";

/// The kind of a request: words mean different things to different requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// `eth_sendRawTransaction`.
    Send,
    /// `eth_call` and `eth_estimateGas`.
    Call,
    /// `eth_getLogs`.
    Logs,
    /// Every request.
    Any,
}

impl On {
    /// Whether the kind has this request.
    pub(super) fn covers(self, request: &str) -> bool {
        match self {
            Self::Send => request == SEND,
            Self::Call => request != SEND && request != LOGS,
            Self::Logs => request == LOGS,
            Self::Any => true,
        }
    }
}
