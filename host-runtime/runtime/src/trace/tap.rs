//! Recording a card that is being opened, if the environment asks for it. Called by `card`.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use carillon_driver::transport::Transport;
use carillon_sim::trace::{Keep, TracingTransport};

use crate::engine::EngineError;

/// Environment variable: the file that the next card opened is recorded to. A
/// second card gets the same name with `.2` behind it, and so on.
pub const TRACE: &str = "CARILLON_TRACE";
/// Environment variable: keep the latest records of this many MiB in memory
/// instead of writing everything.
pub const TRACE_LIMIT: &str = "CARILLON_TRACE_LIMIT";

/// Wraps the transport of a card that is being opened, if a recording is asked
/// for.
///
/// # Errors
/// [`EngineError::Trace`] when the file cannot be made or the limit is no number.
pub(crate) fn tap(transport: Arc<dyn Transport>) -> Result<Arc<dyn Transport>, EngineError> {
    static CARDS: AtomicU32 = AtomicU32::new(1);
    let Some(path) = std::env::var_os(TRACE).filter(|path| !path.is_empty()) else {
        return Ok(transport);
    };
    let path = file_of(Path::new(&path), CARDS.fetch_add(1, Ordering::Relaxed));
    let fault = |reason: String| EngineError::Trace {
        path: path.clone(),
        reason,
    };
    let keep = match std::env::var(TRACE_LIMIT) {
        Ok(text) => Keep::Latest {
            bytes: mebibytes(&text).ok_or_else(|| {
                fault(format!(
                    "{TRACE_LIMIT} is `{text}`; set it to a number of MiB"
                ))
            })?,
        },
        Err(_) => Keep::All,
    };
    let tap = TracingTransport::new(transport, &path, keep).map_err(|error| {
        fault(match error.kind() {
            ErrorKind::AlreadyExists => format!("{error}; choose another name"),
            _ => format!("{error}; choose a file in a writable folder"),
        })
    })?;
    announce(&path);
    Ok(Arc::new(tap))
}

/// Says that a card is recorded: the file holds the witness, and in a program that uses this crate
/// nobody may know of the variable. Where the log does not show it, standard error does.
fn announce(path: &Path) {
    let path = path.display();
    if tracing::enabled!(tracing::Level::WARN) {
        tracing::warn!(%path, "{TRACE} is set: everything between driver and card is recorded, secrets included");
    } else {
        let _ = writeln!(
            std::io::stderr(),
            "{TRACE} is set: everything between driver and card is recorded to {path}, secrets included"
        );
    }
}

/// The file of a process's card, counted from 1, when `path` is asked for.
pub fn file_of(path: &Path, card: u32) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    if card > 1 {
        path.push(format!(".{card}"));
    }
    path.into()
}

fn mebibytes(text: &str) -> Option<usize> {
    let count: usize = text.parse().ok().filter(|&n| n > 0)?;
    count.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_card_has_its_own_file_and_limits_are_numbers() {
        let path = Path::new("a.trace");
        assert_eq!(file_of(path, 1), path);
        assert_eq!(file_of(path, 3), PathBuf::from("a.trace.3"));
        assert_eq!(mebibytes("4"), Some(4 << 20));
        for text in ["", "0", "-1", "4M", "99999999999999999999"] {
            assert_eq!(mebibytes(text), None, "{text}");
        }
    }
}
