//! bf16 on Intel's tile unit. Its intrinsics are not stable in Rust, its instructions are four:
//! load a tile, multiply two, store one, configure. Two by two tiles of 16 × 16 sums make one
//! [`Tile`].

use std::arch::asm;
use std::cell::Cell;
use std::marker::PhantomData;

use half::bf16;

use super::shape::{InitialSums, Tile, COLUMNS};
use crate::instruction_set::InstructionSet;

/// Rows of a hardware tile, and pairs along its inner dimension.
const SIDE: usize = 16;
/// Bytes of a hardware tile's row.
const ROW_BYTES: usize = 64;

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

thread_local! {
    /// How many [`Tiles`] live on this thread.
    static HOLDERS: Cell<usize> = const { Cell::new(0) };
}

/// This thread's tile registers are configured while one of these lives.
#[derive(Debug)]
pub(super) struct Tiles(PhantomData<*const ()>); // stays on its thread

impl Tiles {
    /// All eight tiles at full size.
    ///
    /// # Panics
    /// When the unit is not available.
    pub(super) fn configure() -> Self {
        assert!(InstructionSet::Amx.is_available(), "no tile unit");
        if HOLDERS.replace(HOLDERS.get() + 1) == 0 {
            let mut configuration = Configuration {
                palette: 1,
                start_row: 0,
                reserved: [0; 14],
                row_bytes: [0; 16],
                rows: [0; 16],
            };
            configuration.row_bytes[..8].fill(ROW_BYTES as u16);
            configuration.rows[..8].fill(SIDE as u8);
            // SAFETY: the unit is available; reads the 64 bytes of a valid configuration.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly, preserves_flags));
            }
        }
        Tiles(PhantomData)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        HOLDERS.set(HOLDERS.get() - 1);
        if HOLDERS.get() == 0 {
            // SAFETY: the unit is available, or there would be no value to drop.
            unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
        }
    }
}

/// See [`super::Element::tile`].
///
/// # Safety
/// As there; a [`Tiles`] lives on this thread. Tile registers are named in one block of
/// assembly only, so nothing has to be kept between blocks.
#[inline]
pub(super) unsafe fn tile(
    a: *const bf16,
    stride: usize,
    rows: usize,
    panel: *const bf16,
    inner: usize,
    start: InitialSums,
    out: &mut Tile,
) {
    let steps = inner / (2 * SIDE);
    if steps == 0 {
        if start == InitialSums::Zero {
            out.0.fill(0.0);
        }
        return;
    }
    let resume = usize::from(start == InitialSums::Tile);
    let a_stride = stride * size_of::<bf16>();
    let b_stride = 2 * COLUMNS * size_of::<bf16>();
    let out_stride = COLUMNS * size_of::<f32>();
    let sums = out.0.as_mut_ptr();
    // SAFETY: reads `a` for SIDE or 2·SIDE rows and `panel` for `inner` rows, both vouched for
    // by the caller; reads and writes sixteen or thirty-two rows of `out` (the lower sixteen
    // start 2048 bytes in).
    unsafe {
        if rows <= SIDE {
            asm!(
                "test {resume}, {resume}",
                "jz 3f",
                "tileloadd tmm0, [{out} + {out_stride}]",
                "tileloadd tmm1, [{out} + {out_stride} + 64]",
                "jmp 2f",
                "3:",
                "tilezero tmm0",
                "tilezero tmm1",
                "2:",
                "tileloadd tmm4, [{a} + {a_stride}]",
                "tileloadd tmm6, [{b} + {b_stride}]",
                "tileloadd tmm7, [{b} + {b_stride} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a}, 64",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {out_stride}], tmm0",
                "tilestored [{out} + {out_stride} + 64], tmm1",
                a = inout(reg) a => _,
                b = inout(reg) panel => _,
                steps = inout(reg) steps => _,
                resume = in(reg) resume,
                out = in(reg) sums,
                a_stride = in(reg) a_stride,
                b_stride = in(reg) b_stride,
                out_stride = in(reg) out_stride,
                options(nostack),
            );
        } else {
            asm!(
                "test {resume}, {resume}",
                "jz 3f",
                "tileloadd tmm0, [{out} + {out_stride}]",
                "tileloadd tmm1, [{out} + {out_stride} + 64]",
                "tileloadd tmm2, [{out} + {out_stride} + 2048]",
                "tileloadd tmm3, [{out} + {out_stride} + 2112]",
                "jmp 2f",
                "3:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{a} + {a_stride}]",
                "tileloadd tmm6, [{b} + {b_stride}]",
                "tileloadd tmm7, [{b} + {b_stride} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{low} + {a_stride}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 64",
                "add {low}, 64",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {out_stride}], tmm0",
                "tilestored [{out} + {out_stride} + 64], tmm1",
                "tilestored [{out} + {out_stride} + 2048], tmm2",
                "tilestored [{out} + {out_stride} + 2112], tmm3",
                a = inout(reg) a => _,
                low = inout(reg) a.add(SIDE * stride) => _,
                b = inout(reg) panel => _,
                steps = inout(reg) steps => _,
                resume = in(reg) resume,
                out = in(reg) sums,
                a_stride = in(reg) a_stride,
                b_stride = in(reg) b_stride,
                out_stride = in(reg) out_stride,
                options(nostack),
            );
        }
    }
}

/// See [`super::burn`].
///
/// # Safety
/// A [`Tiles`] lives on this thread.
pub(super) unsafe fn burn(rounds: usize) -> f64 {
    for _ in 0..rounds {
        // SAFETY: the tiles are configured; no memory is touched.
        unsafe {
            asm!(
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                options(nostack, nomem, preserves_flags),
            );
        }
    }
    // Four products of 16 × 32 by 32 × 16.
    rounds as f64 * (4 * 2 * SIDE * SIDE * 2 * SIDE) as f64
}
