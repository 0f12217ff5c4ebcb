//! Reaching a card that may have been let go a moment ago.
//!
//! A process that ends gives its card back, and the card is reset then; until that is done it
//! counts as held. Commands that follow one another in a script meet this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::transport::Transport;
use carillon_driver::vfio::VfioError;
use carillon_sim::vfio_user::ClientError;

use carillon_runtime::card::{CardAddress, transport};
use carillon_runtime::engine::EngineError;

/// How long a card may be held before that is an error.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Reaches the card at this address; waits a little if it is held. Blocks meanwhile.
///
/// # Errors
/// [`EngineError`], those of [`transport`].
pub fn reach(address: &CardAddress) -> Result<Arc<dyn Transport>, EngineError> {
    let start = Instant::now();
    loop {
        let late = start.elapsed() >= PATIENCE;
        match transport(address) {
            Err(error) if is_busy(&error) && !late => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Whether somebody else has the card.
pub(super) fn is_busy(error: &EngineError) -> bool {
    match error {
        EngineError::Vfio { source } => matches!(**source, VfioError::Busy { .. }),
        EngineError::VfioUser { source } => matches!(**source, ClientError::Busy { .. }),
        _ => false,
    }
}
