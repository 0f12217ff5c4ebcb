//! The process's limit of open files: raised as far as allowed, and shared out between databases,
//! requests to Ethereum, and the listeners. A listener that could use them all would lock out the
//! database. Called by `carillon-node`.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Kept back from the listeners: databases, the archive, requests to Ethereum, the log, cards.
const RESERVED: u64 = 160;
/// More is not asked for.
const ENOUGH: u64 = 1 << 16;
/// Of each listener: a connection is accepted before another one is closed for it.
const ACCEPTED: u64 = 1;
/// With fewer connections a listener is of no use.
const LEAST: u64 = 16;

/// The limit of open files is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may open {limit} files, {needed} are needed at least; raise the limit (`ulimit -n`, or LimitNOFILE in the unit file)"
)]
pub struct DescriptorError {
    limit: u64,
    needed: u64,
}

/// Raises the soft limit as far as the hard one allows, and says what it is then.
pub fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // Not known: what every Unix allows.
        return 1024;
    };
    let wanted = hard.min(ENOUGH).max(soft);
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        return wanted;
    }
    soft
}

/// Cuts down what the listeners want, each by the same part, to what the limit allows.
///
/// # Errors
/// [`DescriptorError`] if one would have too few.
pub fn share(limit: u64, wanted: &mut [&mut usize]) -> Result<(), DescriptorError> {
    let listeners = wanted.len() as u64;
    let needed = RESERVED + listeners * (LEAST + ACCEPTED);
    let available = limit.saturating_sub(RESERVED + listeners * ACCEPTED);
    let all: u64 = wanted.iter().map(|wanted| **wanted as u64).sum();
    if limit < needed {
        return Err(DescriptorError { limit, needed });
    }
    if all <= available {
        return Ok(());
    }
    for wanted in wanted {
        let part = (**wanted as u64).saturating_mul(available) / all.max(1);
        let part = part.max(LEAST.min(**wanted as u64));
        tracing::warn!(
            wanted = **wanted,
            allowed = part,
            limit,
            "fewer connections than wanted: the limit of open files is low"
        );
        **wanted = usize::try_from(part).unwrap_or(usize::MAX);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_share_what_the_limit_leaves() {
        let (mut rpc, mut api) = (512, 128);
        share(1024, &mut [&mut rpc, &mut api]).unwrap();
        assert_eq!((rpc, api), (512, 128));
        share(512, &mut [&mut rpc, &mut api]).unwrap();
        assert!(rpc + api + 2 + RESERVED as usize <= 512, "{rpc} {api}");
        assert!(rpc > 3 * api && api >= 16, "{rpc} {api}");
        let error = share(190, &mut [&mut rpc, &mut api]).unwrap_err();
        assert!(error.to_string().contains("ulimit -n"), "{error}");
        assert!(raise() >= 256);
    }
}
