//! Unit tests of `src/alignment.rs`.

use super::check;

#[test]
fn differences_up_to_the_tolerance_are_taken() {
    assert!(check(60, 60, 0).is_ok());
    assert!(check(61, 60, 1).is_ok() && check(59, 60, 1).is_ok());
    for (frames, tolerance) in [(61, 0), (58, 1), (62, 1), (0, 1)] {
        let reason = check(frames, 60, tolerance).expect_err("too many");
        assert!(reason.contains("60 states") && reason.contains(&format!("{frames} frames")));
    }
}
