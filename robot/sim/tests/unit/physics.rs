//! Unit tests of `src/physics.rs`.

use super::*;
use crate::distribution::SceneDistribution;
use crate::scene::ObjectKind;

const DT_S: f64 = 0.002;

/// A flat box on the table, the hand far above it.
fn with_friction(friction: f64) -> Physics {
    let mut object = SceneDistribution::default().sample(1).object;
    object.kind = ObjectKind::Box;
    object.size_m = [0.06, 0.06, 0.02];
    object.position_m = [0.2, 0.0];
    object.friction = friction;
    let hand = Isometry3::translation(0.2, 0.0, 0.6);
    let mut physics = Physics::new(&object, &hand, 0.08, DT_S);
    (0..250).for_each(|_| physics.step(&hand, 0.04));
    physics
}

fn slide_m(friction: f64, speed_m_s: f32) -> f64 {
    let hand = Isometry3::translation(0.2, 0.0, 0.6);
    let mut physics = with_friction(friction);
    let before = physics.object_pose().translation.x;
    physics.physics.bodies[physics.object].set_linvel(Vector::new(speed_m_s, 0.0, 0.0), true);
    (0..1500).for_each(|_| physics.step(&hand, 0.04));
    physics.object_pose().translation.x - before
}

#[test]
fn a_sliding_object_stops_where_coulomb_says() {
    // Soft contacts press unevenly in time: a slippery box goes an eighth further.
    let wrong: Vec<String> = [(0.05, 0.4), (0.2, 0.6), (0.8, 1.0), (0.95, 1.0)]
        .into_iter()
        .map(|(friction, speed_m_s)| {
            let expected_m = f64::from(speed_m_s).powi(2) / (2.0 * friction * 9.81);
            (friction, slide_m(friction, speed_m_s), expected_m)
        })
        .filter(|(_, slid_m, expected_m)| (slid_m / expected_m - 1.0).abs() > 0.15)
        .map(|(friction, slid, expected)| format!("{friction}: {slid:.4} of {expected:.4} m"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_creeps_goes_on_creeping_and_what_rests_rests() {
    let hand = Isometry3::translation(0.2, 0.0, 0.6);
    let mut creeping = with_friction(0.0);
    let from = creeping.object_pose();
    let object = creeping.object;
    creeping.physics.bodies[object].set_linvel(Vector::new(1e-3, 0.0, 0.0), true);
    let mut resting = with_friction(0.9);
    let rest = resting.object_pose();
    for _ in 0..5000 {
        creeping.step(&hand, 0.04);
        resting.step(&hand, 0.04);
    }
    let crept_m = creeping.object_pose().translation.x - from.translation.x;
    assert!((crept_m - 0.01).abs() < 1e-3, "{crept_m}");
    let off = rest.inverse() * resting.object_pose();
    assert!(
        off.translation.vector.norm() < 1e-5 && off.rotation.angle() < 1e-4,
        "{off}"
    );
}
