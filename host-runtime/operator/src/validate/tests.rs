//! Cards that compute something else than they are told fail the check of that command.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::claim::Claim;
use carillon_driver::command::{COMMAND_BYTES, FLAG_ODD, FLAG_PRODUCT, Opcode, RawCommand};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use carillon_sim::model::{ModelCard, ModelOptions};
use tokio::sync::broadcast;

use super::*;

/// The functional card, which finds other commands in its rings than the driver wrote.
struct Altered {
    card: ModelCard,
    change: fn(&mut RawCommand),
    memory: Mutex<Vec<(u64, Arc<HostMemory>)>>,
}

impl Altered {
    fn new(change: fn(&mut RawCommand)) -> Self {
        let options = ModelOptions {
            memory_bytes: 8 << 20,
            ..ModelOptions::default()
        };
        Self {
            card: ModelCard::new(options).unwrap(),
            change,
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Vec<(u64, Arc<HostMemory>)>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the commands that the card has not fetched when the tail of `queue` becomes `tail`.
    fn alter(&self, queue: u16, tail: u32) {
        let register = |offset| self.card.read32(offset);
        let low = register(reg::queue_sq_base_lo::offset(queue));
        let high = register(reg::queue_sq_base_hi::offset(queue));
        let base = u64::from(high) << 32 | u64::from(low);
        let log2 = register(reg::queue_log2_depth::offset(queue));
        let depth = 1 << reg::queue_log2_depth::LOG2_DEPTH.get(log2);
        let mut index = reg::queue_sq_head::INDEX.get(register(reg::queue_sq_head::offset(queue)));
        while index != tail {
            let address = base + u64::from(index) * COMMAND_BYTES as u64;
            for (iova, memory) in self.memory().iter() {
                let Some(at) = address.checked_sub(*iova).map(|at| at as usize) else {
                    continue;
                };
                let mut bytes = [0; COMMAND_BYTES];
                if memory.read(at, &mut bytes).is_ok() {
                    let mut raw = RawCommand::from_bytes(&bytes);
                    (self.change)(&mut raw);
                    // What is as it was may be fetched at this moment.
                    if raw.to_bytes() != bytes {
                        memory.write(at, &raw.to_bytes()).unwrap();
                    }
                }
            }
            index = (index + 1) % depth;
        }
    }
}

impl fmt::Debug for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Altered")
    }
}

impl Transport for Altered {
    fn describe(&self) -> String {
        self.card.describe()
    }
    fn read32(&self, offset: u32) -> u32 {
        self.card.read32(offset)
    }
    fn write32(&self, offset: u32, value: u32) {
        let queue = (1..8).find(|&queue| reg::sq_tail::offset(queue) == offset);
        if let Some(queue) = queue {
            self.alter(queue, value);
        }
        self.card.write32(offset, value);
    }
    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        let iova = self.card.map(Arc::clone(&memory), direction)?;
        self.memory().push((iova, memory));
        Ok(iova)
    }
    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        self.memory().retain(|(start, _)| *start != iova);
        self.card.unmap(iova)
    }
    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        self.card.interrupt(vector)
    }
    fn reset(&self) -> Result<(), TransportError> {
        self.card.reset()
    }
    fn claim(&self) -> Result<Claim, TransportError> {
        self.card.claim()
    }
    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.card.events()
    }
}

/// The checks of arithmetic that fail on such a card, and what they say.
async fn failing(change: fn(&mut RawCommand)) -> Vec<(&'static str, String)> {
    let transport: Arc<dyn Transport> = Arc::new(Altered::new(change));
    let address: CardAddress = "sim:model".parse().unwrap();
    let card = open_on(&address, Arc::clone(&transport)).await.unwrap();
    let subject = Subject {
        before: card.driver_counters(),
        engine: CardEngine::new(address.to_string(), card),
        transport,
        cpu: CpuEngine::new(),
        options: Options {
            level: 3,
            log2: 8,
            rounds: 1,
            keep_going: true,
        },
    };
    let mut failed = Vec::new();
    for name in ["ntt", "quotient", "product"] {
        let check = CHECKS.iter().find(|check| check.name == name).unwrap();
        if let Err(wrong) = (check.run)(&subject).await {
            failed.push((name, wrong.to_string()));
        }
    }
    failed
}

#[tokio::test]
async fn a_card_that_does_as_it_is_told_passes() {
    assert_eq!(failing(|_| {}).await, []);
}

#[tokio::test]
async fn wrong_products_are_found() {
    let failed = failing(|raw| {
        if raw.opcode == Opcode::Quotient as u8 && raw.flags & FLAG_PRODUCT != 0 {
            raw.op[1] = raw.op[0];
        }
    });
    let [("product", text)] = &failed.await[..] else {
        panic!("the product alone must fail");
    };
    assert!(text.contains("the product of 1 elements: byte"), "{text}");
}

#[tokio::test]
async fn a_flag_odd_that_is_ignored_is_found() {
    let failed = failing(|raw| {
        if raw.opcode == Opcode::Ntt as u8 {
            raw.flags &= !FLAG_ODD;
        }
    });
    let [("ntt", text)] = &failed.await[..] else {
        panic!("the transform alone must fail");
    };
    assert!(text.starts_with("OddForward of 2^1 elements"), "{text}");
}
