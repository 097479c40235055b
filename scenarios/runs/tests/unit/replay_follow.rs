//! Unit tests of `src/replay/follow.rs`.

use super::*;

#[test]
fn parts_of_an_action_add_up() {
    let from = Pose::from_array([0.4, 0.0, 0.3, 3.0, 0.1, -0.4, 0.0]);
    let to = Pose::from_array([0.6, -0.2, 0.1, 3.1, -0.3, 0.5, 0.5]);
    let mut at = from;
    for left in (1..=5).rev() {
        at = at.apply(&at.action_to(&to).part(1.0 / f64::from(left)));
    }
    for (a, b) in at.to_array().into_iter().zip(to.to_array()) {
        assert!((a - b).abs() < 1e-9, "{at:?}");
    }
}

#[test]
fn half_turns_about_any_axis_are_cut_into_turns() {
    use std::f64::consts::{FRAC_PI_2, PI};
    let from = Pose::from_array([0.4, 0.0, 0.3, PI, 0.0, 0.0, 0.0]);
    for turn in [
        [PI, 0.0, 0.0],
        [0.0, PI, 0.0],
        [0.0, 0.0, PI],
        [PI, 0.0, 0.26],
        [-PI, 0.0, -2.1],
        [FRAC_PI_2, PI, FRAC_PI_2],
    ] {
        let action = Action {
            rotation_rad: turn,
            ..Action::default()
        };
        let to = from.apply(&action);
        let mut at = from;
        for left in (1..=6).rev() {
            let piece = at.action_to(&to).part(1.0 / f64::from(left));
            let angle = piece.angle_rad();
            assert!(
                (angle - action.angle_rad() / 6.0).abs() < 1e-5,
                "{turn:?}: a piece of {angle} rad"
            );
            at = at.apply(&piece);
        }
        assert!(at.angle_rad(&to) < 1e-5, "{turn:?}: {at:?}");
    }
}
