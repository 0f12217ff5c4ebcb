//! The parts of the memory argument that a mutation run can leave out, by name.
//!
//! Constraints can be left out from outside. What the challenges absorb and what a tuple is made of
//! are terms of sums: the circuit and its bus ask here which of them to leave out. None is left out
//! but by `weakened`. Not part of the documented interface.

/// A part of the memory argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// A commitment that gamma is drawn from: `C_H`, `C_B`, `C_M`.
    Commitment(&'static str),
    /// A value that C_M commits to, of every slot, row or node.
    Absorbed(&'static str),
    /// The tag of every tuple.
    Tag,
    /// A part of every tuple of a kind: the kind's name and the part's.
    Part(&'static str, &'static str),
}

impl Mutation {
    /// Every mutation.
    pub const ALL: [Self; 30] = [
        Self::Commitment("C_H"),
        Self::Commitment("C_B"),
        Self::Commitment("C_M"),
        Self::Absorbed("slot digest"),
        Self::Absorbed("slot balance and times"),
        Self::Absorbed("slot receiver's balance"),
        Self::Absorbed("slot operator's balance"),
        Self::Absorbed("row node before"),
        Self::Absorbed("row node after"),
        Self::Absorbed("row address, times and nonces"),
        Self::Absorbed("top flags"),
        Self::Tag,
        Self::Part("header", "address"),
        Self::Part("header", "time"),
        Self::Part("header", "key x"),
        Self::Part("header", "key y"),
        Self::Part("header", "nonce"),
        Self::Part("header", "owner"),
        Self::Part("cell", "address"),
        Self::Part("cell", "time"),
        Self::Part("cell", "balance"),
        Self::Part("record", "address"),
        Self::Part("record", "word 0"),
        Self::Part("record", "word 1"),
        Self::Part("record", "word 2"),
        Self::Part("record", "word 3"),
        Self::Part("record", "word 4"),
        Self::Part("top", "address"),
        Self::Part("top", "node before"),
        Self::Part("top", "node after"),
    ];
}
