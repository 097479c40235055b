//! When an arm counts as settled.

use foresight_robot::settle::SettleSample;
use foresight_robot::{Settle, SettleConfig};

fn sample(tick: u32, x: f64, distance_m: f64, commanded: bool) -> SettleSample {
    SettleSample {
        time_s: f64::from(tick) * 0.01,
        position_m: [x, 0.0, 0.2],
        joint_speed_rad_s: 0.001,
        distance_m,
        commanded,
    }
}

fn ticks_to_settle(mut at: impl FnMut(u32) -> SettleSample) -> Option<u32> {
    let mut settle = Settle::new(SettleConfig::default());
    (0..200).find(|tick| settle.update(&at(*tick)))
}

#[test]
fn rest_at_the_goal_settles_sooner_than_rest_elsewhere() {
    assert_eq!(ticks_to_settle(|t| sample(t, 0.4, 0.001, true)), Some(5));
    assert_eq!(ticks_to_settle(|t| sample(t, 0.4, 0.02, true)), Some(25));
}

#[test]
fn motion_pending_targets_and_stale_states_do_not_settle() {
    let moving = |t| sample(t, 0.4 + f64::from(t) * 1e-4, 0.001, true);
    assert_eq!(ticks_to_settle(moving), None);
    assert_eq!(ticks_to_settle(|t| sample(t, 0.4, 0.001, false)), None);
    assert_eq!(ticks_to_settle(|_| sample(3, 0.4, 0.001, true)), None);
    let spinning = |t| SettleSample {
        joint_speed_rad_s: 0.1,
        ..sample(t, 0.4, 0.001, true)
    };
    assert_eq!(ticks_to_settle(spinning), None);
    let broken = |t| sample(t, f64::NAN, 0.001, true);
    assert_eq!(ticks_to_settle(broken), None);
}
