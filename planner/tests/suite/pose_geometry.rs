//! Distances, angles and parts of turns where rotations are equal, opposite or in gimbal lock.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use foresight_planner::{euler, Action, Pose};
use nalgebra::{UnitQuaternion, Vector3};

/// Orientations on a grid of exact eighths of a turn: hands pointing down, half turns about every
/// axis and gimbal lock among them, and a few odd ones.
fn grid() -> Vec<[f64; 3]> {
    let eighths = || (-4..=4).map(|k| f64::from(k) * FRAC_PI_4);
    let mut angles = Vec::new();
    for a in eighths() {
        for b in [-FRAC_PI_2, -FRAC_PI_4, 0.0, FRAC_PI_4, FRAC_PI_2] {
            angles.extend(eighths().map(|c| [a, b, c]));
        }
    }
    // What a hand that points down looks like in practice.
    angles.extend((0..400).map(|i| {
        let i = f64::from(i);
        [3.1 + 8e-5 * i, 0.02 * (0.7 * i).sin(), -1.5 + 7e-3 * i]
    }));
    angles
}

fn pose(euler_rad: [f64; 3]) -> Pose {
    Pose {
        position_m: [0.5, -0.1, 0.2],
        euler_rad,
        gripper: 0.25,
    }
}

fn turn(rotation_rad: [f64; 3]) -> Action {
    Action {
        rotation_rad,
        ..Action::default()
    }
}

/// Angle between two orientations by their matrices alone: of the chord between them.
fn by_chord(a: &Pose, b: &Pose) -> f64 {
    let chord = (a.rotation() - b.rotation()).norm() / 8f64.sqrt();
    2.0 * chord.min(1.0).asin()
}

#[test]
fn distances_are_finite_symmetric_and_zero_for_equal_poses() {
    let grid = grid();
    for (i, &angles) in grid.iter().enumerate() {
        let here = pose(angles);
        assert_eq!(here.angle_rad(&here), 0.0, "{angles:?}");
        assert_eq!(here.distance_m(&here), 0.0);
        let rounded = pose(angles.map(|v| f64::from(v as f32)));
        let off = here.angle_rad(&rounded);
        assert!(off < 1e-6, "{angles:?} as f32: {off}");
        assert!((off - rounded.angle_rad(&here)).abs() < 1e-15);
        for &others in grid.iter().skip(i % 7).step_by(7) {
            let there = pose(others);
            let (forth, back) = (here.angle_rad(&there), there.angle_rad(&here));
            assert!((0.0..=PI).contains(&forth), "{angles:?} {others:?} {forth}");
            assert!((forth - back).abs() < 1e-14, "{angles:?} {others:?}");
            // Near half a turn a chord tells angles apart only to the root of a rounding error.
            let chord = by_chord(&here, &there);
            let tolerance = if chord > 3.0 { 1e-7 } else { 1e-12 };
            assert!((forth - chord).abs() < tolerance, "{forth} {chord}");
        }
    }
}

#[test]
fn half_turns_are_pi_whatever_the_axis() {
    for angles in grid() {
        let orientation = pose(angles).orientation();
        for axis in [
            Vector3::x_axis(),
            Vector3::y_axis(),
            Vector3::z_axis(),
            nalgebra::Unit::new_normalize(Vector3::new(1.0, -2.0, 0.5)),
        ] {
            let half = UnitQuaternion::from_axis_angle(&axis, PI);
            let turned = pose(euler::from_quaternion(&(half * orientation)));
            let angle = pose(angles).angle_rad(&turned);
            assert!((angle - PI).abs() < 1e-7, "{angles:?} {axis:?} {angle}");
        }
    }
}

#[test]
fn parts_of_a_turn_are_turns_of_the_same_axis_and_add_up() {
    let actions = grid().into_iter().map(turn);
    let halves = [
        [PI, 0.0, 0.3],
        [0.0, PI, 0.0],
        [PI, 0.0, 0.0],
        [PI, PI, 0.0],
    ];
    for action in actions.chain(halves.map(turn)) {
        let whole = action.angle_rad();
        for pieces in [2_i32, 5] {
            let part = action.part(1.0 / f64::from(pieces));
            let determinant = euler::to_matrix(part.rotation_rad).determinant();
            assert!((determinant - 1.0).abs() < 1e-12, "a reflection: {part:?}");
            assert!((part.angle_rad() - whole / f64::from(pieces)).abs() < 1e-7);
            let end = (0..pieces).fold(pose([0.0; 3]), |at, _| at.apply(&part));
            let off = end.angle_rad(&pose([0.0; 3]).apply(&action));
            assert!(off < 1e-6, "{action:?} in {pieces}: {off}");
        }
    }
}

#[test]
fn isometries_give_the_pose_back() {
    for angles in grid() {
        let there = pose(angles);
        let back = Pose::from_isometry(&there.isometry(), there.gripper);
        assert_eq!((back.position_m, back.gripper), (there.position_m, 0.25));
        let off = there.angle_rad(&back);
        assert!(off < 2e-7, "{angles:?}: {off}");
    }
}
