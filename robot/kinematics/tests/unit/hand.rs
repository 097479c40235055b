//! Unit tests of `src/hand.rs`.

use super::*;

#[test]
fn closedness_and_width_are_inverse_and_bounded() {
    assert_eq!((width_m(0.0), width_m(1.0)), (STROKE_M, 0.0));
    for c in [0.0, 0.25, 0.5, 1.0] {
        assert!((closedness(width_m(c)) - c).abs() < 1e-12);
    }
    assert_eq!(closedness(0.2), 0.0);
    assert_eq!(closedness(-0.01), 1.0);
    assert_eq!(width_m(7.0), 0.0);
}
