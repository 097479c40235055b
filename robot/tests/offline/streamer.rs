//! The set-point's way to its goal: limits, waiting, blocking, pulling back.

use foresight_robot::se3::{self, distance_m};
use foresight_robot::streamer::{BLOCKED_S, MAX_TICK_S, STREAM_HZ, TRACKING_ERROR_M};
use foresight_robot::{Budget, Streamer};
use franka_node::{Guard, GuardOptions, Kind, TargetMsg, Verdict};
use nalgebra::{Isometry3, Translation3, UnitQuaternion};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const TICK_S: f64 = 1.0 / STREAM_HZ;

fn at(x: f64, y: f64, z: f64) -> Isometry3<f64> {
    Isometry3::from_parts(Translation3::new(x, y, z), UnitQuaternion::identity())
}

fn budget() -> Budget {
    Budget {
        speed_m_s: 0.2,
        acceleration_m_s2: 0.5,
        rotation_speed_rad_s: 0.45,
        rotation_acceleration_rad_s2: 0.9,
        jerk_m_s3: 20.0,
    }
}

/// A plain arm: follows the target as a first-order lag under a speed limit.
struct Lag {
    place: Isometry3<f64>,
    time_constant_s: f64,
    speed_m_s: f64,
}

impl Lag {
    fn follow(&mut self, target: &Isometry3<f64>) {
        let error = target.translation.vector - self.place.translation.vector;
        let mut step = error * (1.0 - (-TICK_S / self.time_constant_s).exp());
        if step.norm() > self.speed_m_s * TICK_S {
            step *= self.speed_m_s * TICK_S / step.norm();
        }
        self.place.translation.vector += step;
        let part = 1.0 - (-TICK_S / self.time_constant_s).exp();
        self.place.rotation = self.place.rotation.slerp(&target.rotation, part);
    }
}

/// Streams to every goal in turn, each for `ticks`; returns refusals and the largest target
/// speed and acceleration seen.
fn stream(goals: &[Isometry3<f64>], ticks: u32, arm: &mut Lag) -> (u32, f64, f64) {
    let mut streamer = Streamer::new(budget(), arm.place);
    let mut guard =
        Guard::new(GuardOptions::default(), se3::to_wire(&arm.place)).expect("a valid start");
    guard.set_holder(7, 0);
    let (mut seq, mut refused) = (0_u32, 0_u32);
    let (mut top, mut hardest) = (0.0_f64, 0.0_f64);
    let mut previous = (arm.place, 0.0);
    for goal in goals {
        streamer.set_goal(*goal);
        for _ in 0..ticks {
            seq += 1;
            let now_s = f64::from(seq) * TICK_S;
            let target = streamer.next(now_s, &arm.place);
            let mut msg = TargetMsg::new(Kind::Cartesian, 7, u64::from(seq), 0, target.data());
            if target.anchor {
                msg = msg.with_anchor();
            }
            let reference = se3::to_wire(&arm.place);
            let verdict = guard.check(&msg, (now_s * 1e9) as u64, Some(&reference));
            refused += u32::from(verdict != Verdict::Accept);
            let speed = distance_m(&previous.0, &target.placement) / TICK_S;
            top = top.max(speed);
            hardest = hardest.max((speed - previous.1).abs() / TICK_S);
            previous = (target.placement, speed);
            arm.follow(&target.placement);
        }
    }
    (refused, top, hardest)
}

#[test]
fn one_action_arrives_within_speed_and_acceleration() {
    let mut arm = Lag {
        place: at(0.4, 0.0, 0.3),
        time_constant_s: 0.05,
        speed_m_s: 0.3,
    };
    let goal = at(0.475, 0.075, 0.225);
    let (refused, top, hardest) = stream(&[goal], 100, &mut arm);
    assert_eq!(refused, 0);
    assert!(distance_m(&arm.place, &goal) < 1e-4);
    assert!(top <= 0.2 + 1e-9, "{top}");
    assert!(hardest <= 0.5 * 1.3, "{hardest}");
}

#[test]
fn a_slow_arm_is_waited_for() {
    let mut arm = Lag {
        place: at(0.4, 0.0, 0.3),
        time_constant_s: 0.1,
        speed_m_s: 0.05,
    };
    let goal = at(0.475, 0.075, 0.225);
    let (refused, ..) = stream(&[goal], 60, &mut arm);
    assert_eq!(refused, 0);
    assert!(distance_m(&arm.place, &goal) > 0.05, "still on its way");
    let (refused, ..) = stream(&[goal], 200, &mut arm);
    assert_eq!(refused, 0);
    assert!(distance_m(&arm.place, &goal) < 1e-3);
}

#[test]
fn goals_that_jump_about_are_braked_for_and_never_refused() {
    let mut arm = Lag {
        place: at(0.4, 0.0, 0.3),
        time_constant_s: 0.05,
        speed_m_s: 0.3,
    };
    let goals: Vec<_> = (0..400)
        .map(|i| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let turn = UnitQuaternion::from_euler_angles(0.2 * sign, 0.0, 0.3 * sign);
            Isometry3::from_parts(Translation3::new(0.5, 0.2 * sign, 0.3), turn)
        })
        .collect();
    let (refused, top, hardest) = stream(&goals, 7, &mut arm);
    assert_eq!(refused, 0);
    assert!(top <= 0.2 + 1e-9, "{top}");
    assert!(hardest <= 0.5 * 1.3, "{hardest}");
}

