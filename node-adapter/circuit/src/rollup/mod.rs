//! The rollup's batch circuit: all operations, many tokens, and accounts that are
//! opened once a batch however often they are used.
//!
//! Statement: "I know a batch of operations that leads from the state root in `H[1]` to
//! the one in `H[2]`; every signed one is signed for this chain; `C_H` and `C_B` commit
//! to the vectors H and B that describe it, and these have the values `y_H` and `y_B`
//! at `z`." What each check stops, and why the bus cannot be cheated:
//! `CIRCUIT.md`; encodings: `PROTOCOL.md`.
//!
//! Two phases. First everything that needs no challenge: `data` (H), `slot`, `cells`,
//! `top`; then gamma and beta are drawn from commitments to all that these hold, and
//! `bus` compares what was written with what was read. No I/O. The structure depends
//! on the [`Shape`] alone, never on a value.

mod builder;
mod bus;
mod cells;
mod circuit;
mod data;
mod decimal;
#[doc(hidden)]
pub mod mutation;
mod operation;
mod poseidon;
mod proving;
mod public;
mod shape;
mod signature;
mod slot;
mod survey;
mod top;
mod trace;
mod weakened;
mod widths;
mod witness;

pub use builder::{BuildError, build, opened};
pub use circuit::RollupCircuit;
pub use operation::{circuit_of, trace_of};
pub use proving::{constraints, setup, setup_from, synthesize, witness};
pub use public::PublicInputs;
pub use shape::{MAX_CELLS, MAX_SLOTS, PRODUCTION_DEPTH, Shape, ShapeError, VERSION};
pub use survey::{Part, Stats, digest, stats};
pub use trace::{StateView, Touched, Trace, Tracer};
#[doc(hidden)]
pub use weakened::weakened;
pub use widths::TOKEN_LEVELS;
pub use witness::{CellWitness, HeaderWitness, OpWitness, RecordWitness, TopWitness, Witness};
