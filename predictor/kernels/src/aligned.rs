//! Buffers that start on a cache line.
//!
//! A vector or tile load that straddles two lines costs two loads. Allocators promise 16 bytes
//! and keep to it, so without this *every* load of a large buffer straddles: measured, AMX tiles
//! ran at 0.6 to 1.0 TFLOP/s a core from such buffers, and at 1.4 to 2.3 from aligned ones.

use std::ops::{Deref, DerefMut};

use crate::number::Number;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// A vector of numbers whose first one lies at a multiple of `LINE` bytes.
#[derive(Debug)]
pub struct Aligned<E> {
    /// The numbers, after as many unused ones as it takes to reach a line.
    store: Vec<E>,
    start: usize,
    len: usize,
}

impl<E: Number> Aligned<E> {
    /// No numbers yet.
    pub const fn new() -> Self {
        Aligned {
            store: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let slack = LINE / size_of::<E>();
        let store = vec![E::ZERO; len + slack];
        let start = match store.as_ptr().align_offset(LINE) {
            // `align_offset` may decline to answer; unaligned is slow, not wrong.
            found if found <= slack => found,
            _ => 0,
        };
        Aligned { store, start, len }
    }

    /// At least `len` numbers; new ones are zero, and so are old ones if it had to grow.
    pub fn reserve_zeroed(&mut self, len: usize) {
        if self.len < len {
            *self = Aligned::zeros(len);
        }
    }
}

impl<E: Number> Default for Aligned<E> {
    fn default() -> Self {
        Aligned::new()
    }
}

impl<E: Number> Clone for Aligned<E> {
    /// A copy elsewhere in memory has its own distance to the next line.
    fn clone(&self) -> Self {
        let mut copy = Aligned::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<E> Deref for Aligned<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.store[self.start..self.start + self.len]
    }
}

impl<E> DerefMut for Aligned<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.store[self.start..self.start + self.len]
    }
}

#[cfg(test)]
#[path = "../tests/unit/aligned.rs"]
mod tests;
