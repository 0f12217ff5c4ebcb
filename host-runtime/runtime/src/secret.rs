//! Secrets in memory: values that are overwritten with zeros when they are dropped.
//!
//! For whatever breaks zero-knowledge or a set-up if it is found in freed memory, a core dump or
//! the swap space: the witness, the polynomials, blinding factors, the trapdoor. Copies that the
//! compiler keeps in registers or spills to the stack are out of reach. Used by `groth16` and `cpu`.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use crate::image::{self, Image};

/// One secret value.
pub(crate) struct Secret<T: Image>(T);

impl<T: Image> Secret<T> {
    /// Takes charge of a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    fn clear(&mut self) {
        wipe(std::slice::from_mut(&mut self.0));
    }
}

impl<T: Image> Deref for Secret<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Image> Drop for Secret<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A list of secret values. A `Vec` that grows leaves its old memory as it was; this one does not.
pub(crate) struct SecretVec<T: Image>(Vec<T>);

impl<T: Image> SecretVec<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty list with the capacity for `count` values.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a value.
    pub fn push(&mut self, value: T) {
        self.reserve(1);
        self.0.push(value);
    }

    /// Adds values.
    pub fn extend_from_slice(&mut self, values: &[T]) {
        self.reserve(values.len());
        self.0.extend_from_slice(values);
    }

    /// Shortens the list, or fills it up with `value`.
    pub fn resize(&mut self, count: usize, value: T) {
        match self.0.get_mut(count..) {
            Some(rest) => wipe(rest),
            None => self.reserve(count - self.0.len()),
        }
        self.0.resize(count, value);
    }

    /// Overwrites all values. What lies behind them was never written, or overwritten when they were cut off.
    fn clear_all(&mut self) {
        wipe(&mut self.0);
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed <= self.0.capacity() {
            return;
        }
        let mut larger = Vec::with_capacity(needed.max(2 * self.0.capacity()));
        larger.extend_from_slice(&self.0);
        wipe(&mut self.0);
        self.0 = larger;
    }
}

/// Takes charge of values that were collected elsewhere, without a copy.
impl<T: Image> From<Vec<T>> for SecretVec<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T: Image> Deref for SecretVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Image> DerefMut for SecretVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Image> Drop for SecretVec<T> {
    fn drop(&mut self) {
        self.clear_all();
    }
}

/// Overwrites values with zeros, in a way that the compiler does not leave out.
pub(crate) fn wipe<T: Image>(values: &mut [T]) {
    image::limbs_mut(values).zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::Scalar;
    use ff::Field;

    /// What `drop` leaves of a list's memory, up to its capacity.
    fn left(mut list: SecretVec<Scalar>) -> Vec<Scalar> {
        // The list's own memory, which outlives it here: its drop only sees it emptied.
        list.clear_all();
        std::mem::take(&mut list.0)
    }

    #[test]
    fn nothing_is_left_of_a_list() {
        let mut list = SecretVec::with_capacity(8);
        for value in 1..=5 {
            list.push(Scalar::from(value));
        }
        assert_eq!(left(list), [Scalar::ZERO; 5]);
        // Those that were cut off were overwritten before.
        let mut list = SecretVec::from(vec![Scalar::ONE; 6]);
        list.resize(2, Scalar::ONE);
        list.resize(6, Scalar::ZERO);
        assert_eq!(left(list), [Scalar::ZERO; 6]);
        let mut one = Secret::new(Scalar::ONE);
        one.clear();
        assert_eq!(*one, Scalar::ZERO);
    }

    #[test]
    fn a_secret_list_is_a_list() {
        let mut list = SecretVec::new();
        let mut plain = Vec::new();
        for value in (0..100).map(Scalar::from) {
            list.push(value);
            plain.push(value);
        }
        list.extend_from_slice(&plain.clone());
        plain.extend_from_within(..);
        assert_eq!(list[..], plain[..]);
        for count in [300, 7, 7, 0, 3] {
            list.resize(count, Scalar::ONE);
            plain.resize(count, Scalar::ONE);
            assert_eq!(list[..], plain[..]);
        }
        wipe(&mut list);
        assert_eq!(list[..], [Scalar::ZERO; 3]);
    }
}