#[test]
fn a_pushed_arm_pulls_the_target_along() {
    let start = at(0.4, 0.0, 0.3);
    let mut streamer = Streamer::new(budget(), start);
    let mut guard =
        Guard::new(GuardOptions::default(), se3::to_wire(&start)).expect("a valid start");
    guard.set_holder(7, 0);
    let mut refused = 0;
    for tick in 1..200_u32 {
        // A hand drags the arm 20 cm away within 50 ms and keeps it there.
        let measured = if tick < 20 { start } else { at(0.4, 0.2, 0.3) };
        let target = streamer.next(f64::from(tick) * TICK_S, &measured);
        let mut msg = TargetMsg::new(Kind::Cartesian, 7, u64::from(tick), 0, target.data());
        if target.anchor {
            msg = msg.with_anchor();
        }
        let reference = se3::to_wire(&measured);
        let now_ns = u64::from(tick) * 20_000_000;
        refused += u32::from(guard.check(&msg, now_ns, Some(&reference)) != Verdict::Accept);
        assert!(distance_m(&target.placement, &measured) <= TRACKING_ERROR_M + 1e-9);
    }
    assert_eq!(refused, 0);
    assert!(
        distance_m(&streamer.goal(), &start) < 1e-9,
        "the goal stays"
    );
}

#[test]
fn a_late_tick_makes_no_long_step() {
    let start = at(0.4, 0.0, 0.3);
    let mut streamer = Streamer::new(budget(), start);
    streamer.set_goal(at(0.6, 0.0, 0.3));
    let mut now_s = 0.0;
    let mut place = start;
    for _ in 0..10 {
        now_s += TICK_S;
        place = streamer.next(now_s, &place).placement;
    }
    now_s += 5.0;
    let after_pause = streamer.next(now_s, &place).placement;
    assert!(distance_m(&place, &after_pause) <= 0.2 * MAX_TICK_S + 1e-9);
}

#[test]
fn an_arm_that_meets_something_is_reported_blocked() {
    let start = at(0.4, 0.0, 0.3);
    let mut streamer = Streamer::new(budget(), start);
    streamer.set_goal(at(0.4, 0.0, 0.2));
    let (mut blocked_at_s, mut free) = (None, 0.3);
    for tick in 1..100_u32 {
        let now_s = f64::from(tick) * TICK_S;
        // The table holds it after a centimetre.
        let setpoint = streamer.next(now_s, &at(0.4, 0.0, free));
        free = setpoint.placement.translation.z.max(0.29);
        if setpoint.blocked {
            blocked_at_s.get_or_insert(now_s);
        }
    }
    let at_s = blocked_at_s.expect("blocked");
    assert!(at_s > BLOCKED_S && at_s < 1.5, "{at_s}");
    // Led back to where the arm is, it is free again.
    streamer.set_goal(at(0.4, 0.0, 0.29));
    let mut target = streamer.next(2.0, &at(0.4, 0.0, 0.29));
    for tick in 101..200_u32 {
        target = streamer.next(f64::from(tick) * TICK_S, &at(0.4, 0.0, 0.29));
    }
    assert!(target.arrived && !target.blocked);
}

/// Random goals, an arm of random laziness, states that are 40 ms old, a tenth of the targets
/// lost on the way: still nothing is refused.
#[test]
fn old_states_and_lost_targets_lead_to_no_refusal() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut judged = 0;
    for _ in 0..200 {
        let start = at(0.5, 0.0, 0.3);
        let mut arm = Lag {
            place: start,
            time_constant_s: rng.random_range(0.02..0.3),
            speed_m_s: rng.random_range(0.05..0.4),
        };
        let mut streamer = Streamer::new(budget(), start);
        let mut guard =
            Guard::new(GuardOptions::default(), se3::to_wire(&start)).expect("a valid start");
        guard.set_holder(7, 0);
        let mut history = vec![start; 3];
        let mut followed = start;
        for tick in 1..200_u32 {
            if rng.random_bool(0.05) {
                let turn = UnitQuaternion::from_euler_angles(
                    rng.random_range(-0.5..0.5),
                    rng.random_range(-0.5..0.5),
                    rng.random_range(-1.0..1.0),
                );
                let [x, y, z] = std::array::from_fn(|_| rng.random_range(-0.3..0.3));
                let goal = Isometry3::from_parts(Translation3::new(0.5 + x, y, 0.3 + z), turn);
                streamer.set_goal(goal);
            }
            let now_s = f64::from(tick) * TICK_S;
            let target = streamer.next(now_s, &history[history.len() - 3]);
            if !rng.random_bool(0.1) {
                let seq = u64::from(tick);
                let mut msg = TargetMsg::new(Kind::Cartesian, 7, seq, 0, target.data());
                if target.anchor {
                    msg = msg.with_anchor();
                }
                let reference = se3::to_wire(&arm.place);
                let verdict = guard.check(&msg, (now_s * 1e9) as u64, Some(&reference));
                assert_eq!(verdict, Verdict::Accept, "tick {tick}");
                followed = target.placement;
                judged += 1;
            }
            arm.follow(&followed);
            history.push(arm.place);
        }
    }
    assert!(judged > 30_000);
}
