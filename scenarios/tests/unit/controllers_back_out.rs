//! Unit tests of `src/controllers/back_out.rs`.

use super::*;

fn at(z: f64, gripper: f64) -> Pose {
    Pose::from_array([0.5, 0.0, z, 3.1, 0.0, 0.0, gripper])
}

fn down(by: f64) -> Action {
    Action::from_array([0.0, 0.0, -by, 0.0, 0.0, 0.0, 0.0])
}

/// What is done after going down to a height and being sent further.
fn stopped(asked_m: f64, z: f64, gripper: f64) -> Option<f64> {
    let mut trail = Trail::default();
    for height in [0.18, 0.13, 0.08] {
        assert_eq!(trail.back_out(&at(height, 0.0)), None);
        trail.sent(&down(0.05));
    }
    trail.sent(&down(asked_m));
    let way = trail.back_out(&at(z, gripper));
    // The same isn't found out twice.
    assert_eq!(trail.back_out(&at(z, gripper)), None);
    way.map(|action| (1e3 * action.translation_m[2]).round())
}

#[test]
fn an_open_hand_backs_out_and_one_that_holds_or_moves_goes_on() {
    assert_eq!(stopped(0.03, 0.078, 0.0), Some(52.0));
    assert_eq!(stopped(0.03, 0.055, 0.0), None);
    assert_eq!(stopped(0.008, 0.08, 0.0), None);
    assert_eq!(stopped(0.03, 0.08, 0.5), None);
}
