//! A list of curve points that is either owned or a section of a mapped key file.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

use crate::image::{self, Image, ImageError};

/// Affine points as they lie in memory; dereferences to a slice.
pub struct Points<T: Image>(Storage<T>);

enum Storage<T> {
    Owned(Vec<T>),
    Mapped {
        file: Arc<Mmap>,
        range: Range<usize>,
    },
}

impl<T: Image> Points<T> {
    /// A section of a mapped file. Values are not checked here.
    pub(super) fn mapped(file: Arc<Mmap>, range: Range<usize>) -> Result<Self, ImageError> {
        let raw = file.get(range.clone()).ok_or(ImageError::Length {
            bytes: file.len(),
            element: T::BYTES,
        })?;
        image::view::<T>(raw)?;
        Ok(Self(Storage::Mapped { file, range }))
    }
}

impl<T: Image> From<Vec<T>> for Points<T> {
    fn from(points: Vec<T>) -> Self {
        Self(Storage::Owned(points))
    }
}

impl<T: Image> Deref for Points<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Storage::Owned(points) => points,
            // Length and alignment were checked by `mapped`, and a mapping never moves, so this
            // view always succeeds.
            Storage::Mapped { file, range } => file
                .get(range.clone())
                .and_then(|raw| image::view(raw).ok())
                .unwrap_or_default(),
        }
    }
}

impl<T: Image> fmt::Debug for Points<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.0 {
            Storage::Owned(_) => "owned",
            Storage::Mapped { .. } => "mapped",
        };
        write!(f, "{} {place} points", self.len())
    }
}
