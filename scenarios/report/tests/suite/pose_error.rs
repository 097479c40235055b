//! How far a replayed pose is from the recorded one.

use foresight_planner::Pose;
use foresight_runs::replay::PoseError;
use std::f64::consts::PI;

/// Rotations on a grid with exact half turns, where the hand points down.
fn grid() -> Vec<Pose> {
    let steps: Vec<f64> = (-8..=8).map(|k| f64::from(k) * PI / 8.0).collect();
    let mut poses = Vec::new();
    for a in &steps {
        for b in &steps {
            for c in &steps {
                poses.push(Pose::from_array([0.5, 0.0, 0.3, *a, *b, *c, 0.0]));
            }
        }
    }
    poses
}

#[test]
fn equal_and_nearly_equal_rotations_are_no_angle_apart() {
    for pose in grid() {
        let same = PoseError::between(&pose, &pose);
        assert!(same.rotation_deg < 1e-5, "{pose:?}: {same:?}");
        // Poses come from cameras and files in single precision too.
        let mut rounded = pose;
        rounded.euler_rad = pose.euler_rad.map(|v| f64::from(v as f32));
        let near = PoseError::between(&pose, &rounded);
        assert!(near.rotation_deg < 1e-4, "{pose:?}: {near:?}");
    }
}

#[test]
fn half_turns_are_half_turns() {
    for axis in 0..3 {
        for pose in grid() {
            let mut turn = foresight_planner::Action::default();
            turn.rotation_rad[axis] = PI;
            let error = PoseError::between(&pose, &pose.apply(&turn));
            assert!(
                (error.rotation_deg - 180.0).abs() < 1e-4,
                "{pose:?}: {error:?}"
            );
        }
    }
}

#[test]
fn nearly_equal_orientations_are_within_any_tolerance() {
    for i in 0..2000 {
        let i = f64::from(i);
        let recorded = [3.1 + 4e-5 * i, 0.02 * i.sin(), -1.5 + 1.5e-3 * i];
        let pose = |euler_rad| Pose {
            position_m: [0.5, 0.0, 0.2],
            euler_rad,
            gripper: 0.0,
        };
        let replayed = recorded.map(|v| v + 1e-12);
        let error = PoseError::between(&pose(recorded), &pose(replayed));
        assert!(error.rotation_deg < 1e-9, "{recorded:?}: {error:?}");
    }
}
