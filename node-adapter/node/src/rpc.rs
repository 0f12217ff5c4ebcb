//! The methods of JSON-RPC for users.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `carillon_sendOperation` | operation, and of a bundle its encoding | receipt: a soft confirmation |
//! | `carillon_getAccount` | index | key, owner, nonce, balances |
//! | `carillon_findAccount` | owner or key, index to begin at | accounts |
//! | `carillon_getOperation` | id | what it does, sequence number and status |
//! | `carillon_awaitOperation` | id, seconds | the same, once it is final or revoked, or the time is over |
//! | `carillon_getBatch` | number, or none for the newest | batch, its operations' ids, status and transaction |
//! | `carillon_getMessageProof` | batch, record | words, path and position of a message |
//! | `carillon_chain` | | ids, contracts, domain, data mode, shape, roots, the sequencer's key |
//! | `carillon_fees` | | least fees by token and kind |
//! | `carillon_queue` | | entries of the L1 queue executed |
//! | `carillon_lanes` | | entries taken of the lane from each other chain |
//!
//! Errors have a code of their own ([`code`]), a message with the reason and the next step, and in
//! `data` a short name for programs. Served by `rpc_server`, made by `service`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::RpcModule;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::account_forms::{AccountJson, key_name, owner_name};
use super::bundle_policy::{self, BundlePolicy};
use super::fees::FeeBook;
use super::machine::SubmitError;
use super::message_proof::message_proof;
use super::operation::{self, OperationJson};
use super::ports::Line;
use super::receipt::Condition;
use super::rollup::{ChainFacts, Rollup};
use super::status::NodeStatus;
use super::store::{BatchRow, Fallen, Store, StoreError};
use super::writer::{Progress, Unsettled, Writer};

/// Codes of errors, in the range that JSON-RPC leaves to servers.
pub mod code {
    /// The operation is refused; `data.code` says why.
    pub const REFUSED: i32 = -32001;
    /// The operation was accepted before; `data.sequence` is its place.
    pub const KNOWN: i32 = -32002;
    /// Too much waits; send it again.
    pub const BUSY: i32 = -32003;
    /// The node does not accept operations.
    pub const STOPPED: i32 = -32004;
    /// There is no such account, operation or batch.
    pub const NOT_FOUND: i32 = -32005;
    /// The node's database failed.
    pub const STORAGE: i32 = -32006;
    /// The parameters are not what the method takes (JSON-RPC's own code).
    pub const PARAMETERS: i32 = -32602;
}

/// Questions to the database at the same time, each with a thread: many fewer threads than the
/// runtime has for all that blocks.
const QUESTIONS: usize = 32;
/// The longest that an operation is waited for, in seconds: shorter than an answer may take.
const LONGEST_WAIT: u64 = 20;
/// Between two looks at one that is waited for.
const LOOK: Duration = Duration::from_millis(250);
/// Most accounts of one answer to `carillon_findAccount`.
const FOUND: usize = 64;

/// Where an operation is on its way; `accepted` and `sealed` are the sequencer's word alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// The operation.
    pub id: String,
    /// Its place in the log.
    pub sequence: String,
    /// `accepted`, `sealed`, `proved`, `settled` or `final`; `conditional` instead of the first three while
    /// another chain has not settled what stands behind it, `revoked` if one did not.
    pub status: String,
    /// What other chains must settle first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditional: Vec<Condition>,
    /// Why the operation was not accepted again after its receipt was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The receipt that was taken back last, and the signature on the notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<TakenBack>,
    /// The batch that holds it, once it is sealed.
    pub batch: Option<u64>,
    /// The transaction on Ethereum that executed the batch, as far as known.
    pub transaction: Option<String>,
    /// What it does: as it was sent, or as the L1 queue had it.
    pub operation: Value,
}

/// A receipt that is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// The place that it was for.
    pub sequence: String,
    /// The sequencer's signature on the notice.
    pub signature: String,
}

/// What the methods ask.
pub(super) struct Context {
    /// The writer.
    pub writer: Writer<Rollup>,
    /// Its store.
    pub store: Arc<Store>,
    /// What does not change.
    pub facts: ChainFacts,
    /// What does.
    pub status: Arc<NodeStatus>,
    /// Least fees.
    pub fees: Arc<FeeBook>,
    /// What bundles may do.
    pub bundles: Option<BundlePolicy>,
    /// Turns of those who ask the database.
    pub questions: Arc<Semaphore>,
}

