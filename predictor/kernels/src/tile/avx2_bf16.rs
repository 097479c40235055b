//! bf16 on AVX2, which has no instruction for it: both numbers of a pair are widened where they
//! lie, the upper one by masking and the lower by shifting, and multiplied as f32. No faster than
//! f32, so never chosen for planning; it is how such machines find out what rounding does.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_loadu_si256,
    _mm256_set1_epi32, _mm256_slli_epi32,
};

use half::bf16;

use super::avx2::{first_sums, keep};
use super::shape::{InitialSums, Tile, COLUMNS};

/// Rows of [`first_sums`].
const HEIGHT: usize = 4;
/// Pairs in a vector.
const LANES: usize = 8;

/// See [`super::Element::tile`].
///
/// # Safety
/// As there; the machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn tile(
    a: *const bf16,
    stride: usize,
    rows: usize,
    panel: *const bf16,
    inner: usize,
    start: InitialSums,
    out: &mut Tile,
) {
    let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
    let halves = |pairs: __m256i| {
        let lower = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
        let upper = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
        [lower, upper]
    };
    for top in (0..rows).step_by(HEIGHT) {
        for side in (0..COLUMNS).step_by(2 * LANES) {
            let mut sums = first_sums(out, top, side, start);
            // SAFETY: top + HEIGHT ≤ ROWS, side + 2·LANES ≤ COLUMNS and 2·pair + 1 < inner, which
            // is even: inside what the caller vouches for. Pairs may lie at odd addresses, hence
            // the unaligned reads.
            unsafe {
                let a = a.add(top * stride);
                for pair in 0..inner / 2 {
                    let b = panel.add((pair * COLUMNS + side) * 2);
                    let left = halves(_mm256_loadu_si256(b.cast()));
                    let right = halves(_mm256_loadu_si256(b.add(2 * LANES).cast()));
                    for (y, sums) in sums.iter_mut().enumerate() {
                        let two = a.add(y * stride + 2 * pair).cast::<i32>().read_unaligned();
                        let two = halves(_mm256_set1_epi32(two));
                        for (i, two) in two.into_iter().enumerate() {
                            sums[0] = _mm256_fmadd_ps(two, left[i], sums[0]);
                            sums[1] = _mm256_fmadd_ps(two, right[i], sums[1]);
                        }
                    }
                }
            }
            keep(&sums, out, top, side);
        }
    }
}
