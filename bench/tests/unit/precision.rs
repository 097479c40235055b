//! Unit tests of `src/precision.rs`.

use super::spearman;

#[test]
fn rank_correlation_of_orders_and_their_reverse() {
    assert_eq!(spearman(&[1.0, 2.0, 5.0], &[10.0, 11.0, 30.0]), 1.0);
    assert_eq!(spearman(&[1.0, 2.0, 5.0], &[3.0, 2.0, 1.0]), -1.0);
}
