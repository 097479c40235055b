//! bf16 on AVX-512: eight rows by two vectors of sums, two products a lane and instruction.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
};

use half::bf16;

use super::avx512::{first_sums, keep};
use super::shape::{InitialSums, Tile, COLUMNS};

/// Rows of [`first_sums`].
const HEIGHT: usize = 8;

/// See [`super::Element::tile`].
///
/// # Safety
/// As there; the machine has AVX-512F and AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn tile(
    a: *const bf16,
    stride: usize,
    rows: usize,
    panel: *const bf16,
    inner: usize,
    start: InitialSums,
    out: &mut Tile,
) {
    // SAFETY: both are 512 bits without a meaning of their own.
    let pairs = |v: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(v) };
    for top in (0..rows).step_by(HEIGHT) {
        let mut sums = first_sums(out, top, 0, start);
        // SAFETY: top + HEIGHT ≤ ROWS and 2·pair + 1 < inner, which is even: inside what the
        // caller vouches for. Pairs may lie at odd addresses, hence the unaligned reads.
        unsafe {
            let a = a.add(top * stride);
            for pair in 0..inner / 2 {
                let b = panel.add(pair * 2 * COLUMNS);
                let left = pairs(_mm512_loadu_si512(b.cast()));
                let right = pairs(_mm512_loadu_si512(b.add(COLUMNS).cast()));
                for (y, sums) in sums.iter_mut().enumerate() {
                    let two = a.add(y * stride + 2 * pair).cast::<i32>().read_unaligned();
                    let two = pairs(_mm512_set1_epi32(two));
                    sums[0] = _mm512_dpbf16_ps(sums[0], two, left);
                    sums[1] = _mm512_dpbf16_ps(sums[1], two, right);
                }
            }
        }
        keep(&sums, out, top, 0);
    }
}

/// See [`super::burn`].
///
/// # Safety
/// The machine has AVX-512F and AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn burn(rounds: usize) -> f64 {
    let mut sums = [_mm512_setzero_ps(); 24];
    // SAFETY: 512 bits without a meaning of their own; sixteen pairs of one half.
    let halves =
        unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(0x3f00_3f00)) };
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, halves, halves);
        }
    }
    std::hint::black_box(sums);
    (rounds * sums.len() * 32 * 2) as f64
}
