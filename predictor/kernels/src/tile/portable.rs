//! Plain loops: four rows by sixteen columns at a time, which compilers turn into whatever
//! vectors the target has.

use super::shape::{InitialSums, Tile, COLUMNS};
use crate::number::Number;

const HEIGHT: usize = 4;
const WIDTH: usize = 16;

/// See [`Element::tile`].
///
/// # Safety
/// As there.
pub(super) unsafe fn tile<E: Number, const GROUP: usize>(
    a: *const E,
    stride: usize,
    rows: usize,
    panel: *const E,
    inner: usize,
    start: InitialSums,
    out: &mut Tile,
) {
    for top in (0..rows).step_by(HEIGHT) {
        for left in (0..COLUMNS).step_by(WIDTH) {
            let mut sums = [[0f32; WIDTH]; HEIGHT];
            if start == InitialSums::Tile {
                for (y, sums) in sums.iter_mut().enumerate() {
                    let at = (top + y) * COLUMNS + left;
                    sums.copy_from_slice(&out.0[at..at + WIDTH]);
                }
            }
            for group in 0..inner / GROUP {
                for part in 0..GROUP {
                    for (y, sums) in sums.iter_mut().enumerate() {
                        // SAFETY: top + y < ROWS, the inner index is below `inner` and
                        // left + x < COLUMNS: inside what the caller vouches for.
                        unsafe {
                            let a = (*a.add((top + y) * stride + group * GROUP + part)).widen();
                            let row = panel.add((group * COLUMNS + left) * GROUP + part);
                            for (x, sum) in sums.iter_mut().enumerate() {
                                *sum += a * (*row.add(x * GROUP)).widen();
                            }
                        }
                    }
                }
            }
            for (y, sums) in sums.iter().enumerate() {
                let at = (top + y) * COLUMNS + left;
                out.0[at..at + WIDTH].copy_from_slice(sums);
            }
        }
    }
}

/// See [`super::burn`].
///
/// # Safety
/// None is needed; the other units' have the same signature.
pub(super) unsafe fn burn(rounds: usize) -> f64 {
    let mut sums = [0f32; 64];
    let (a, b) = (
        std::hint::black_box(1.0001f32),
        std::hint::black_box(0.5f32),
    );
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = *sum * a + b;
        }
    }
    std::hint::black_box(sums);
    (rounds * sums.len() * 2) as f64
}
