//! f32 on AVX-512: eight rows by two vectors, sixteen sums in registers.

use std::arch::x86_64::{
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{Start, Tile, COLUMNS};

const HEIGHT: usize = 8;
const UNROLLED: usize = 4;

/// See [`super::Element::tile`].
///
/// # Safety
/// As there; the machine has AVX-512F.
#[target_feature(enable = "avx512f")]
pub unsafe fn tile(
    a: *const f32,
    stride: usize,
    rows: usize,
    panel: *const f32,
    inner: usize,
    start: Start,
    out: &mut Tile,
) {
    for top in (0..rows).step_by(HEIGHT) {
        let mut sums = [[_mm512_setzero_ps(); 2]; HEIGHT];
        if start == Start::Tile {
            for (y, sums) in sums.iter_mut().enumerate() {
                let row = &out.0[(top + y) * COLUMNS..(top + y + 1) * COLUMNS];
                // SAFETY: `row` has thirty-two values.
                unsafe {
                    sums[0] = _mm512_loadu_ps(row.as_ptr());
                    sums[1] = _mm512_loadu_ps(row.as_ptr().add(16));
                }
            }
        }
        // SAFETY: top + HEIGHT ≤ ROWS and k < inner: inside what the caller vouches for.
        unsafe {
            let a = a.add(top * stride);
            let mut step = |k: usize| {
                let b = panel.add(k * COLUMNS);
                let (left, right) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)));
                for (y, sums) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_ps(*a.add(y * stride + k));
                    sums[0] = _mm512_fmadd_ps(a, left, sums[0]);
                    sums[1] = _mm512_fmadd_ps(a, right, sums[1]);
                }
            };
            let whole = inner / UNROLLED * UNROLLED;
            for k in (0..whole).step_by(UNROLLED) {
                for k in k..k + UNROLLED {
                    step(k);
                }
            }
            for k in whole..inner {
                step(k);
            }
        }
        for (y, sums) in sums.iter().enumerate() {
            let row = &mut out.0[(top + y) * COLUMNS..(top + y + 1) * COLUMNS];
            // SAFETY: `row` has thirty-two values.
            unsafe {
                _mm512_storeu_ps(row.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(row.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

/// See [`super::burn`].
///
/// # Safety
/// The machine has AVX-512F.
#[target_feature(enable = "avx512f")]
pub unsafe fn burn(rounds: usize) -> f64 {
    let mut sums = [_mm512_setzero_ps(); 24];
    let (a, b) = (_mm512_set1_ps(1.0001), _mm512_set1_ps(0.5));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(a, b, *sum);
        }
    }
    std::hint::black_box(sums);
    (rounds * sums.len() * 16 * 2) as f64
}
