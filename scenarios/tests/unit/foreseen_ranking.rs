//! Unit tests of `src/foreseen/ranking.rs`.

use super::*;

#[test]
fn spearman_knows_order_reverse_and_ties() {
    let up = [1.0, 2.0, 4.0, 8.0, 16.0];
    assert_eq!(spearman(&up, &[0.1, 0.2, 0.3, 0.4, 0.5]), 1.0);
    assert_eq!(spearman(&up, &[5.0, 4.0, 3.0, 2.0, 1.0]), -1.0);
    assert_eq!(spearman(&up, &[3.0; 5]), 0.0);
    // Ranks 0, 1.5, 1.5, 3, 4 against 0 … 4, by hand: 9.5 / √(10 · 9.5).
    let tied = spearman(&up, &[0.0, 1.0, 1.0, 2.0, 3.0]);
    assert!((tied - 0.974_679).abs() < 1e-6, "{tied}");
}
