//! Proves the knowledge of a root: a secret x with x^3 + x + 5 = y, where y is public. The engine is
//! the first argument, else `CARILLON_ENGINE`, else the simulated card.

use std::sync::Arc;

use anyhow::{Context, Result};
use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use carillon_runtime::groth16::{self, Proof};
use carillon_runtime::{EngineKind, engine};
use ff::Field;
use rand::rngs::OsRng;

/// x^3 + x + 5 = y. Without a value of x it is the statement, with one it can be proved.
#[derive(Clone)]
struct Cubic {
    x: Option<Scalar>,
}

impl Circuit<Scalar> for Cubic {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let known = |value: Option<Scalar>| value.ok_or(SynthesisError::AssignmentMissing);
        let square = self.x.map(|x| x.square());
        let x = cs.alloc(|| "x", || known(self.x))?;
        let x2 = cs.alloc(|| "x^2", || known(square))?;
        let y = cs.alloc_input(|| "y", || known(self.x.map(cubic)))?;
        cs.enforce(|| "square", |lc| lc + x, |lc| lc + x, |lc| lc + x2);
        let five = (Scalar::from(5), CS::one());
        cs.enforce(
            || "cubic",
            |lc| lc + x2,
            |lc| lc + x,
            |lc| lc + y - x - five,
        );
        Ok(())
    }
}

fn cubic(x: Scalar) -> Scalar {
    x.square() * x + x + Scalar::from(5)
}

/// Makes an INSECURE development key, proves with it on the engine, and verifies the proof.
async fn prove(engine: EngineKind, x: u64) -> Result<(Scalar, Proof)> {
    let engine = engine::open(engine).await?;
    let key = Arc::new(groth16::setup(Cubic { x: None }, &mut OsRng)?);
    let x = Scalar::from(x);
    let (proof, report) = groth16::prove(&*engine, &key, Cubic { x: Some(x) }, &()).await?;
    groth16::verify(&key.vk, &[cubic(x)], &proof)?;
    println!("proved on {} in {:.1?}", report.engine, report.wall);
    Ok((cubic(x), proof))
}

#[tokio::main]
async fn main() -> Result<()> {
    let named = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("CARILLON_ENGINE").ok());
    let engine = named.as_deref().unwrap_or("sim:model");
    let (y, proof) = prove(
        engine.parse().context("the first argument is the engine")?,
        3,
    )
    .await?;
    println!("y = {y}");
    // A, B, C for Ethereum's precompiles.
    println!("proof: {} bytes", proof.to_eip2537().len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_statement_is_proved_on_every_engine() -> Result<()> {
        for kind in [EngineKind::Cpu, EngineKind::SimModel] {
            let (y, proof) = prove(kind, 3).await?;
            assert_eq!(y, Scalar::from(35));
            assert_eq!(Proof::from_bytes(&proof.to_bytes())?, proof);
        }
        Ok(())
    }

    /// The page shows this program, not another one.
    #[test]
    fn the_page_shows_what_is_built_here() {
        let page = include_str!("../../../host-runtime/README.md");
        let source = include_str!("main.rs");
        let (program, _) = source
            .split_once("\n#[cfg(test)]")
            .expect("tests at the end");
        let (_, program) = program.split_once("\n\n").expect("a head line");
        assert!(
            page.contains(&format!("```rust\n{program}```\n")),
            "{program}"
        );
        let manifest = include_str!("../Cargo.toml");
        let (_, dependencies) = manifest
            .split_once("[dependencies]\n")
            .expect("dependencies");
        for line in dependencies.lines().filter(|line| !line.starts_with('#')) {
            assert!(page.contains(line), "{line}");
        }
    }
}
