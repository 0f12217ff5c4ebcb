"""Faults put into the gateware on purpose, to see that the proofs notice. Used by: run.py --mutants."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One line of the gateware, wrong."""

    name: str
    proof: str  # that must refute it
    file: str  # under hdl/
    old: str  # occurs once
    new: str
    depth: int | None = None  # cycles to look at, when not the proof's
    case: dict[str, int] | None = None  # of the proof's cases, when not the first


MUTANTS = ()
