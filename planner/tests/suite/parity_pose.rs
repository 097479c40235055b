//! Poses and actions against the official code, fixture kind 04.

use std::f64::consts::{FRAC_PI_2, TAU};

use crate::fixtures::{all, Fixture};
use foresight_planner::{actions_between, euler, Action, Pose};
use nalgebra::Matrix3;

const TOLERANCE: f64 = 1e-9;
const TOLERANCE_NEW_POSE: f64 = 2.5e-7;
/// Nearer to pitch ±90° than this, angles are compared as rotations: the two outer angles are
/// no longer told apart.
const GIMBAL_RAD: f64 = 1e-3;

fn rows<const N: usize>(fixture: &Fixture, name: &str) -> Vec<[f64; N]> {
    let (shape, values) = fixture.tensor(name);
    assert_eq!(shape[1..].iter().product::<usize>(), N, "{name}");
    let row = |r: &[f64]| r.try_into().expect("whole rows");
    values.chunks_exact(N).map(row).collect()
}

fn matrix(row_major: &[f64; 9]) -> Matrix3<f64> {
    Matrix3::from_row_slice(row_major)
}

/// Difference of two 7-vectors: angles modulo 2π, or as rotations near gimbal lock.
fn difference(ours: &[f64; 7], official: &[f64; 7]) -> f64 {
    let mut worst = 0.0f64;
    for i in [0, 1, 2, 6] {
        worst = worst.max((ours[i] - official[i]).abs());
    }
    let angles = |v: &[f64; 7]| [v[3], v[4], v[5]];
    if (official[4].abs() - FRAC_PI_2).abs() < GIMBAL_RAD {
        let (a, b) = (
            euler::to_matrix(angles(ours)),
            euler::to_matrix(angles(official)),
        );
        return worst.max((a - b).amax());
    }
    for i in 3..6 {
        let d = (ours[i] - official[i]).rem_euclid(TAU);
        worst = worst.max(d.min(TAU - d));
    }
    worst
}

fn assert_rows(fixture: &Fixture, what: &str, ours: &[[f64; 7]], tolerance: f64) {
    let official = rows::<7>(fixture, what);
    assert_eq!(ours.len(), official.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(&official).enumerate() {
        let d = difference(a, b);
        let name = &fixture.name;
        assert!(
            d <= tolerance,
            "{name} {what}[{i}]: off by {d:e}\n ours {a:?}\n official {b:?}"
        );
    }
}

/// `xyz` and the gripper rounded to f32 where the official code computes them in f32.
fn single(mut v: [f64; 7]) -> [f64; 7] {
    for i in [0, 1, 2, 6] {
        v[i] = f64::from(v[i] as f32);
    }
    v
}

#[test]
fn parity_04_new_pose() {
    for fixture in all("04_pose") {
        let poses = rows::<7>(&fixture, "in.pose_f32");
        let actions = rows::<7>(&fixture, "in.action_f32");
        let matrices = rows::<9>(&fixture, "out.new_pose_rotmat_f64");
        let mut ours = Vec::new();
        for ((pose, action), expected) in poses.iter().zip(&actions).zip(&matrices) {
            let (pose, action) = (Pose::from_array(*pose), Action::from_array(*action));
            let new = pose.apply(&action);
            // The exact product; angles in gimbal lock give it back a little less exactly.
            let product = euler::to_matrix(action.rotation_rad) * pose.rotation();
            let off = (product - matrix(expected)).amax();
            assert!(off <= TOLERANCE, "{}: product off by {off:e}", fixture.name);
            let off = (new.rotation() - matrix(expected)).amax();
            assert!(
                off <= TOLERANCE_NEW_POSE,
                "{}: rotation off by {off:e}",
                fixture.name
            );
            ours.push(new.to_array().map(|v| f64::from(v as f32)));
        }
        assert_rows(&fixture, "out.new_pose", &ours, TOLERANCE_NEW_POSE);
    }
}

#[test]
fn parity_04_pose_rotation_matrices() {
    for fixture in all("04_pose") {
        let poses = rows::<7>(&fixture, "in.pose_f32");
        for (pose, expected) in poses.iter().zip(rows::<9>(&fixture, "out.pose_rotmat_f64")) {
            let off = (Pose::from_array(*pose).rotation() - matrix(&expected)).amax();
            assert!(off <= TOLERANCE, "{}: off by {off:e}", fixture.name);
        }
    }
}

#[test]
fn parity_04_action_between_two_poses() {
    for fixture in all("04_pose") {
        let starts = rows::<7>(&fixture, "in.start_f32");
        let ends = rows::<7>(&fixture, "in.end_f32");
        let matrices = rows::<9>(&fixture, "out.diff_rotmat_f64");
        let mut ours = Vec::new();
        for ((start, end), expected) in starts.iter().zip(&ends).zip(&matrices) {
            let action = Pose::from_array(*start).action_to(&Pose::from_array(*end));
            let off = (euler::to_matrix(action.rotation_rad) - matrix(expected)).amax();
            assert!(
                off <= TOLERANCE,
                "{}: rotation off by {off:e}",
                fixture.name
            );
            ours.push(single(action.to_array()));
        }
        assert_rows(&fixture, "out.diff_f64", &ours, TOLERANCE);
    }
}

#[test]
fn parity_04_actions_of_a_trajectory_and_camera_frames() {
    for fixture in all("04_pose") {
        let poses: Vec<Pose> = rows(&fixture, "in.traj_f64")
            .into_iter()
            .map(Pose::from_array)
            .collect();
        let arrays = |actions: Vec<Action>| -> Vec<[f64; 7]> {
            actions.iter().map(Action::to_array).collect()
        };
        let ours = arrays(actions_between(&poses));
        assert_rows(&fixture, "out.poses_to_diffs_f64", &ours, TOLERANCE);

        let cameras = rows::<6>(&fixture, "in.extrinsics_f64");
        let seen: Vec<Pose> = poses
            .iter()
            .zip(cameras)
            .map(|(pose, camera)| pose.seen_from(camera))
            .collect();
        let ours: Vec<[f64; 7]> = seen.iter().map(Pose::to_array).collect();
        assert_rows(&fixture, "out.transform_frame_f64", &ours, TOLERANCE);
        let matrices = rows::<9>(&fixture, "out.transform_frame_rotmat_f64");
        for (pose, expected) in seen.iter().zip(matrices) {
            let off = (pose.rotation() - matrix(&expected)).amax();
            assert!(
                off <= TOLERANCE,
                "{}: rotation off by {off:e}",
                fixture.name
            );
        }
        let ours = arrays(actions_between(&seen));
        assert_rows(&fixture, "out.poses_to_diffs_cam_f64", &ours, TOLERANCE);
    }
}
