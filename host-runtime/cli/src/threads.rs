//! The threads that a program's asynchronous tasks run on.

use std::ffi::OsStr;

use tokio::runtime::Builder;

use super::Failure;

/// Tokio's environment variable; tokio itself panics over a value that is no number of threads.
const THREADS: &str = "TOKIO_WORKER_THREADS";
/// Beyond this the system may refuse a thread, over which tokio panics, too.
const MOST: usize = 1024;

/// A builder of the program's runtime: as many worker threads as tokio's variable says, else one a core.
///
/// # Errors
/// [`Failure::Input`] when the variable is no number of threads.
pub fn runtime() -> Result<Builder, Failure> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    match std::env::var_os(THREADS).filter(|given| !given.is_empty()) {
        Some(given) => builder.worker_threads(threads(&given)?),
        // Named even then: tokio reads an empty variable as a wrong number.
        None => builder.worker_threads(std::thread::available_parallelism().map_or(1, usize::from)),
    };
    Ok(builder)
}

fn threads(given: &OsStr) -> Result<usize, Failure> {
    let count = given.to_str().and_then(|text| text.parse().ok());
    count
        .filter(|count| (1..=MOST).contains(count))
        .ok_or_else(|| {
            Failure::Input(format!(
                "{THREADS} is `{}`: set it to a number of threads from 1 to {MOST}, or unset it",
                given.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_a_number_from_one() {
        for (given, count) in [
            ("1", Some(1)),
            ("1024", Some(1024)),
            ("0", None),
            ("1025", None),
            ("-1", None),
            ("two", None),
        ] {
            assert_eq!(threads(OsStr::new(given)).ok(), count, "{given}");
        }
    }
}
