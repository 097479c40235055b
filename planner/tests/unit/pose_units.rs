//! Unit tests of `src/pose_units.rs`.

use super::*;

#[test]
fn poses_of_an_arm_pass_and_other_units_are_named() {
    for pose in [
        [0.467, -0.0158, 0.4648, -3.13, -0.0014, 1.57, 0.04],
        [-0.8, 0.3, 0.2, TAU, -TAU, 6.2, 1.0],
        [0.0; 7],
    ] {
        assert_eq!(doubt(&pose), None);
    }
    let words = |pose: [f64; 7]| doubt(&pose).unwrap();
    let degrees = words([0.467, 0.0, 0.4, -179.26, 0.0, 90.0, 0.04]);
    assert!(degrees.contains("degrees") && !degrees.contains("metres"));
    let both = words([467.0, 0.0, 400.0, 178.0, 0.0, 0.0, 80.0]);
    for unit in ["millimetres", "degrees", "percent"] {
        assert!(both.contains(unit), "{both}");
    }
    assert!(words([46.7, 0.0, 40.0, 0.0, 0.0, 0.0, 0.0]).contains("centimetres"));
    assert!(words([1.1, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0]).contains("base frame"));
    assert!(words([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 255.0]).contains("255"));
    assert!(words([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 1.1]).contains("outside 0 (open)"));
    assert!(words([f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).contains("no arm"));
}
