//! Unit tests of `src/evaluate.rs`.

use super::*;

#[test]
fn wilson_intervals_match_known_values() {
    let near = |a: [f64; 2], b: [f64; 2]| {
        assert!(
            (a[0] - b[0]).abs() < 5e-4 && (a[1] - b[1]).abs() < 5e-4,
            "{a:?} {b:?}"
        );
    };
    near(wilson(0, 10), [0.0, 0.2775]);
    near(wilson(10, 10), [0.7225, 1.0]);
    near(wilson(80, 100), [0.7112, 0.8666]);
    assert_eq!(wilson(0, 0), [0.0, 1.0]);
}
