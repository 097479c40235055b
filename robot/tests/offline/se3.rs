//! Rigid transforms to and from the wire.

use foresight_planner::Pose;
use foresight_robot::se3::{
    angle_rad, distance_m, from_column_major, from_wire, to_column_major, to_wire,
};

#[test]
fn the_spellings_agree() {
    let start = Pose::from_array([0.5, -0.1, 0.2, 3.1, 0.05, -0.7, 0.4]);
    let transform = start.isometry();
    let back = Pose::from_isometry(&transform, 0.4);
    for (a, b) in start.to_array().iter().zip(back.to_array()) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    let wired = from_wire(&to_wire(&transform)).expect("finite");
    assert!(angle_rad(&transform, &wired) < 1e-7);
    let matrix = from_column_major(&to_column_major(&transform)).expect("finite");
    assert!(angle_rad(&transform, &matrix) < 1e-7);
    assert!(distance_m(&transform, &matrix) < 1e-15);
}

#[test]
fn nonsense_is_none() {
    assert!(from_wire(&[f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).is_none());
    assert!(from_wire(&[0.0; 7]).is_none());
    assert!(from_column_major(&[f64::INFINITY; 16]).is_none());
}
