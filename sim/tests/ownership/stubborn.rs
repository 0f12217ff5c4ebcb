//! A functional card whose resets and unmaps can be made to fail, and that
//! notes whether memory is mapped while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use carillon_driver::claim::Claim;
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use carillon_sim::model::{ModelCard, ModelOptions};
use tokio::sync::broadcast;

#[derive(Debug)]
pub struct Stubborn {
    pub model: Arc<ModelCard>,
    /// Resets and unmaps fail.
    pub stuck: AtomicBool,
    /// Registers read all ones, writes are lost.
    pub mute: AtomicBool,
    /// Something was mapped.
    pub mapped: AtomicBool,
    /// Mappings made while the controller was on.
    pub mapped_running: AtomicU32,
}

/// Little, since each session makes its own.
const MEMORY: u64 = 1 << 18;

impl Stubborn {
    pub fn new() -> Arc<Self> {
        let options = ModelOptions {
            memory_bytes: MEMORY,
            ..ModelOptions::default()
        };
        Arc::new(Self {
            model: Arc::new(ModelCard::new(options).unwrap()),
            stuck: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            mapped: AtomicBool::new(false),
            mapped_running: AtomicU32::new(0),
        })
    }

    pub fn memory_bytes(&self) -> u64 {
        MEMORY
    }

    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Acquire)
    }
}

impl Transport for Stubborn {
    fn describe(&self) -> String {
        self.model.describe()
    }

    fn read32(&self, offset: u32) -> u32 {
        if Self::is(&self.mute) {
            return u32::MAX;
        }
        self.model.read32(offset)
    }

    fn write32(&self, offset: u32, value: u32) {
        if !Self::is(&self.mute) {
            self.model.write32(offset, value);
        }
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        if reg::status::READY.get(self.model.read32(reg::status::OFFSET)) != 0 {
            self.mapped_running.fetch_add(1, Ordering::AcqRel);
        }
        self.mapped.store(true, Ordering::Release);
        self.model.map(memory, direction)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        if Self::is(&self.stuck) {
            return Err(TransportError::NotMapped { iova });
        }
        self.model.unmap(iova)
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        self.model.interrupt(vector)
    }

    fn reset(&self) -> Result<(), TransportError> {
        if Self::is(&self.stuck) || Self::is(&self.mute) {
            return Err(TransportError::Reset {
                cause: "injected".into(),
            });
        }
        self.model.reset()
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        self.model.claim()
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.model.events()
    }
}
