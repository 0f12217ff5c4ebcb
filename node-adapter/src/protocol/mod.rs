pub mod blob {
    use blstrs::Scalar;
    use ff::{Field, PrimeField};
    use std::sync::LazyLock;
    pub const FIELD_ELEMENTS: usize = 4096;
    static R: LazyLock<Vec<Scalar>> = LazyLock::new(|| {
        let w = Scalar::ROOT_OF_UNITY.pow_vartime([1u64 << 20]);
        (0..4096u64)
            .map(|i| w.pow_vartime([u64::from((i as u16).reverse_bits() >> 4)]))
            .collect()
    });
    pub fn roots_of_unity() -> &'static [Scalar] {
        &R
    }

    pub fn evaluate(b: &[Scalar], z: Scalar) -> Scalar {
        let s: Scalar = b
            .iter()
            .zip(roots_of_unity())
            .map(|(b, w)| *b * w * (z - w).invert().unwrap())
            .fold(Scalar::ZERO, |a, b| a + b);
        s * (z.pow_vartime([4096u64]) - Scalar::ONE) * Scalar::from(4096).invert().unwrap()
    }
}