impl Context {
    /// Turns for [`QUESTIONS`].
    pub fn questions() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(QUESTIONS))
    }
}

type Answer = Result<Value, ErrorObjectOwned>;

/// The methods.
///
/// # Errors
/// Never: names are given once.
pub(super) fn methods(context: Context) -> Result<RpcModule<Context>, RegisterMethodError> {
    let mut module = RpcModule::new(context);
    register(
        &mut module,
        "carillon_sendOperation",
        |params, context| async move { send_operation(&context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_getAccount",
        |params, context| async move { get_account(context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_findAccount",
        |params, context| async move { find_account(context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_getOperation",
        |params, context| async move { get_operation(context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_awaitOperation",
        |params, context| async move { await_operation(context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_getBatch",
        |params, context| async move { get_batch(context, &params).await },
    )?;
    register(
        &mut module,
        "carillon_getMessageProof",
        |params, context| async move { get_message_proof(context, &params).await },
    )?;
    register(&mut module, "carillon_chain", |_, context| async move {
        Answer::Ok(chain(&context))
    })?;
    register(&mut module, "carillon_fees", |_, context| async move {
        Answer::Ok(context.fees.published())
    })?;
    register(&mut module, "carillon_queue", |_, context| async move {
        let progress = context.writer.progress().borrow().clone();
        let l1 = context.status.l1();
        Answer::Ok(json!({
            "executed": progress.queue.to_string(),
            "sealed": progress.sealed_queue.to_string(),
            "stuck": progress.stuck.get(&Line::Queue),
            "waits_for": context.status.queue_wait(),
            "l1_block": l1.as_ref().and_then(|l1| l1.head),
            "read_block": l1.as_ref().and_then(|l1| l1.read),
            "confirmations": l1.as_ref().map(|l1| l1.confirmations),
        }))
    })?;
    register(&mut module, "carillon_lanes", |_, context| async move {
        let Progress {
            lanes,
            stuck,
            unsettled,
            ..
        } = context.writer.progress().borrow().clone();
        let feeds = context.status.feeds();
        let chains = lanes.keys().chain(feeds.keys()).copied();
        let chains = chains.chain(stuck.keys().filter_map(|line| line.chain()));
        let lane = |chain: u64| {
            let mut lane = json!({
                "chain": chain.to_string(),
                "taken": lanes.get(&chain).copied().unwrap_or_default().to_string(),
                "stuck": stuck.get(&Line::Lane(chain)),
            });
            if let Some(of) = unsettled.get(&chain) {
                lane["unsettled"] = json!({
                    "first": of.first.to_string(),
                    "count": (of.next - of.first).to_string(),
                    "wei": of.wei.to_string(),
                    "since": of.since.to_string(),
                });
            }
            if let Some(waits) = feeds.get(&chain) {
                lane["feed"] = json!({ "waits_for": waits });
            }
            lane
        };
        let chains: BTreeSet<u64> = chains.collect();
        Answer::Ok(chains.into_iter().map(lane).collect::<Value>())
    })?;
    Ok(module)
}

/// Registers a method whose calls let others have their turn first: the calls of a batch are answered
/// one behind the other, and a task that never waits keeps its thread.
fn register<F, A>(
    module: &mut RpcModule<Context>,
    name: &'static str,
    method: F,
) -> Result<(), RegisterMethodError>
where
    F: Fn(Params<'static>, Arc<Context>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send,
{
    module.register_async_method(name, move |params, context, _| {
        let method = method.clone();
        async move {
            tokio::task::yield_now().await;
            method(params, context).await
        }
    })?;
    Ok(())
}

fn error(code: i32, message: impl Into<String>, data: Value) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, Some(data))
}

fn refused(refusal: SubmitError) -> ErrorObjectOwned {
    let message = refusal.to_string();
    match refusal {
        SubmitError::Refused(refusal) => {
            error(code::REFUSED, message, json!({ "code": refusal.code }))
        }
        SubmitError::Known { sequence } => error(
            code::KNOWN,
            message,
            json!({ "code": "known", "sequence": sequence.to_string() }),
        ),
        SubmitError::Busy => error(code::BUSY, message, json!({ "code": "busy" })),
        SubmitError::Stopped(_) => error(code::STOPPED, message, json!({ "code": "stopped" })),
    }
}

fn wrong_parameters(message: impl Into<String>) -> ErrorObjectOwned {
    error(code::PARAMETERS, message, json!({ "code": "parameters" }))
}

fn not_found(message: impl Into<String>) -> ErrorObjectOwned {
    error(code::NOT_FOUND, message, json!({ "code": "not found" }))
}

/// The one parameter of a method, given as `[value]`.
fn one<T: serde::de::DeserializeOwned>(
    params: &Params<'_>,
    what: &str,
) -> Result<T, ErrorObjectOwned> {
    params
        .one()
        .map_err(|refusal| wrong_parameters(format!("expected [{what}]: {}", detail(&refusal))))
}

/// What the parser says, where it says something.
fn detail(refusal: &ErrorObjectOwned) -> String {
    refusal.data().map_or_else(
        || refusal.message().to_owned(),
        |data| data.get().to_owned(),
    )
}

async fn send_operation(context: &Arc<Context>, params: &Params<'_>) -> Answer {
    let expected = |refusal: ErrorObjectOwned| {
        let reason = detail(&refusal);
        wrong_parameters(format!(
            "expected [operation], or of a bundle [operation, encoded bundle]: {reason}"
        ))
    };
    let mut values = params.sequence();
    let json: OperationJson = values.next().map_err(expected)?;
    let bundle: Option<String> = values.optional_next().map_err(expected)?;
    if let Ok(Some(_)) = values.optional_next::<Value>() {
        return Err(wrong_parameters("an operation has two parameters at most"));
    }
    let bundle = bundle.map(|text| {
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        hex::decode(digits).map_err(|_| wrong_parameters("an encoded bundle is 0x and hex digits"))
    });
    let bundle = bundle.transpose()?;
    let operation = json
        .into_operation()
        .map_err(|refusal| wrong_parameters(refusal.to_string()))?;
    // Whoever asks again because the answer was lost must not hear that it is refused: policy and fees may be others
    // by now, and the operation counts.
    let id = operation.id(context.facts.domain);
    let known = ask(Arc::clone(context), move |store| store.sequence(&id));
    if let Some(sequence) = known.await? {
        return Err(refused(SubmitError::Known { sequence }));
    }
    bundle_policy::check(
        context.bundles.as_ref(),
        context.facts.chain_id,
        &operation,
        bundle.as_deref(),
        now(),
    )
    .map_err(|refusal| refused(SubmitError::Refused(refusal)))?;
    context
        .fees
        .check(&operation)
        .map_err(|(refusal, needed)| {
            let needed = needed.map(|fee| fee.to_string());
            let data = json!({ "code": refusal.code, "needed": needed });
            error(code::REFUSED, refusal.reason, data)
        })?;
    let receipt = context.writer.submit(operation).await.map_err(refused)?;
    Ok(json!(receipt))
}

/// Unix time in seconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

async fn get_account(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let index: u32 = one(params, "account index")?;
    let accounts = Arc::clone(context.writer.accounts());
    let account = ask(context, move |_| {
        let bytes = accounts.get(index)?;
        let account = bytes.map(|bytes| AccountJson::read(index, &bytes));
        Ok(account.transpose()?.flatten())
    });
    let account = account.await?;
    let missing = || {
        not_found(format!(
            "account {index} is not in use; deposit to it from L1"
        ))
    };
    account.map(|account| json!(account)).ok_or_else(missing)
}

/// An owner's address or an account's key as the name that the index knows it by.
fn name_of(text: &str) -> Option<Vec<u8>> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?;
    if let Ok(owner) = <[u8; 20]>::try_from(bytes.as_slice()) {
        return Some(owner_name(&owner));
    }
    <[u8; 32]>::try_from(bytes).ok().map(|key| key_name(&key))
}

async fn find_account(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let expected = |refusal: ErrorObjectOwned| {
        let reason = detail(&refusal);
        wrong_parameters(format!("expected [owner or key, first index]: {reason}"))
    };
    let mut values = params.sequence();
    let text: String = values.next().map_err(expected)?;
    let from: Option<u32> = values.optional_next().map_err(expected)?;
    let name = name_of(&text).ok_or_else(|| {
        wrong_parameters("an owner is 0x and 40 hex digits, a key is 0x and 64 hex digits")
    })?;
    let accounts = Arc::clone(context.writer.accounts());
    let from = from.unwrap_or(0);
    let mut found = ask(context, move |_| {
        // One more than is shown, to know whether there are more.
        let found = accounts.find(&name, from, FOUND + 1)?;
        let read = |(index, bytes): (u32, Vec<u8>)| AccountJson::read(index, &bytes);
        let found: Result<Vec<_>, _> = found.into_iter().map(read).collect();
        Ok(found?.into_iter().flatten().collect::<Vec<_>>())
    })
    .await?;
    let next = found.get(FOUND).map(|account| account.index);
    found.truncate(FOUND);
    Ok(json!({ "accounts": found, "next": next }))
}

/// Asks the database off the server's threads.
async fn ask<T: Send + 'static>(
    context: Arc<Context>,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ErrorObjectOwned> {
    let failed = |reason: String| error(code::STORAGE, reason, json!({ "code": "storage" }));
    let questions = Arc::clone(&context.questions);
    in_turn(questions, move || question(&context.store))
        .await
        .map_err(|lost| failed(lost.to_string()))?
        .map_err(|fault| failed(fault.to_string()))
}

/// Does work that blocks, when one of the `turns` is free.
async fn in_turn<T: Send + 'static>(
    turns: Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // Kept by the work itself: a client that goes does not free it while the work goes on.
    let turn = turns.acquire_owned().await;
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    worked.await
}

async fn get_operation(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let text: String = one(params, "operation id")?;
    Ok(json!(
        operation_status(context, operation_id(&text)?).await?
    ))
}

/// Tells how an operation ends, to who would ask again and again: over HTTP, as a waiting call has one of a
/// WebSocket's turns.
async fn await_operation(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let expected = |refusal: ErrorObjectOwned| {
        let reason = detail(&refusal);
        wrong_parameters(format!("expected [operation id, seconds]: {reason}"))
    };
    let mut values = params.sequence();
    let text: String = values.next().map_err(expected)?;
    let seconds: Option<u64> = values.optional_next().map_err(expected)?;
    let (id, seconds) = (operation_id(&text)?, seconds.unwrap_or(LONGEST_WAIT));
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds.min(LONGEST_WAIT));
    loop {
        let status = operation_status(Arc::clone(&context), id).await?;
        let ended = matches!(status.status.as_str(), "final" | "revoked");
        if ended || tokio::time::Instant::now() >= until {
            return Ok(json!(status));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn operation_id(text: &str) -> Result<[u8; 32], ErrorObjectOwned> {
    let mut id = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut id)
        .map_err(|_| wrong_parameters("an operation's id is 0x and 64 hex digits"))?;
    Ok(id)
}

async fn operation_status(
    context: Arc<Context>,
    id: [u8; 32],
) -> Result<OperationStatus, ErrorObjectOwned> {
    let unsettled = context.writer.progress().borrow().unsettled.clone();
    let found = ask(context, move |store| {
        let fallen = store.fallen(&id)?;
        let Some(sequence) = store.sequence(&id)? else {
            return Ok(fallen.map(Err));
        };
        let damaged = || StoreError::Damaged {
            what: format!("operation {sequence} of the log"),
        };
        let (_, bytes) = store.log(sequence..=sequence)?.pop().ok_or_else(damaged)?;
        let operation = operation::decode(&bytes).map_err(|_| damaged())?;
        let batch = store.batch_of(sequence)?;
        Ok(Some(Ok((
            sequence,
            batch,
            operation::shown(&operation),
            fallen,
        ))))
    });
    let missing = || not_found("no operation with this id was accepted here");
    let taken_back = |fallen: &Fallen| TakenBack {
        sequence: fallen.sequence.to_string(),
        signature: fallen.signature.clone(),
    };
    let id = format!("0x{}", hex::encode(id));
    let (sequence, batch, operation, fallen) = match found.await?.ok_or_else(missing)? {
        Ok(known) => known,
        Err(fallen) => {
            return Ok(OperationStatus {
                id,
                sequence: fallen.sequence.to_string(),
                status: "revoked".to_owned(),
                conditional: Vec::new(),
                taken_back: Some(taken_back(&fallen)),
                reason: fallen.reason,
                batch: None,
                transaction: None,
                operation: Value::Null,
            });
        }
    };
    let on = |(chain, of): (u64, Unsettled)| {
        let count = of.next;
        (of.sequence <= sequence).then_some(Condition { chain, count })
    };
    let status = batch.as_ref().map_or("accepted", BatchRow::status_name);
    // What Ethereum has executed is on no condition any more.
    let executed = matches!(status, "settled" | "final");
    let conditional: Vec<Condition> = match executed {
        true => Vec::new(),
        false => unsettled.into_iter().filter_map(on).collect(),
    };
    Ok(OperationStatus {
        id,
        sequence: sequence.to_string(),
        status: match conditional.is_empty() {
            true => status.to_owned(),
            false => "conditional".to_owned(),
        },
        conditional,
        reason: None,
        taken_back: fallen.as_ref().map(taken_back),
        transaction: batch.as_ref().and_then(|row| row.transaction().cloned()),
        batch: batch.map(|row| row.number),
        operation,
    })
}

async fn get_batch(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let mut values = params.sequence();
    let number: Option<u64> = values.optional_next().map_err(|refusal| {
        wrong_parameters(format!("expected [batch number]: {}", detail(&refusal)))
    })?;
    let number = number.unwrap_or_else(|| context.writer.progress().borrow().batch);
    let domain = context.facts.domain;
    let found = ask(context, move |store| {
        let Some(row) = store.batch(number)? else {
            return Ok(None);
        };
        let ids = store
            .log(row.first..row.end)?
            .into_iter()
            .map(|(sequence, bytes)| {
                let decoded = operation::decode(&bytes).map_err(|_| StoreError::Damaged {
                    what: format!("operation {sequence} of the log"),
                })?;
                Ok(format!("0x{}", hex::encode(decoded.id(domain))))
            });
        let ids = ids.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Some((row, ids)))
    });
    let missing = || not_found(format!("batch {number} is not sealed"));
    let (row, ids) = found.await?.ok_or_else(missing)?;
    let mut batch = json!(row);
    batch["transaction"] = json!(row.transaction());
    batch["operation_ids"] = json!(ids);
    Ok(batch)
}

async fn get_message_proof(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let (batch, record): (u64, u64) = params.parse().map_err(|refusal| {
        wrong_parameters(format!(
            "expected [batch number, record]: {}",
            detail(&refusal)
        ))
    })?;
    let chain_id = context.facts.chain_id;
    let found = ask(context, move |store| {
        message_proof(store, chain_id, batch, record)
    })
    .await?;
    let missing = || {
        not_found(format!(
            "record {record} of batch {batch} is no message of a sealed batch: messages are withdrawals and exits of an amount, and bundles"
        ))
    };
    found.map(|proof| json!(proof)).ok_or_else(missing)
}

fn chain(context: &Context) -> Value {
    let progress = context.writer.progress().borrow().clone();
    let reasons = context.status.unready();
    json!({
        "chain_id": context.facts.chain_id.to_string(),
        "domain": context.facts.domain,
        "l1_chain_id": context.facts.home.l1_chain_id.to_string(),
        "hub": format!("0x{}", hex::encode(context.facts.home.hub)),
        "bridge": format!("0x{}", hex::encode(context.facts.home.bridge)),
        "data_mode": context.facts.mode.to_string(),
        "shape": context.facts.shape,
        "slots": context.facts.slots,
        "operator": context.facts.operator,
        "sequencer": context.facts.sequencer,
        "accepted": progress.accepted.to_string(),
        "open": progress.open,
        "batch": progress.batch,
        "root": progress.root,
        "l1": context.facts.l1,
        "reached": context.status.reached(),
        "proving": context.status.proving(),
        "waits_for": context.status.waits(),
        "ready": reasons.is_empty(),
        "not_ready": reasons,
        "ethereum": context.status.l1(),
        "failed": context.status.failure(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Barrier;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn questions_work_in_turn_whoever_waits_for_them() {
        const TURNS: usize = 2;
        let turns = Arc::new(Semaphore::new(TURNS));
        let (asked, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = Arc::new(Barrier::new(8 + 1));
        let mut clients = JoinSet::new();
        for client in 0..8 {
            let (turns, all) = (Arc::clone(&turns), Arc::clone(&all));
            let (asked, most) = (Arc::clone(&asked), Arc::clone(&most));
            let question = move || {
                most.fetch_max(asked.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                asked.fetch_sub(1, Ordering::SeqCst);
            };
            clients.spawn(async move {
                let answer = in_turn(turns, question);
                if client % 2 == 0 {
                    answer.await.unwrap();
                } else {
                    // Goes while the database works.
                    let _ = tokio::time::timeout(Duration::from_millis(5), answer).await;
                }
                all.wait().await;
            });
        }
        all.wait().await;
        assert_eq!(most.load(Ordering::SeqCst), TURNS);
    }
}
