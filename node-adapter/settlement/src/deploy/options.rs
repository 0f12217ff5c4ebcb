//! What a chain begins with, as whoever deploys it chooses. Plain data; `check` says whether the
//! contracts will take it.

use alloy::primitives::Address;
use blstrs::Scalar;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_runtime::groth16::VerifyingKey;

const DAY: u64 = 24 * 60 * 60;
const GWEI: u128 = 1_000_000_000;
/// Units that the bridge moves in and back when a token is listed (`TokenProbe.PROBE`).
pub(super) const PROBE: u64 = 1_000_000;

/// What a chain begins with. Times are in seconds.
#[derive(Clone, Debug)]
pub struct DeployOptions {
    /// The rollup chain's id; not 0.
    pub chain_id: u64,
    /// The root of the empty state.
    pub genesis_root: Scalar,
    /// One verifying key for each circuit shape, by shape number.
    pub verifiers: Vec<(u32, VerifyingKey)>,
    /// Tokens by slot (1 to 63). The deploying key holds 1,000,000 units of each: the bridge tries
    /// the token out with them.
    pub tokens: Vec<(u8, Address)>,
    /// Who commits batches; `None` is the deploying key.
    pub operator: Option<Address>,
    /// The operator's account on the chain.
    pub operator_account: u32,
    /// Who may pause; `None` is the deploying key.
    pub guardian: Option<Address>,
    /// Who announces to the timelock; nobody named is the guardian.
    pub proposers: Vec<Address>,
    /// Age of the oldest queue entry from which anyone may halt the chain.
    pub queue_delay: u64,
    /// Time to leave after a halt, before anything that was announced takes effect.
    pub exit_window: u64,
    /// Age of a batch that is not executed from which anyone may revert it.
    pub revert_delay: u64,
    /// The longest pause.
    pub max_pause: u64,
    /// From the end of a pause to the next one.
    pub pause_cooldown: u64,
    /// Seconds in which the operator executes one queue entry, at least, while any waits.
    pub entry_interval: u64,
    /// Wei of a request for an exit while the queue is short.
    pub entry_fee: u128,
    /// Leaves of the account tree: the owners of deposits are one less at most.
    pub accounts: u32,
    /// Whether the batches' data stay with the operator, for good: batches have no blob, and an operator
    /// who gives the data to nobody blocks exits.
    pub validium: bool,
    /// Deposits below these units of a slot's token are refused; slots that are not named have none.
    pub least_deposits: Vec<(u8, u128)>,
    /// Delay of the timelock; longer than `queue_delay + exit_window`.
    pub governance_delay: u64,
    /// The key by which the chain signs its receipts, registered if the deploying key is the operator's.
    pub receipt_key: Option<PublicKey>,
    /// Whether the timelock governs at the end. Off only for tests that change the set-up.
    pub hand_over: bool,
}

impl DeployOptions {
    /// A chain with a week's queue delay and exit window.
    pub fn new(chain_id: u64, genesis_root: &Scalar) -> Self {
        Self {
            chain_id,
            genesis_root: *genesis_root,
            verifiers: Vec::new(),
            tokens: Vec::new(),
            operator: None,
            operator_account: 0,
            guardian: None,
            proposers: Vec::new(),
            queue_delay: 7 * DAY,
            exit_window: 7 * DAY,
            revert_delay: DAY,
            max_pause: 2 * DAY,
            pause_cooldown: 7 * DAY,
            entry_interval: 30,
            entry_fee: 200_000 * GWEI,
            accounts: 1 << 24,
            validium: false,
            least_deposits: vec![(0, 100_000 * GWEI)],
            governance_delay: 15 * DAY,
            receipt_key: None,
            hand_over: true,
        }
    }

    /// The same chain with a verifier for a shape.
    #[must_use]
    pub fn verifier(mut self, shape: u32, key: VerifyingKey) -> Self {
        self.verifiers.push((shape, key));
        self
    }

    /// The least deposit of a slot's token, in its units.
    pub fn least_deposit(&self, slot: u8) -> u128 {
        let named = self.least_deposits.iter().find(|(of, _)| *of == slot);
        named.map_or(0, |(_, least)| *least)
    }

    /// The same chain with another queue delay, and the times that follow from it moved where the
    /// contracts' rules need it.
    #[must_use]
    pub fn with_queue_delay(mut self, delay: u64) -> Self {
        self.queue_delay = delay;
        self.max_pause = self.max_pause.min(delay / 2);
        self.entry_interval = self.entry_interval.min((delay / 2).max(1));
        self.pause_cooldown = self.pause_cooldown.max(delay);
        let least = delay.saturating_add(self.exit_window).saturating_add(1);
        self.governance_delay = self.governance_delay.max(least);
        self
    }
}
