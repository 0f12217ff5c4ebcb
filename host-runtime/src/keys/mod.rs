//! Proving keys on disk: mapped, not parsed.
mod points;
pub use points::Points;
