//! Unit tests of `src/extrinsics.rs`.

use super::*;
use foresight_planner::Pose;

#[test]
fn a_simulated_camera_sees_what_it_looks_at_straight_ahead() {
    let scene = r#"{"camera":{"eye_m":[1.1,0.3,0.5],"look_at_m":[0.5,0.0,0.1],"fov_rad":0.5}}"#;
    let camera = of_scene(scene).expect("a camera");
    let seen = Pose::from_array([0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0]).seen_from(camera);
    let distance = (0.36_f64 + 0.09 + 0.16).sqrt();
    let [x, y, z, ..] = seen.to_array();
    assert!(x.abs() < 1e-12 && y.abs() < 1e-12 && (z - distance).abs() < 1e-12);
    // What is higher in the world is higher in the picture: y points down.
    let above = Pose::from_array([0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0]).seen_from(camera);
    assert!(above.to_array()[1] < 0.0);
    assert_eq!(of_scene("{}"), None);
}
