//! Input checks that every engine makes before it starts, so that all refuse the same inputs
//! with the same errors. Called by the engines.

use blstrs::Scalar;

use super::NttKind;
use super::error::EngineError;
use crate::groth16::{Assignment, Polynomials, ProvingKey};
use crate::image::{self, ImageError, PointImage};

/// log2 of the largest transform the scalar field allows (its two-adicity).
pub const FIELD_TWO_ADICITY: u32 = 32;

fn same_length(
    operation: &'static str,
    (left_name, left): (&'static str, usize),
    (right_name, right): (&'static str, usize),
) -> Result<(), EngineError> {
    if left == right {
        return Ok(());
    }
    Err(EngineError::LengthMismatch {
        operation,
        left_name,
        left,
        right_name,
        right,
    })
}

fn scalars(operation: &'static str, values: &[Scalar]) -> Result<(), EngineError> {
    image::check_scalars(values).map_err(|source| EngineError::Input { operation, source })
}

/// A multi-scalar multiplication: equal lengths, not empty, reduced scalars and coordinates.
/// Of several faults the one at the lowest index is reported, scalar before point.
pub fn msm<P: PointImage>(
    operation: &'static str,
    bases: &[P],
    scalars: &[Scalar],
) -> Result<(), EngineError> {
    same_length(
        operation,
        ("bases", bases.len()),
        ("scalars", scalars.len()),
    )?;
    if bases.is_empty() {
        return Err(EngineError::Empty { operation });
    }
    let index = |error: &ImageError| match error {
        ImageError::ScalarRange { index } | ImageError::CoordinateRange { index } => *index,
        _ => usize::MAX,
    };
    let source = match (
        image::check_scalars(scalars),
        image::check_coordinates(bases),
    ) {
        (Ok(()), Ok(())) => return Ok(()),
        (Err(scalar), Err(point)) if index(&point) < index(&scalar) => point,
        (Err(scalar), _) => scalar,
        (Ok(()), Err(point)) => point,
    };
    Err(EngineError::Input { operation, source })
}

/// log2 of the largest transform that the field has a root of unity for. The odd powers are those of a root of twice
/// the order.
pub fn largest_ntt(kind: NttKind) -> u32 {
    FIELD_TWO_ADICITY - u32::from(kind.is_odd())
}

/// A transform: a power of two within the limit, reduced values. Returns log2 of the length.
pub fn ntt(engine: &str, values: &[Scalar], max: u32) -> Result<u32, EngineError> {
    if values.is_empty() {
        return Err(EngineError::Empty { operation: "ntt" });
    }
    if !values.len().is_power_of_two() {
        return Err(EngineError::NotPowerOfTwo {
            length: values.len(),
        });
    }
    let log2 = values.len().ilog2();
    ntt_size(engine, log2, max)?;
    scalars("ntt", values)?;
    Ok(log2)
}

/// The length of a transform is within the limit.
fn ntt_size(engine: &str, log2: u32, max: u32) -> Result<(), EngineError> {
    if log2 > max {
        return Err(EngineError::TransformTooLarge {
            engine: engine.to_owned(),
            log2,
            max,
        });
    }
    Ok(())
}

/// A quotient: equal lengths, not empty, reduced values.
pub fn quotient(a: &[Scalar], b: &[Scalar], c: &[Scalar], z: &Scalar) -> Result<(), EngineError> {
    const OPERATION: &str = "quotient";
    same_length(OPERATION, ("a", a.len()), ("b", b.len()))?;
    same_length(OPERATION, ("a", a.len()), ("c", c.len()))?;
    if a.is_empty() {
        return Err(EngineError::Empty {
            operation: OPERATION,
        });
    }
    for values in [a, b, c, std::slice::from_ref(z)] {
        scalars(OPERATION, values)?;
    }
    Ok(())
}

/// A proof: an assignment that fits the queries of its key, and transforms within the engine's limit.
pub fn groth16(
    engine: &str,
    key: &ProvingKey,
    assignment: &Assignment,
    max_ntt_log2: u32,
) -> Result<(), EngineError> {
    let variables = assignment.witness().len();
    let shape = assignment.shape();
    for (what, found, expected) in [
        ("witness", variables, key.shape.variables()),
        ("A query", key.a.len(), variables),
        ("B query in G1", key.b1.len(), variables),
        ("B query in G2", key.b2.len(), variables),
        ("L query", key.l.len(), variables),
        ("domain", shape.domain(), key.shape.domain()),
        ("H query", key.h.len(), key.basis.points(key.shape.domain())),
    ] {
        if found != expected {
            return Err(EngineError::KeyMismatch {
                what,
                found,
                expected,
            });
        }
    }
    match assignment.polynomials() {
        Polynomials::Values([a, _]) => ntt(engine, a, max_ntt_log2).map(drop),
        // They are reduced when they are computed.
        Polynomials::Recorded(_) => ntt_size(engine, shape.domain_log2(), max_ntt_log2),
    }
}
