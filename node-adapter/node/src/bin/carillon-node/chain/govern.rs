//! Calls of a governor: a key makes them at once, a timelock after it announced them, and for any other
//! contract they are shown.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_cli::Output;
use carillon_settlement::network::{Call, Governor, Proposal, ProposalState};
use carillon_settlement::watch::NodeSource;
use clap::Args;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::user::chain::failure;
use crate::user::wallet::Wallet;

/// What is done where a timelock governs.
#[derive(Clone, Copy, Debug, Args)]
pub struct ProposalArgs {
    /// Where a timelock governs: announce the calls to it; for its proposers
    #[arg(long, conflicts_with = "execute")]
    propose: bool,
    /// Where a timelock governs: bring the announced calls to effect once its delay has passed; for
    /// anyone
    #[arg(long)]
    execute: bool,
}

impl ProposalArgs {
    /// Whether what was announced is to take effect.
    pub fn executes(self) -> bool {
        self.execute
    }

    /// Whether a transaction is asked for whoever governs.
    fn sends(self) -> bool {
        self.propose || self.execute
    }
}

/// What became of the calls.
#[derive(Debug)]
pub struct Outcome {
    /// In a word.
    pub state: &'static str,
    /// For JSON.
    pub fields: Value,
    /// For people.
    pub rows: Vec<(String, String)>,
    /// What comes next; empty if nothing does.
    pub next: String,
}

impl Outcome {
    fn new(state: &'static str, governor: Address, calls: &[Call]) -> Self {
        let listed: Vec<Value> = calls
            .iter()
            .map(|call| json!({ "to": call.to, "data": call.data, "does": call.text }))
            .collect();
        let row = |call: &Call| ("call".to_owned(), call.text.clone());
        let mut rows = vec![("governor".to_owned(), governor.to_string())];
        rows.extend(calls.iter().map(row));
        rows.push(("state".to_owned(), state.to_owned()));
        Self {
            state,
            fields: json!({ "state": state, "governor": governor, "calls": listed, "transactions": [] }),
            rows,
            next: String::new(),
        }
    }

    /// Nothing is to be done.
    pub fn nothing(governor: Address) -> Self {
        Self::new("done", governor, &[])
    }
}

/// Has the calls made, or says how they are.
pub async fn act(
    output: &Output,
    source: &NodeSource,
    wallet: &Wallet,
    governor: Governor,
    calls: Vec<Call>,
    args: ProposalArgs,
) -> Result<Outcome, Failure> {
    let address = governor.address();
    if calls.is_empty() {
        return Ok(Outcome::nothing(address));
    }
    match governor {
        Governor::Timelock { address, delay } => {
            let (proposal, state) = Proposal::find(source, (address, delay), calls)
                .await
                .map_err(failure)?;
            by_timelock(output, source, wallet, &proposal, state, args).await
        }
        _ if args.sends() => Err(Failure::input(format!(
            "no timelock governs but {address}: leave --propose and --execute out"
        ))),
        Governor::Other(_) => {
            let mut shown = Outcome::new("to be made by the governor", address, &calls);
            shown.next = format!("have the contract {address} make these calls, in this order");
            Ok(shown)
        }
        Governor::Key(_) if address != wallet.address() => Err(Failure::input(format!(
            "only the governor {address} may do that; {} signs",
            wallet.address()
        ))),
        Governor::Key(_) => {
            let state = if wallet.dry_run() {
                "simulated"
            } else {
                "done"
            };
            let mut done = Outcome::new(state, address, &calls);
            let mut transactions = Vec::new();
            for call in calls {
                let sent = wallet
                    .send_bytes(output, "governor's call", call.to, U256::ZERO, call.data)
                    .await?;
                transactions.push(sent.json());
            }
            done.fields["transactions"] = json!(transactions);
            Ok(done)
        }
    }
}

async fn by_timelock(
    output: &Output,
    source: &NodeSource,
    wallet: &Wallet,
    proposal: &Proposal,
    state: ProposalState,
    args: ProposalArgs,
) -> Result<Outcome, Failure> {
    let (timelock, delay) = (proposal.timelock, proposal.delay);
    let word = match state {
        ProposalState::New if args.propose && wallet.dry_run() => "simulated",
        ProposalState::New if args.propose => "proposed",
        ProposalState::New => "to be proposed",
        ProposalState::Ready if args.execute && wallet.dry_run() => "simulated",
        ProposalState::Ready if args.execute => "done",
        ProposalState::Ready => "ready",
        ProposalState::Waiting(_) => "waiting",
    };
    let mut outcome = Outcome::new(word, timelock, &proposal.calls);
    let mut sent = None;
    match state {
        ProposalState::New if args.execute => {
            return Err(Failure::input(format!(
                "these calls were not announced to the timelock {timelock}: give --propose first, and --execute {delay} seconds later"
            )));
        }
        ProposalState::New if args.propose => {
            let may = proposal.may_propose(source, wallet.address());
            if !may.await.map_err(failure)? {
                return Err(Failure::input(format!(
                    "{} may announce nothing to the timelock {timelock}: give the key of one of its proposers",
                    wallet.address()
                )));
            }
            let call = proposal.schedule();
            let done = wallet.send(output, "schedule", timelock, U256::ZERO, call);
            sent = Some(done.await?);
            outcome.next = format!("give the same command with --execute in {delay} seconds");
        }
        ProposalState::New => {
            outcome.next = "announce it with --propose, or have a proposer send `schedule` as shown with --json".into();
        }
        ProposalState::Waiting(from) => {
            let left = from.saturating_sub(source.time().await.map_err(failure)?);
            if args.execute {
                return Err(Failure::input(format!(
                    "the timelock {timelock} brings these calls to effect from {from} (Unix time) on, in {left} seconds"
                )));
            }
            outcome.fields["ready_from"] = json!(from);
            outcome.next = format!("give the same command with --execute in {left} seconds");
        }
        ProposalState::Ready if args.execute => {
            let call = proposal.execute();
            let done = wallet.send(output, "execute", timelock, U256::ZERO, call);
            sent = Some(done.await?);
        }
        ProposalState::Ready => {
            outcome.next = "give the same command with --execute".into();
        }
    }
    outcome.fields["timelock"] = json!({
        "address": timelock,
        "delay": delay,
        "operation": proposal.id,
        "salt": proposal.salt,
        "schedule": format!("0x{}", hex::encode(proposal.schedule().abi_encode())),
        "execute": format!("0x{}", hex::encode(proposal.execute().abi_encode())),
    });
    outcome
        .rows
        .push(("operation".to_owned(), proposal.id.to_string()));
    if let Some(sent) = sent {
        outcome.fields["transactions"] = json!([sent.json()]);
        let (name, text) = sent.row();
        outcome.rows.push((name.to_owned(), text));
    }
    Ok(outcome)
}
