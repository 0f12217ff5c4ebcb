//! SIGBUS: what the kernel raises when a mapped BAR is no longer there.
//!
//! One handler for the process, installed with the first BAR. It knows the
//! mapped BARs by address. A fault inside one marks it as lost and puts
//! anonymous memory in its place, so that the access can be repeated and the
//! program goes on; the driver then finds that the card is gone. Any other
//! fault goes to the handler that was there before.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// BARs that can be mapped at one time. A host has slots for some twenty cards.
const PLACES: usize = 64;

/// One mapped BAR, as the handler sees it. `lost` is null while the place is
/// free; it is set last and cleared first.
struct Place {
    start: AtomicUsize,
    bytes: AtomicUsize,
    lost: AtomicPtr<AtomicBool>,
}

static TABLE: [Place; PLACES] = [const {
    Place {
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        lost: AtomicPtr::new(std::ptr::null_mut()),
    }
}; PLACES];
/// Held by whoever changes the table; the handler only reads.
static CHANGE: Mutex<()> = Mutex::new(());
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Keeps a BAR known to the handler until dropped.
#[derive(Debug)]
pub struct Guard {
    place: usize,
}

/// Makes the handler watch `bytes` bytes at `start`; `None` when all places are
/// taken (a fault there then ends the process, as without a handler).
pub fn guard(start: usize, bytes: usize, lost: &Arc<AtomicBool>) -> Option<Guard> {
    install();
    let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let free = |p: &Place| p.lost.load(Ordering::Relaxed).is_null();
    let place = TABLE.iter().position(free)?;
    let entry = &TABLE[place];
    entry.start.store(start, Ordering::Relaxed);
    entry.bytes.store(bytes, Ordering::Relaxed);
    // Never freed (one byte a BAR): a handler on another thread may have read
    // the pointer just before it is cleared.
    let pointer = Arc::into_raw(Arc::clone(lost)).cast_mut();
    entry.lost.store(pointer, Ordering::Release);
    Some(Guard { place })
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        TABLE[self.place]
            .lost
            .store(std::ptr::null_mut(), Ordering::Release);
    }
}

/// Puts anonymous memory in the place of a mapping. Async-signal-safe: one
/// system call.
pub fn replace(start: usize, bytes: usize) -> std::io::Result<()> {
    // SAFETY: the range is a BAR's mapping, owned by an `Mmio`; whoever uses the
    // address goes on to use memory of the same size and rights.
    let at = unsafe {
        libc::mmap(
            std::ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

fn install() {
    BEFORE.get_or_init(|| {
        // SAFETY: both structures are plain data, zero is a valid value of each;
        // the handler has the signature that SA_SIGINFO asks for and does only
        // what a signal handler may.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = on_fault as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut ours.sa_mask);
            if libc::sigaction(libc::SIGBUS, &ours, &mut before) != 0 {
                tracing::warn!("cannot install the handler for cards that vanish");
            }
            before
        }
    });
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid structure with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    for place in &TABLE {
        let lost = place.lost.load(Ordering::Acquire);
        if lost.is_null() {
            continue;
        }
        let start = place.start.load(Ordering::Relaxed);
        let bytes = place.bytes.load(Ordering::Relaxed);
        if address.wrapping_sub(start) < bytes {
            // SAFETY: the pointer stems from an `Arc` that is never freed.
            unsafe { (*lost).store(true, Ordering::Release) };
            if replace(start, bytes).is_ok() {
                return;
            }
        }
    }
    pass_on(signal, info, context);
}

/// As if this handler were not there.
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get();
    // SAFETY: the earlier handler is called as the kernel would have; without
    // one the default action is restored, and the access that is repeated on
    // return ends the process.
    unsafe {
        match before {
            Some(b) if b.sa_sigaction != libc::SIG_DFL && b.sa_sigaction != libc::SIG_IGN => {
                if b.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(b.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(i32) = std::mem::transmute(b.sa_sigaction);
                    handler(signal);
                }
            }
            _ => {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}
