//! What the envelope lets through, changes and refuses.

use foresight_kinematics::{Fr3, IkOptions, READY};
use foresight_planner::{Action, Pose};
use foresight_robot::se3::distance_m;
use foresight_robot::{Adjustment, Envelope, EnvelopeConfig, Refusal, WorkspaceBox};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DOWN: [f64; 3] = [std::f64::consts::PI, 0.0, 0.0];

fn envelope() -> Envelope {
    let config = EnvelopeConfig::new(WorkspaceBox {
        min_m: [0.35, -0.25, 0.0],
        max_m: [0.65, 0.25, 0.40],
    });
    Envelope::new(config).expect("valid limits")
}

fn pose(position_m: [f64; 3]) -> Pose {
    Pose {
        position_m,
        euler_rad: DOWN,
        gripper: 0.2,
    }
}

fn joints(pose: &Pose) -> [f64; 7] {
    Fr3::new()
        .expect("the bundled model")
        .solve_ik(&pose.isometry(), &READY, &IkOptions::default())
        .expect("reachable")
}

#[test]
fn a_modest_action_passes_as_asked() {
    let (envelope, start) = (envelope(), pose([0.5, 0.0, 0.2]));
    let action = Action::from_array([0.05, -0.06, 0.07, 0.05, -0.02, 0.1, 0.5]);
    let admitted = envelope
        .admit(&start, &joints(&start), &action)
        .expect("admitted");
    assert_eq!(admitted.changed, []);
    for (sent, asked) in admitted.sent.to_array().iter().zip(action.to_array()) {
        assert!((sent - asked).abs() < 1e-9, "{sent} {asked}");
    }
    let reached = Fr3::new()
        .expect("the bundled model")
        .tcp_pose(&admitted.joints_rad);
    assert!(distance_m(&reached, &admitted.placement) < 1e-4);
}

#[test]
fn the_turn_sent_is_the_turn_reported_even_of_half_turns() {
    use std::f64::consts::{FRAC_PI_2, PI};
    let (envelope, start) = (envelope(), pose([0.5, 0.0, 0.2]));
    let (q, rolls) = (joints(&start), [-PI, -FRAC_PI_2, 0.0, 1.0, FRAC_PI_2, PI]);
    for a in rolls {
        for b in [0.0, 0.3, FRAC_PI_2, PI] {
            for c in [-PI, -0.4, 0.0, 0.4, PI] {
                let asked = Action::from_array([0.0, 0.0, 0.0, a, b, c, 0.0]);
                let admitted = envelope.admit(&start, &q, &asked).expect("admitted");
                let turned = start.angle_rad(&admitted.goal);
                let part = admitted.changed.iter().find_map(|change| match change {
                    Adjustment::Shortened { fraction, .. } => Some(*fraction),
                    _ => None,
                });
                let reported = admitted.changed.iter().find_map(|change| match change {
                    Adjustment::Rotation { sent_rad, .. } => Some(*sent_rad),
                    _ => None,
                });
                let wanted = reported.unwrap_or_else(|| asked.angle_rad()) * part.unwrap_or(1.0);
                assert!(
                    (turned - wanted).abs() < 1e-6,
                    "{asked:?}: {turned} {wanted}"
                );
            }
        }
    }
}

