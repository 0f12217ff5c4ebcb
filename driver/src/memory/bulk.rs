//! Copies of many bytes by the processor's string move: several times the rate
//! of one atomic access per word, which the compiler may not combine. Called by
//! [`HostMemory::read`](super::HostMemory::read) and `write`.
#![allow(unsafe_code)]

/// Below this many bytes words are as fast.
const LEAST: usize = 512;

/// How much of a copy of `bytes` bytes goes this way: all but the end, which has
/// to become visible last. Nothing where the processor is another, or is Miri.
pub fn bytes_of(bytes: usize) -> usize {
    let possible = cfg!(all(target_arch = "x86_64", not(miri)));
    if !possible || bytes < LEAST {
        0
    } else {
        bytes - 64
    }
}

/// Copies `bytes` bytes, each by one access that is atomic and relaxed: that is
/// what the instruction does to memory that somebody else uses, too.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `bytes` bytes, by atomic
/// accesses at least; they do not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise; the direction flag is clear as the ABI
    // demands, and no flag changes. The compiler takes the block for an access
    // to any memory, so it moves nothing across it.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") bytes => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Writes `bytes` zeros, each by one access as in [`copy`].
///
/// # Safety
/// `to` is valid for writes of `bytes` bytes, by atomic accesses at least.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub unsafe fn clear(to: *mut u8, bytes: usize) {
    // SAFETY: as in `copy`.
    unsafe {
        std::arch::asm!(
            "rep stosb",
            inout("rcx") bytes => _,
            inout("rdi") to => _,
            in("al") 0u8,
            options(nostack, preserves_flags)
        );
    }
}

/// Never asked to clear anything: see [`bytes_of`].
///
/// # Safety
/// As above.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub unsafe fn clear(_: *mut u8, _: usize) {}

/// Never asked to copy anything: see [`bytes_of`].
///
/// # Safety
/// As above.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub unsafe fn copy(_: *const u8, _: *mut u8, _: usize) {}
