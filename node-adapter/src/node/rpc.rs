//! JSON-RPC for users, over HTTP and WebSocket on one port.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `carillon_sendOperation` | operation | receipt: a soft confirmation |
//! | `carillon_getAccount` | index | key, owner, nonce, balances |
//! | `carillon_getOperation` | id | sequence number and status |
//! | `carillon_getBatch` | number, or none for the newest | batch and status |
//! | `carillon_chain` | | ids, shape, roots, the sequencer's key |
//! | `carillon_queue` | | entries of the L1 queue executed |
//!
//! Errors have a code of their own ([`code`]), a message with the reason and the next step, and in
//! `data` a short name for programs. Requests, answers, batches and connections are limited. Called
//! by `service`.

use std::net::SocketAddr;
use std::sync::Arc;

use jsonrpsee::server::{BatchRequestConfig, RpcModule, Server, ServerConfig, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::machine::SubmitError;
use super::operation::OperationJson;
use super::rollup::{ChainFacts, Rollup};
use super::store::{BatchRow, Store, StoreError};
use super::writer::Writer;

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

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcOptions {
    /// Bytes of a request, also of a batch of requests.
    pub request: u32,
    /// Bytes of an answer.
    pub response: u32,
    /// Connections at the same time.
    pub connections: u32,
    /// Requests of a batch.
    pub batch: u32,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self {
            request: 256 << 10,
            response: 1 << 20,
            connections: 512,
            batch: 256,
        }
    }
}

struct Context {
    writer: Writer<Rollup>,
    store: Arc<Store>,
    facts: ChainFacts,
}

/// Where an operation is on its way; `accepted` and `sealed` are the sequencer's word alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// The operation.
    pub id: String,
    /// Its place in the log.
    pub sequence: String,
    /// `accepted`, `sealed`, `proved`, `settled` or `final`.
    pub status: String,
    /// The batch that holds it, once it is sealed.
    pub batch: Option<u64>,
}

/// Starts the server; returns it and the address that it listens on.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    options: RpcOptions,
    writer: Writer<Rollup>,
    store: Arc<Store>,
    facts: ChainFacts,
) -> std::io::Result<(ServerHandle, SocketAddr)> {
    let config = ServerConfig::builder()
        .max_request_body_size(options.request)
        .max_response_body_size(options.response)
        .max_connections(options.connections)
        .max_subscriptions_per_connection(0)
        .set_batch_request_config(BatchRequestConfig::Limit(options.batch))
        .build();
    let server = Server::builder().set_config(config).build(address).await?;
    let address = server.local_addr()?;
    let context = Context {
        writer,
        store,
        facts,
    };
    let module = methods(context).map_err(std::io::Error::other)?;
    Ok((server.start(module), address))
}

type Answer = Result<Value, ErrorObjectOwned>;

fn methods(context: Context) -> Result<RpcModule<Context>, jsonrpsee::core::RegisterMethodError> {
    let mut module = RpcModule::new(context);
    module.register_async_method("carillon_sendOperation", |params, context, _| async move {
        send_operation(&context, &params).await
    })?;
    module.register_async_method("carillon_getAccount", |params, context, _| async move {
        get_account(&context, &params).await
    })?;
    module.register_async_method("carillon_getOperation", |params, context, _| async move {
        get_operation(context, &params).await
    })?;
    module.register_async_method("carillon_getBatch", |params, context, _| async move {
        get_batch(context, &params).await
    })?;
    module.register_async_method("carillon_chain", |_, context, _| async move {
        Answer::Ok(chain(&context))
    })?;
    module.register_async_method("carillon_queue", |_, context, _| async move {
        let progress = context.writer.progress().borrow().clone();
        Answer::Ok(json!({
            "executed": progress.queue.to_string(),
            "sealed": progress.sealed_queue.to_string(),
        }))
    })?;
    Ok(module)
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

async fn send_operation(context: &Context, params: &Params<'_>) -> Answer {
    let json: OperationJson = one(params, "operation")?;
    let operation = json
        .into_operation()
        .map_err(|refusal| wrong_parameters(refusal.to_string()))?;
    let receipt = context.writer.submit(operation).await.map_err(refused)?;
    Ok(json!(receipt))
}

async fn get_account(context: &Context, params: &Params<'_>) -> Answer {
    let index: u32 = one(params, "account index")?;
    let account = context.writer.look(move |rollup| rollup.account(index));
    let account = account.await.map_err(refused)?;
    let missing = || {
        not_found(format!(
            "account {index} is not in use; deposit to it from L1"
        ))
    };
    account.map(|account| json!(account)).ok_or_else(missing)
}

/// Asks the database off the server's threads.
async fn ask<T: Send + 'static>(
    context: Arc<Context>,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ErrorObjectOwned> {
    let failed = |reason: String| error(code::STORAGE, reason, json!({ "code": "storage" }));
    tokio::task::spawn_blocking(move || question(&context.store))
        .await
        .map_err(|lost| failed(lost.to_string()))?
        .map_err(|fault| failed(fault.to_string()))
}

async fn get_operation(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let text: String = one(params, "operation id")?;
    let mut id = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(&text), &mut id)
        .map_err(|_| wrong_parameters("an operation's id is 0x and 64 hex digits"))?;
    let found = ask(context, move |store| {
        let Some(sequence) = store.sequence(&id)? else {
            return Ok(None);
        };
        Ok(Some((sequence, store.batch_of(sequence)?)))
    });
    let missing = || not_found("no operation with this id was accepted here");
    let (sequence, batch) = found.await?.ok_or_else(missing)?;
    Ok(json!(OperationStatus {
        id: format!("0x{}", hex::encode(id)),
        sequence: sequence.to_string(),
        status: batch
            .as_ref()
            .map_or("accepted", BatchRow::status_name)
            .to_owned(),
        batch: batch.map(|row| row.number),
    }))
}

async fn get_batch(context: Arc<Context>, params: &Params<'_>) -> Answer {
    let mut values = params.sequence();
    let number: Option<u64> = values.optional_next().map_err(|refusal| {
        wrong_parameters(format!("expected [batch number]: {}", detail(&refusal)))
    })?;
    let number = number.unwrap_or_else(|| context.writer.progress().borrow().batch);
    let found = ask(context, move |store| store.batch(number)).await?;
    let missing = || not_found(format!("batch {number} is not sealed"));
    found.map(|row| json!(row)).ok_or_else(missing)
}

fn chain(context: &Context) -> Value {
    let progress = context.writer.progress().borrow().clone();
    json!({
        "chain_id": context.facts.chain_id.to_string(),
        "shape": context.facts.shape,
        "slots": context.facts.slots,
        "operator": context.facts.operator,
        "sequencer": context.facts.sequencer,
        "accepted": progress.accepted.to_string(),
        "open": progress.open,
        "batch": progress.batch,
        "root": progress.root,
        "l1": context.facts.l1,
        "failed": context.writer.failure(),
    })
}
