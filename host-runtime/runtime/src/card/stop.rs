//! How a future that is dropped ends the work that it has on other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells threads that the future that waits for their results was dropped.
#[derive(Debug, Default)]
pub struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// What a thread looks at.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Tells them now.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.stop();
    }
}
