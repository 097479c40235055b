//! The precomputed chain against franka-rs' own model, and inverse against forward kinematics.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::time::Instant;

use foresight_kinematics::hand::FLANGE_TO_TCP_M;
use foresight_kinematics::{Fr3, IkError, IkOptions, READY};
use franka::model::{Frame, Model, FR3_URDF};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

/// Joint angles spread over the whole range, without a random generator.
fn configurations(count: usize) -> Vec<[f64; 7]> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            std::array::from_fn(|i| {
                let (low, high) = Fr3::limits()[i];
                low + 0.1 + (high - low - 0.2) * next()
            })
        })
        .collect()
}

fn hand_on_flange() -> [f64; 16] {
    let hand = Isometry3::from_parts(
        Translation3::new(0.0, 0.0, FLANGE_TO_TCP_M),
        UnitQuaternion::from_axis_angle(&Vector3::z_axis(), -std::f64::consts::FRAC_PI_4),
    );
    let mut columns = [0.0; 16];
    columns.copy_from_slice(hand.to_homogeneous().as_slice());
    columns
}

#[test]
fn poses_and_jacobian_equal_franka_rs() {
    let (fr3, model) = (Fr3::new().unwrap(), Model::from_urdf(FR3_URDF).unwrap());
    let (hand, mut eye) = (hand_on_flange(), [0.0; 16]);
    (0..4).for_each(|i| eye[5 * i] = 1.0);
    for q in configurations(200) {
        let theirs = model.pose_q(Frame::EndEffector, &q, &hand, &eye);
        let ours = fr3.tcp_pose(&q).to_homogeneous();
        for (a, b) in ours.as_slice().iter().zip(theirs) {
            assert!((a - b).abs() < 1e-9, "{ours} {theirs:?}");
        }
        let theirs = model.zero_jacobian_q(Frame::EndEffector, &q, &hand, &eye);
        for (a, b) in fr3.jacobian(&q).as_slice().iter().zip(theirs) {
            assert!((a - b).abs() < 1e-9);
        }
        let links = fr3.link_poses(&q);
        for (index, frame) in Frame::ALL.into_iter().take(7).enumerate() {
            let theirs = model.pose_q(frame, &q, &hand, &eye);
            let ours = links.links[index + 1].to_homogeneous();
            for (a, b) in ours.as_slice().iter().zip(theirs) {
                assert!((a - b).abs() < 1e-9);
            }
        }
        let tip = links.hand * Translation3::new(0.0, 0.0, FLANGE_TO_TCP_M);
        assert!((tip.translation.vector - fr3.tcp_pose(&q).translation.vector).norm() < 1e-12);
    }
}

#[test]
fn ready_points_the_hand_down_over_the_table() {
    let tcp = Fr3::new().unwrap().tcp_pose(&READY);
    let down = tcp.rotation * Vector3::z();
    assert!(
        (down + Vector3::z()).norm() < 1e-9,
        "hand points along {down}"
    );
    let x = tcp.rotation * Vector3::x();
    assert!((x - Vector3::x()).norm() < 1e-9, "tool x is {x}");
    assert!(
        (0.3..0.32).contains(&tcp.translation.x),
        "{}",
        tcp.translation
    );
}

#[test]
fn inverse_reaches_the_workspace_and_does_not_depend_on_the_seed() {
    let fr3 = Fr3::new().unwrap();
    let options = IkOptions::default();
    for x in [0.33, 0.5, 0.67] {
        for y in [-0.25, 0.0, 0.25] {
            for z in [0.01, 0.15, 0.4] {
                for yaw in [-0.5, 0.0, 0.5] {
                    let target = Isometry3::from_parts(
                        Translation3::new(x, y, z),
                        UnitQuaternion::from_euler_angles(std::f64::consts::PI, 0.0, yaw),
                    );
                    let from_ready = fr3.solve_ik(&target, &READY, &options).unwrap();
                    let reached = fr3.tcp_pose(&from_ready);
                    assert!((reached.translation.vector - target.translation.vector).norm() < 1e-6);
                    assert!(reached.rotation.angle_to(&target.rotation) < 1e-6);
                    let other = [0.3, -0.4, -0.3, -2.0, 0.2, 1.8, 0.5];
                    let from_other = fr3.solve_ik(&target, &other, &options).unwrap();
                    for (a, b) in from_ready.iter().zip(from_other) {
                        assert!(
                            (a - b).abs() < 2e-3,
                            "elbow differs: {from_ready:?} {from_other:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn solutions_keep_the_margin_and_unreachable_poses_are_errors() {
    let fr3 = Fr3::new().unwrap();
    let options = IkOptions::default();
    let far = Isometry3::from_parts(
        Translation3::new(1.2, 0.0, 0.2),
        UnitQuaternion::from_euler_angles(std::f64::consts::PI, 0.0, 0.0),
    );
    match fr3.solve_ik(&far, &READY, &options) {
        Err(IkError::Unreachable { error_m, .. }) => assert!(error_m > 0.2, "{error_m}"),
        other => panic!("expected unreachable, got {other:?}"),
    }
    let broken = Isometry3::translation(f64::NAN, 0.0, 0.0);
    assert_eq!(
        fr3.solve_ik(&broken, &READY, &options),
        Err(IkError::NotFinite)
    );
    for q in configurations(50) {
        if let Ok(solution) = fr3.solve_ik(&fr3.tcp_pose(&q), &READY, &options) {
            for (angle, (low, high)) in solution.iter().zip(Fr3::limits()) {
                assert!(*angle >= low + 0.0199 && *angle <= high - 0.0199);
            }
        }
    }
}

#[test]
fn a_warm_step_takes_microseconds() {
    let fr3 = Fr3::new().unwrap();
    let options = IkOptions::default();
    let mut target = fr3.tcp_pose(&READY);
    let mut q = READY;
    let started = Instant::now();
    for _ in 0..1000 {
        target.translation.x += 1e-4;
        (q, _, _) = fr3.ik_step(&target, &q, &options);
    }
    let micros = started.elapsed().as_secs_f64() * 1e3;
    let off = (fr3.tcp_pose(&q).translation.vector - target.translation.vector).norm();
    assert!(off < 1e-6, "{off}");
    // A step measures about 1 µs; the bound only catches something gone badly wrong.
    assert!(micros < 500.0, "{micros:.1} µs a step");
    println!("{micros:.2} µs a step");
}
