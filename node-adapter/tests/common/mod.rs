//! Helpers shared by the tests that run contracts on anvil.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor};
use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_node::settlement::contracts::Groth16Verifier;
use carillon_node::settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, Mined, SettlementError, verifying_key_bytes,
};
use carillon_runtime::groth16::{Proof, VerifyingKey};
use ff::Field;
use group::{Curve, Group};
use rand::RngCore;

/// A Groth16 key whose trapdoor is known: proofs of any statement are made in microseconds, by
/// solving the verification equation in the exponent. Independent of the prover.
pub struct Trapdoor {
    alpha: Scalar,
    beta: Scalar,
    gamma: Scalar,
    delta: Scalar,
    ic: [Scalar; 5],
}

impl Trapdoor {
    /// Draws a key.
    pub fn random(rng: &mut impl RngCore) -> Self {
        Self {
            alpha: Scalar::random(&mut *rng),
            beta: Scalar::random(&mut *rng),
            gamma: Scalar::random(&mut *rng),
            delta: Scalar::random(&mut *rng),
            ic: std::array::from_fn(|_| Scalar::random(&mut *rng)),
        }
    }

    /// The public part.
    pub fn key(&self) -> VerifyingKey {
        let g1 = |s: &Scalar| (G1Projective::generator() * s).to_affine();
        let g2 = |s: &Scalar| (G2Projective::generator() * s).to_affine();
        VerifyingKey {
            alpha_g1: g1(&self.alpha),
            beta_g1: g1(&self.beta),
            beta_g2: g2(&self.beta),
            gamma_g2: g2(&self.gamma),
            delta_g1: g1(&self.delta),
            delta_g2: g2(&self.delta),
            ic: self.ic.iter().map(g1).collect(),
        }
    }

    /// A proof of `inputs`: a and b are free, c = (ab - alpha beta - x gamma) / delta.
    pub fn prove(&self, inputs: &[Scalar; 4], rng: &mut impl RngCore) -> Proof {
        let (a, b) = (Scalar::random(&mut *rng), Scalar::random(&mut *rng));
        let x = inputs
            .iter()
            .zip(&self.ic[1..])
            .fold(self.ic[0], |sum, (input, ic)| sum + input * ic);
        let c = (a * b - self.alpha * self.beta - x * self.gamma) * self.delta.invert().unwrap();
        Proof {
            a: (G1Projective::generator() * a).to_affine(),
            b: (G2Projective::generator() * b).to_affine(),
            c: (G1Projective::generator() * c).to_affine(),
        }
    }
}

/// Starts a node and a client that signs with its first funded key.
pub async fn node() -> (Anvil, L1Client) {
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let client = L1Client::new(
        anvil.url(),
        anvil.signers()[0].clone(),
        Deadlines::default(),
    )
    .unwrap();
    (anvil, client)
}

/// A deployed `Groth16Verifier`, called directly.
pub struct Verifier {
    client: L1Client,
    address: Address,
}

impl Verifier {
    /// Deploys the verifier of `key`.
    pub async fn deploy(client: &L1Client, key: &VerifyingKey) -> Self {
        let bytes = verifying_key_bytes(key).unwrap();
        let mined = Self::try_deploy(client, bytes).await.unwrap();
        Self {
            client: client.clone(),
            address: mined.receipt.contract_address.unwrap(),
        }
    }

    /// Tries to deploy a verifier from the bytes of a key.
    pub async fn try_deploy(client: &L1Client, key: Vec<u8>) -> Result<Mined, SettlementError> {
        let arguments = Groth16Verifier::constructorCall { key: key.into() }.abi_encode();
        let code = [Groth16Verifier::BYTECODE.as_ref(), &arguments].concat();
        let gas = GasLimit::Estimate;
        client.transact("deploy", None, code.into(), gas).await
    }

    /// Where it stands.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Asks the verifier without a transaction.
    pub async fn call(&self, proof: &[u8], inputs: [U256; 4]) -> Result<Bytes, SettlementError> {
        let call = encode(proof, inputs);
        self.client.call("verifyProof", self.address, call).await
    }

    /// Verifies in a transaction of its own.
    pub async fn transact(
        &self,
        proof: &[u8],
        inputs: [U256; 4],
        gas: GasLimit,
    ) -> Result<Mined, SettlementError> {
        let call = encode(proof, inputs);
        self.client
            .transact("verifyProof", Some(self.address), call, gas)
            .await
    }
}

fn encode(proof: &[u8], inputs: [U256; 4]) -> Bytes {
    Groth16Verifier::verifyProofCall {
        proof: proof.to_vec().into(),
        inputs,
    }
    .abi_encode()
    .into()
}

/// Field elements as the contract takes them.
pub fn words(inputs: &[Scalar; 4]) -> [U256; 4] {
    inputs.map(|input| U256::from_be_bytes(input.to_bytes_be()))
}
