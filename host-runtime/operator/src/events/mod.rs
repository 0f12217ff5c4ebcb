//! What happens to the cards of a machine.
//!
//! Two sources: the kernel's own messages (`kernel`), which come at once, and differences between
//! two looks at sysfs (`watch`), which also see what the kernel does not announce. A kernel
//! message causes a look, so each change is reported once. A reset that a driver asks for is
//! announced by nobody; recovery after a bus error is.

mod kernel;
mod watch;

use std::fmt;
use std::time::{Duration, SystemTime};

use carillon_driver::pci::{Holder, LinkRate, PciAddress, PciError};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

pub use kernel::{KernelEvents, Message};
pub use watch::Watch;

use super::Host;
use super::error::list;

/// What happened to a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was there when the watch began.
    Present,
    /// It has come.
    Appeared,
    /// It has left.
    Disappeared,
    /// A kernel driver has taken it.
    Bound(String),
    /// A kernel driver has let it go.
    Unbound(String),
    /// A process has opened it.
    Held(Vec<Holder>),
    /// No process has it open any more.
    Released,
    /// Its link was trained anew.
    Link {
        /// Before; `None` if the kernel did not know.
        before: Option<LinkRate>,
        /// Now.
        now: Option<LinkRate>,
    },
    /// The bus reported errors.
    BusErrors {
        /// `correctable`, `nonfatal` or `fatal`.
        kind: &'static str,
        /// How many more.
        more: u64,
        /// In all.
        total: u64,
    },
    /// Its configuration space reads all ones.
    Silent,
    /// It answers again.
    Answers,
    /// The kernel recovers it from a bus error, which resets it: `BEGIN_RECOVERY`,
    /// `SUCCESSFUL_RECOVERY` or `FAILED_RECOVERY`.
    Recovery(String),
}

impl Change {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Present => "present",
            Change::Appeared => "appeared",
            Change::Disappeared => "disappeared",
            Change::Bound(_) => "bound",
            Change::Unbound(_) => "unbound",
            Change::Held(_) => "held",
            Change::Released => "released",
            Change::Link { .. } => "link",
            Change::BusErrors { .. } => "bus_errors",
            Change::Silent => "silent",
            Change::Answers => "answers",
            Change::Recovery(_) => "recovery",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |rate: &Option<LinkRate>| {
            rate.map_or_else(|| "unknown".to_owned(), |rate| rate.to_string())
        };
        match self {
            Change::Present => f.write_str("present"),
            Change::Appeared => f.write_str("appeared"),
            Change::Disappeared => f.write_str("disappeared"),
            Change::Bound(driver) => write!(f, "bound to {driver}"),
            Change::Unbound(driver) => write!(f, "unbound from {driver}"),
            Change::Held(holders) => write!(f, "held by {}", list(holders, ToString::to_string)),
            Change::Released => f.write_str("released"),
            Change::Link { before, now } => write!(f, "link {} -> {}", rate(before), rate(now)),
            Change::BusErrors { kind, more, total } => {
                write!(f, "{more} {kind} bus error(s), {total} in all")
            }
            Change::Silent => f.write_str("does not answer (all ones)"),
            Change::Answers => f.write_str("answers again"),
            Change::Recovery(stage) => write!(f, "kernel recovery: {stage}"),
        }
    }
}

/// A change of one card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it was noticed.
    pub at: SystemTime,
    /// Which card.
    pub card: PciAddress,
    /// What happened.
    pub change: Change,
}

impl Event {
    fn now(card: PciAddress, change: Change) -> Self {
        Self {
            at: SystemTime::now(),
            card,
            change,
        }
    }

    /// The time as in RFC 3339, in UTC.
    pub fn time(&self) -> String {
        humantime::format_rfc3339_millis(self.at).to_string()
    }

    /// The fields of `carillon.event/1`.
    pub fn fields(&self) -> Value {
        let mut fields = json!({
            "time": self.time(),
            "card": self.card.to_string(),
            "event": self.change.name(),
            "text": self.change.to_string(),
        });
        match &self.change {
            Change::Bound(driver) | Change::Unbound(driver) => fields["driver"] = json!(driver),
            Change::Held(holders) => {
                let pids: Vec<_> = holders.iter().map(|holder| holder.pid).collect();
                fields["pids"] = json!(pids);
            }
            Change::BusErrors { kind, more, total } => {
                fields["kind"] = json!(kind);
                fields["more"] = json!(more);
                fields["total"] = json!(total);
            }
            Change::Recovery(stage) => fields["stage"] = json!(stage),
            _ => {}
        }
        fields
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.time(), self.card, self.change)
    }
}

/// Reports the cards that are there.
///
/// # Errors
/// [`PciError::Read`].
pub fn now(host: &Host, mut report: impl FnMut(&Event) -> bool) -> Result<(), PciError> {
    for (card, change) in Watch::default().look(host)? {
        report(&Event::now(card, change));
    }
    Ok(())
}

/// Reports what happens until `stop` ends or `report` answers false. Looks every `period`, and at
/// once when a message of `kernel` asks for it.
///
/// # Errors
/// [`PciError::Read`].
pub async fn follow(
    host: &Host,
    period: Duration,
    mut kernel: Option<KernelEvents>,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(&Event) -> bool,
) -> Result<(), PciError> {
    let mut stop = std::pin::pin!(stop);
    let mut watch = Watch::default();
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            () = &mut stop => return Ok(()),
            _ = ticks.tick() => None,
            message = next(&mut kernel) => Some(message),
        };
        let recovery = match message {
            Some(Ok(message)) if !message.is_of_interest() => continue,
            Some(Ok(message)) => message.recovery().filter(|(card, _)| watch.knows(*card)),
            // Looking still works without the kernel's messages.
            Some(Err(error)) => {
                tracing::warn!(%error, "no more kernel messages");
                kernel = None;
                None
            }
            None => None,
        };
        let recovery = recovery.map(|(card, stage)| (card, Change::Recovery(stage)));
        let changes = watch.look(host)?;
        for (card, change) in recovery.into_iter().chain(changes) {
            if !report(&Event::now(card, change)) {
                return Ok(());
            }
        }
    }
}

async fn next(kernel: &mut Option<KernelEvents>) -> std::io::Result<Message> {
    match kernel {
        Some(kernel) => kernel.next().await,
        None => std::future::pending().await,
    }
}
