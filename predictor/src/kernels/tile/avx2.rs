//! f32 on AVX2: four rows by two vectors, eight sums in registers, twice per panel.

use std::arch::x86_64::{
    _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::{Start, Tile, COLUMNS};

const HEIGHT: usize = 4;
const WIDTH: usize = 16;

/// See [`super::Element::tile`].
///
/// # Safety
/// As there; the machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
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
        for side in (0..COLUMNS).step_by(WIDTH) {
            let mut sums = [[_mm256_setzero_ps(); 2]; HEIGHT];
            if start == Start::Tile {
                for (y, sums) in sums.iter_mut().enumerate() {
                    let at = (top + y) * COLUMNS + side;
                    let row = &out.0[at..at + WIDTH];
                    // SAFETY: `row` has sixteen values.
                    unsafe {
                        sums[0] = _mm256_loadu_ps(row.as_ptr());
                        sums[1] = _mm256_loadu_ps(row.as_ptr().add(8));
                    }
                }
            }
            // SAFETY: top + HEIGHT ≤ ROWS, k < inner and side + WIDTH ≤ COLUMNS: inside what
            // the caller vouches for.
            unsafe {
                let a = a.add(top * stride);
                for k in 0..inner {
                    let b = panel.add(k * COLUMNS + side);
                    let (left, right) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
                    for (y, sums) in sums.iter_mut().enumerate() {
                        let a = _mm256_broadcast_ss(&*a.add(y * stride + k));
                        sums[0] = _mm256_fmadd_ps(a, left, sums[0]);
                        sums[1] = _mm256_fmadd_ps(a, right, sums[1]);
                    }
                }
            }
            for (y, sums) in sums.iter().enumerate() {
                let at = (top + y) * COLUMNS + side;
                let row = &mut out.0[at..at + WIDTH];
                // SAFETY: `row` has sixteen values.
                unsafe {
                    _mm256_storeu_ps(row.as_mut_ptr(), sums[0]);
                    _mm256_storeu_ps(row.as_mut_ptr().add(8), sums[1]);
                }
            }
        }
    }
}

/// See [`super::burn`].
///
/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn burn(rounds: usize) -> f64 {
    let mut sums = [_mm256_setzero_ps(); 12];
    let (a, b) = (_mm256_set1_ps(1.0001), _mm256_set1_ps(0.5));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    std::hint::black_box(sums);
    (rounds * sums.len() * 8 * 2) as f64
}