#[test]
fn limits_are_applied_and_named() {
    let (envelope, start) = (envelope(), pose([0.5, 0.0, 0.2]));
    let q = joints(&start);
    let judge = |values: [f64; 7]| {
        envelope
            .admit(&start, &q, &Action::from_array(values))
            .expect("admitted")
    };
    let far = judge([0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert!((far.goal.position_m[0] - 0.575).abs() < 1e-12);
    assert!(matches!(
        far.changed[..],
        [Adjustment::Axis { axis: 'x', .. }]
    ));
    let turn = judge([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(matches!(turn.changed[..], [Adjustment::Rotation { .. }]));
    assert!((turn.goal.angle_rad(&start) - 0.26).abs() < 1e-6);
    let wide = Envelope::new(EnvelopeConfig {
        max_translation_m: 0.1,
        ..*envelope.config()
    })
    .expect("valid limits")
    .admit(
        &start,
        &q,
        &Action::from_array([0.07, 0.07, 0.07, 0.0, 0.0, 0.0, 0.0]),
    )
    .expect("admitted");
    let length: f64 = wide
        .sent
        .translation_m
        .iter()
        .map(|v| v * v)
        .sum::<f64>()
        .sqrt();
    assert!((length - 0.1).abs() < 1e-9 && matches!(wide.changed[..], [Adjustment::Length { .. }]));
}

#[test]
fn the_box_and_the_table_hold() {
    let envelope = envelope();
    let edge = pose([0.64, 0.0, 0.02]);
    let action = Action::from_array([0.05, 0.0, -0.05, 0.0, 0.0, 0.0, 0.0]);
    let admitted = envelope
        .admit(&edge, &joints(&edge), &action)
        .expect("admitted");
    assert_eq!(admitted.goal.position_m[0], 0.65);
    assert_eq!(admitted.goal.position_m[2], 0.012);
    let kinds: Vec<_> = admitted.changed.iter().map(ToString::to_string).collect();
    assert!(
        kinds
            .iter()
            .any(|k| k.contains("outside the workspace box")),
        "{kinds:?}"
    );
    assert!(kinds.iter().any(|k| k.contains("table")), "{kinds:?}");
}

#[test]
fn the_rounding_of_a_plan_is_clamped_without_a_word() {
    let (envelope, edge) = (envelope(), pose([0.64, 0.0, 0.2]));
    let over = f64::from(0.01_f32) + 2e-9;
    let action = Action::from_array([over, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let admitted = envelope
        .admit(&edge, &joints(&edge), &action)
        .expect("admitted");
    assert_eq!(admitted.goal.position_m[0], 0.65);
    assert_eq!(admitted.changed, []);
}

#[test]
fn an_arm_outside_its_box_is_led_back_or_refused() {
    let envelope = envelope();
    let still = Action::default();
    let near = pose([0.33, 0.0, 0.2]);
    let admitted = envelope
        .admit(&near, &joints(&near), &still)
        .expect("led back");
    assert_eq!(admitted.goal.position_m[0], 0.35);
    let far = pose([0.28, 0.0, 0.3]);
    let refusal = envelope
        .admit(&far, &joints(&far), &still)
        .expect_err("too far out");
    assert!(
        matches!(refusal, Refusal::OutsideBox { axis: 'x', .. }),
        "{refusal}"
    );
}

#[test]
fn what_joints_cannot_reach_is_shortened_or_refused() {
    let config = EnvelopeConfig::new(WorkspaceBox {
        min_m: [0.2, -0.5, 0.0],
        max_m: [1.2, 0.5, 0.8],
    });
    let envelope = Envelope::new(config).expect("valid limits");
    // Hand down at 0.72 m out, the arm is nearly stretched.
    let mut start = pose([0.5, 0.0, 0.2]);
    let outward = Action::from_array([0.061, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let mut shortened = false;
    for _ in 0..12 {
        match envelope.admit(&start, &joints(&start), &outward) {
            Ok(admitted) => {
                let cut = |a: &Adjustment| matches!(a, Adjustment::Shortened { .. });
                shortened |= admitted.changed.iter().any(cut);
                start = admitted.goal;
            }
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::Unreachable { .. }), "{refusal}");
                assert!(
                    start.position_m[0] > 0.6 && start.position_m[0] < 0.95,
                    "{start:?}"
                );
                assert!(shortened, "the last reachable part is still taken");
                return;
            }
        }
    }
    panic!("the arm would reach {start:?}");
}

#[test]
fn hostile_actions_never_leave_the_limits() {
    let envelope = envelope();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let hostile = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e308,
        -1e308,
        1e-300,
        -0.0,
    ];
    let mut start = pose([0.5, 0.0, 0.2]);
    let mut q = joints(&start);
    let (mut refused, mut admitted_count) = (0, 0);
    for i in 0..2000 {
        let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
        let values: [f64; 7] = std::array::from_fn(|_| match rng.random_range(0..5) {
            0 => hostile[rng.random_range(0..hostile.len())],
            1 => sign * 0.3,
            2 => sign * rng.random_range(0.0..1e6),
            _ => rng.random_range(-0.2..0.2),
        });
        let Ok(admitted) = envelope.admit(&start, &q, &Action::from_array(values)) else {
            refused += 1;
            continue;
        };
        admitted_count += 1;
        assert!(
            values.iter().all(|v| v.is_finite()),
            "{values:?} was admitted"
        );
        let goal = admitted.goal;
        assert!(
            envelope.config().workspace.contains(&goal.position_m, 0.0),
            "{goal:?}"
        );
        assert!(goal.position_m[2] >= 0.012 && (0.0..=1.0).contains(&goal.gripper));
        assert!(goal.to_array().iter().all(|v| v.is_finite()));
        let moved = admitted.sent.translation_m;
        assert!(moved.iter().all(|d| d.abs() <= 0.075 + 1e-9), "{moved:?}");
        let turned = start.angle_rad(&goal);
        assert!(turned <= 0.26 + 1e-6, "{turned}");
        for (angle, (low, high)) in admitted.joints_rad.iter().zip(Fr3::limits()) {
            assert!(*angle >= low + 0.079 && *angle <= high - 0.079);
        }
        (start, q) = (goal, admitted.joints_rad);
        start.gripper = 0.2;
    }
    assert!(
        refused > 500 && admitted_count > 100,
        "{refused} {admitted_count}"
    );
}
