//! A list of curve points that is either made here or a section of a key file in memory.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use memmap2::Mmap;

use crate::engine::Bases;
use crate::image::{self, Image, ImageError, PointImage};

/// Affine points as they lie in memory; dereferences to a slice. It remembers whether they lie in
/// the subgroup of order r.
pub struct Points<T: Image> {
    storage: Storage<T>,
    in_subgroup: OnceLock<bool>,
}

enum Storage<T> {
    Owned(Vec<T>),
    Section {
        memory: Arc<Mmap>,
        range: Range<usize>,
    },
}

impl<T: Image> Points<T> {
    /// A section of a file in memory. Values are not checked here.
    pub(super) fn section(memory: Arc<Mmap>, range: Range<usize>) -> Result<Self, ImageError> {
        let raw = memory.get(range.clone()).ok_or(ImageError::Length {
            bytes: memory.len(),
            element: T::BYTES,
        })?;
        image::view::<T>(raw)?;
        Ok(Storage::Section { memory, range }.into())
    }

    /// Points that were made in the subgroup.
    pub(crate) fn of_subgroup(points: Vec<T>) -> Self {
        Self {
            storage: Storage::Owned(points),
            in_subgroup: OnceLock::from(true),
        }
    }
}

impl<P: PointImage> Points<P> {
    /// The points as bases of a sum. Where it is not known whether they lie in the subgroup, the
    /// first call looks at each of them, on all cores; later calls cost nothing.
    pub fn bases(&self) -> Bases<'_, P> {
        let checked = || Bases::checked(self).in_subgroup();
        Bases::known(self, *self.in_subgroup.get_or_init(checked))
    }
}

impl<T: Image> From<Storage<T>> for Points<T> {
    fn from(storage: Storage<T>) -> Self {
        Self {
            storage,
            in_subgroup: OnceLock::new(),
        }
    }
}

impl<T: Image> From<Vec<T>> for Points<T> {
    fn from(points: Vec<T>) -> Self {
        Storage::Owned(points).into()
    }
}

impl<T: Image> Deref for Points<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.storage {
            Storage::Owned(points) => points,
            // Length and alignment were checked by `section`, and the memory never moves, so this
            // view always succeeds.
            Storage::Section { memory, range } => memory
                .get(range.clone())
                .and_then(|raw| image::view(raw).ok())
                .unwrap_or_default(),
        }
    }
}

impl<T: Image> fmt::Debug for Points<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.storage {
            Storage::Owned(_) => "owned",
            Storage::Section { .. } => "loaded",
        };
        write!(f, "{} {place} points", self.len())
    }
}
