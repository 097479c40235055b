//! Unit tests of `src/objectives/masked.rs`.

use super::*;

#[test]
fn masks_hide_about_half_and_never_all() {
    for grid in [[4, 4], [2, 2], [6, 3], [16, 16]] {
        let count = grid[0] * grid[1];
        for seed in 0..200 {
            let mask = Mask::draw(grid, seed);
            assert_eq!(mask.visible.len() + mask.masked.len(), count);
            assert!(!mask.visible.is_empty(), "{grid:?} {seed}");
            let share = mask.masked.len() as f64 / count as f64;
            assert!((0.25..1.0).contains(&share), "{grid:?} {seed}: {share}");
            assert_eq!(mask, Mask::draw(grid, seed));
        }
    }
}
