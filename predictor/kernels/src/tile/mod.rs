//! One tile of a matrix product on whatever vector unit this machine has.
//!
//! A tile is up to [`ROWS`] × [`COLUMNS`] outputs: rows of activations times one *panel* of
//! packed weights. Everything above (packing, blocking, what happens to the result) is shared;
//! one file here per unit holds the inner loop and nothing else; that of f32 is the same for
//! vectors of any width (`f32_on.rs`).
//!
//! | unit | numbers | why it is or isn't chosen |
//! |---|---|---|
//! | [`InstructionSet::Amx`] | bf16 | Intel's tile unit: 16 times the rate of f32 vectors |
//! | [`InstructionSet::Avx512Bf16`] | bf16 | twice the rate of f32 on AMD; on Intel *half* of it, so not chosen there |
//! | [`InstructionSet::Avx512`], [`InstructionSet::Avx2`] | f32 | vectors with fused multiply-add |
//! | [`InstructionSet::Avx2`] | bf16 | widened on the way, no faster than f32: only to see what rounding does |
//! | [`InstructionSet::Portable`] | both | plain loops, for every other machine and as a test's reference |
//!
//! Products of bf16 are exact in f32 and are added up in f32 by all units, in an order that
//! depends on the unit alone: not on the number of rows, nor of threads.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bf16;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "x86_64")]
mod f32_on;
mod portable;
mod shape;

#[cfg(target_arch = "x86_64")]
use amx::Tiles;
use half::bf16;
pub use shape::{InitialSums, Tile};
pub(crate) use shape::{COLUMNS, ROWS};

use crate::instruction_set::{InstructionSet, Precision};
use crate::number::Number;

/// A number that matrix products take: how it is packed, and what multiplies it.
pub trait Element: Number {
    /// Which of the two it is.
    const PRECISION: Precision;
    /// Consecutive elements along the inner dimension that lie together in a panel.
    const GROUP: usize;
    /// The inner dimension is padded with zeros to a multiple of this.
    const INNER: usize;

    /// `out = a · panel` for `rows` rows of `a`, `stride` apart, and `inner` columns; or that
    /// added to what `out` holds, as `start` says.
    ///
    /// # Safety
    /// `instruction_set` multiplies [`Element::PRECISION`] here; `inner` is a multiple of
    /// [`Element::INNER`]; `a` is readable for `ROWS` rows of `inner` elements, `stride` apart,
    /// and `panel` for `inner` × `COLUMNS` elements; `rows` is in `1..=ROWS`; for
    /// [`InstructionSet::Amx`] the thread is inside `Scope`.
    #[allow(clippy::too_many_arguments)] // two operands, their extents, and where sums go
    unsafe fn tile(
        instruction_set: InstructionSet,
        a: *const Self,
        stride: usize,
        rows: usize,
        panel: *const Self,
        inner: usize,
        start: InitialSums,
        out: &mut Tile,
    );
}

/// Asks for numbers to be brought nearer, into the second-level cache. Changes nothing else.
#[inline(always)]
pub(crate) fn prefetch<E: Number>(numbers: &[E]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(crate::aligned::LINE / size_of::<E>()) {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};
        // SAFETY: the address is inside a slice; and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Multiplies on registers alone `rounds` times; returns the floating-point operations done.
pub(crate) fn burn(instruction_set: InstructionSet, rounds: usize) -> f64 {
    assert!(instruction_set.is_available(), "no {instruction_set} here");
    let _scope = Scope::enter(instruction_set);
    // SAFETY: the unit is available (asserted) and set up on this thread.
    unsafe {
        match instruction_set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx => amx::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 => avx512_bf16::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512::burn(rounds),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2::burn(rounds),
            _ => portable::burn(rounds),
        }
    }
}

/// While it lives, this thread may multiply on its unit.
#[derive(Debug)]
pub(crate) struct Scope {
    instruction_set: InstructionSet,
    #[cfg(target_arch = "x86_64")]
    _tiles: Option<Tiles>,
}

impl Scope {
    /// Sets the unit up on this thread.
    pub(crate) fn enter(instruction_set: InstructionSet) -> Self {
        Scope {
            instruction_set,
            #[cfg(target_arch = "x86_64")]
            _tiles: (instruction_set == InstructionSet::Amx).then(Tiles::configure),
        }
    }

    /// The unit.
    pub(crate) fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }
}

impl Element for f32 {
    const PRECISION: Precision = Precision::F32;
    const GROUP: usize = 1;
    const INNER: usize = 1;

    #[inline]
    unsafe fn tile(
        instruction_set: InstructionSet,
        a: *const f32,
        stride: usize,
        rows: usize,
        panel: *const f32,
        inner: usize,
        start: InitialSums,
        out: &mut Tile,
    ) {
        // SAFETY: the caller keeps this function's contract, which is each unit's too.
        unsafe {
            match instruction_set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => avx512::tile(a, stride, rows, panel, inner, start, out),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => avx2::tile(a, stride, rows, panel, inner, start, out),
                _ => {
                    portable::tile::<f32, { f32::GROUP }>(a, stride, rows, panel, inner, start, out)
                }
            }
        }
    }
}

impl Element for bf16 {
    const PRECISION: Precision = Precision::Bf16;
    const GROUP: usize = 2;
    const INNER: usize = 32;

    #[inline]
    unsafe fn tile(
        instruction_set: InstructionSet,
        a: *const bf16,
        stride: usize,
        rows: usize,
        panel: *const bf16,
        inner: usize,
        start: InitialSums,
        out: &mut Tile,
    ) {
        // SAFETY: the caller keeps this function's contract, which is each unit's too.
        unsafe {
            match instruction_set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Amx => amx::tile(a, stride, rows, panel, inner, start, out),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Bf16 => {
                    avx512_bf16::tile(a, stride, rows, panel, inner, start, out)
                }
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => avx2_bf16::tile(a, stride, rows, panel, inner, start, out),
                _ => portable::tile::<bf16, { bf16::GROUP }>(
                    a, stride, rows, panel, inner, start, out,
                ),
            }
        }
    }
}
