//! What a chain says of its sends before they are settled, for other chains that take them at once.
//!
//! | module | idea | I/O |
//! |---|---|---|
//! | `statement` | signed heads and revocations; what is evidence of a double word | none |
//! | `page` | entries and the head that covers them, as JSON, bounded | none |
//! | `cursor` | where a reader is, and what a page does to it | none |
//! | `source` | what is served, as a trait | – |
//! | `server` | pages over HTTP and WebSocket | network |
//! | `client` | follows a feed, comes again after failures | network |
//!
//! A feed may be read from the chain's own node or from a relay: the reader verifies either way. May use
//! `carillon-protocol`, `carillon-settlement` (hashes of lanes), `carillon-serving` and
//! `carillon-redact`. Called by `carillon-node`.

mod client;
mod cursor;
mod page;
mod server;
mod source;
mod statement;

pub use client::{Client, ClientError};
pub use cursor::{Cursor, FeedError, Lane, Told, Verified};
pub use page::{EntryJson, MOST_BYTES, MOST_ENTRIES, MOST_REVOCATIONS, Page};
pub use server::{Feed, limits, serve};
pub use source::{Place, Source, SourceError};
pub use statement::{Head, NoEvidence, Revocation, equivocation};
