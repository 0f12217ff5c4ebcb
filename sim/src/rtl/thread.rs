//! The thread that owns the Verilated model: takes register accesses and
//! runs the clock while the card has something to do. Started by
//! [`super::RtlCard`]; nobody else touches the model.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::model::Model;
use super::shared::{Request, Shared};

/// Cycles between two looks at the clock's account.
const BATCH: u64 = 16_384;

/// The thread's body: ends with [`Request::Stop`].
pub(super) fn run(mut model: Model, shared: &Shared) {
    let mut asleep = true;
    loop {
        for request in shared.take(asleep) {
            match request {
                // A caller that has given up waiting is no concern of the card's.
                Request::Read { offset, reply } => drop(reply.send(model.read(offset))),
                Request::Write { offset, value } => model.write(offset, value),
                Request::Reset { reply } => {
                    model.reset();
                    let _ = reply.send(());
                }
                Request::Fault { fault, reply } => {
                    model.fault_memory(fault.as_ref());
                    let _ = reply.send(());
                }
                Request::Stray { bus, reply } => {
                    model.stray_response(bus);
                    let _ = reply.send(());
                }
                Request::Trace { on, reply } => {
                    model.trace(on);
                    let _ = reply.send(model.cycles());
                }
                Request::Stop => return shared.close(),
            }
        }
        let start = Instant::now();
        asleep = model.run(BATCH);
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        shared.nanos.fetch_add(nanos, Ordering::Relaxed);
        shared.cycles.store(model.cycles(), Ordering::Relaxed);
    }
}
