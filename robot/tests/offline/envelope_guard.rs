//! Ten thousand action sequences, random and hostile, through envelope and streamer against
//! franka-node's own guard: nothing outside the box, nothing over the budget, nothing refused.

use crate::common::{envelope, workspace};
use foresight_kinematics::{Fr3, IkOptions, READY};
use foresight_planner::{Action, Pose};
use foresight_robot::envelope::Admitted;
use foresight_robot::se3::{self, angle_rad, distance_m};
use foresight_robot::streamer::STREAM_HZ;
use foresight_robot::{Budget, Envelope, Streamer};
use franka_node::{Guard, GuardOptions, Kind, TargetMsg, Verdict};
use nalgebra::Isometry3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEQUENCES: u32 = 10_000;
const ACTIONS: u32 = 4;
const CLIENT: u32 = 7;
/// Time between two targets, s.
const TICK_S: f64 = 1.0 / STREAM_HZ;
/// The arm follows its target with this lag, s: about what a real one shows.
const LAG_S: f64 = 0.08;

/// How the actions of a sequence are made up.
#[derive(Debug, Clone, Copy)]
enum Kinds {
    Modest,
    Wild,
    Hostile,
    Alternating,
}

fn random_action(rng: &mut ChaCha8Rng, kinds: Kinds, step: u32) -> Action {
    const NASTY: [f64; 8] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        1e-308,
        -0.0,
        1e9,
    ];
    let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
    Action::from_array(std::array::from_fn(|i| match kinds {
        Kinds::Modest if i < 3 => rng.random_range(-0.075..=0.075),
        Kinds::Modest => rng.random_range(-0.1..=0.1),
        Kinds::Wild => rng.random_range(-2.0..=2.0),
        Kinds::Hostile if rng.random_bool(0.3) => NASTY[rng.random_range(0..NASTY.len())],
        Kinds::Hostile => rng.random_range(-1.0..=1.0),
        Kinds::Alternating => sign * rng.random_range(0.05..=10.0),
    }))
}

/// An arm that follows with a lag, seen with a delay of one state.
struct LaggingArm {
    now: Isometry3<f64>,
    seen: Isometry3<f64>,
}

impl LaggingArm {
    fn follow(&mut self, target: &Isometry3<f64>) {
        self.seen = self.now;
        let part = 1.0 - (-TICK_S / LAG_S).exp();
        self.now = self.now.lerp_slerp(target, part);
    }
}

#[derive(Default)]
struct Extremes {
    speed_m_s: f64,
    acceleration_m_s2: f64,
    turn_rad_s: f64,
    targets: u64,
    admitted: u64,
    changed: u64,
    refused_actions: u64,
}

#[test]
fn ten_thousand_sequences_pass_the_real_guard() {
    let limits = envelope();
    let budget = Budget::from(&limits);
    let envelope = Envelope::new(limits).expect("valid limits");
    let arm_model = Fr3::new().expect("the bundled model");
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_121);
    let mut seen = Extremes::default();
    for sequence in 0..SEQUENCES {
        let kinds = match sequence % 4 {
            0 => Kinds::Modest,
            1 => Kinds::Wild,
            2 => Kinds::Hostile,
            _ => Kinds::Alternating,
        };
        let b = workspace();
        let start = Pose {
            position_m: std::array::from_fn(|i| {
                let low = b.min_m[i].max(limits.floor_m() * f64::from(u8::from(i == 2)));
                rng.random_range(low..=b.max_m[i])
            }),
            euler_rad: [std::f64::consts::PI, 0.0, rng.random_range(-0.6..=0.6)],
            gripper: 0.0,
        };
        let at = start.isometry();
        let Ok(joints) = arm_model.solve_ik(&at, &READY, &IkOptions::default()) else {
            continue;
        };
        play(&mut rng, kinds, &envelope, &budget, at, joints, &mut seen);
    }
    println!(
        "{SEQUENCES} sequences: {} actions admitted ({} of them changed), {} refused; {} targets, \
         at most {:.3} m/s, {:.2} m/s², {:.2} rad/s; 0 outside the box, 0 refused by the guard",
        seen.admitted,
        seen.changed,
        seen.refused_actions,
        seen.targets,
        seen.speed_m_s,
        seen.acceleration_m_s2,
        seen.turn_rad_s
    );
    assert!(seen.admitted > 20_000 && seen.refused_actions > 3_000);
    assert!(seen.changed > 10_000 && seen.targets > 500_000);
}

fn play(
    rng: &mut ChaCha8Rng,
    kinds: Kinds,
    envelope: &Envelope,
    budget: &Budget,
    at: Isometry3<f64>,
    mut joints: [f64; 7],
    seen: &mut Extremes,
) {
    let mut guard = Guard::new(GuardOptions::default(), se3::to_wire(&at)).expect("a usable pose");
    guard.set_holder(CLIENT, 0);
    let mut streamer = Streamer::new(*budget, at);
    let mut arm = LaggingArm { now: at, seen: at };
    let (mut tick, mut last, mut last_speed) = (0_u64, at, 0.0);
    for step in 0..ACTIONS {
        let action = random_action(rng, kinds, step);
        // A planner that changes its mind in the middle of a motion, too.
        let ticks = if rng.random_bool(0.3) { 12 } else { 90 };
        let from = Pose::from_isometry(&arm.seen, 0.0);
        match envelope.admit(&from, &joints, &action) {
            Ok(Admitted {
                placement,
                joints_rad,
                changed,
                ..
            }) => {
                assert!(action.to_array().iter().all(|v| v.is_finite()));
                seen.admitted += 1;
                seen.changed += u64::from(!changed.is_empty());
                joints = joints_rad;
                streamer.set_goal(placement);
            }
            Err(_) => seen.refused_actions += 1,
        }
        for _ in 0..ticks {
            tick += 1;
            let now_ns = tick * 20_000_000;
            let target = streamer.next(tick as f64 * TICK_S, &arm.seen);
            let mut msg = TargetMsg::new(Kind::Cartesian, CLIENT, tick, now_ns, target.data());
            if target.anchor {
                msg = msg.with_anchor();
            }
            let reference = se3::to_wire(&arm.seen);
            let verdict = guard.check(&msg, now_ns, Some(&reference));
            assert_eq!(verdict, Verdict::Accept, "{kinds:?} {action:?}");
            check_target(&target.placement, envelope);
            let speed = distance_m(&last, &target.placement) / TICK_S;
            let acceleration = (speed - last_speed).abs() / TICK_S;
            let turn = angle_rad(&last, &target.placement) / TICK_S;
            assert!(speed <= budget.speed_m_s + 1e-6, "{speed}");
            assert!(turn <= budget.rotation_speed_rad_s + 1e-6, "{turn}");
            seen.speed_m_s = seen.speed_m_s.max(speed);
            seen.turn_rad_s = seen.turn_rad_s.max(turn);
            // Speeding up is bounded; a setpoint that waits for the arm stops at once.
            if speed > last_speed {
                assert!(
                    acceleration <= budget.acceleration_m_s2 * 1.01 + 1e-6,
                    "{acceleration}"
                );
                seen.acceleration_m_s2 = seen.acceleration_m_s2.max(acceleration);
            }
            (last, last_speed) = (target.placement, speed);
            seen.targets += 1;
            arm.follow(&target.placement);
        }
    }
}

fn check_target(target: &Isometry3<f64>, envelope: &Envelope) {
    let p = target.translation.vector;
    let inside = envelope.config().workspace.contains(&[p.x, p.y, p.z], 1e-9);
    assert!(inside && p.z >= envelope.config().floor_m() - 1e-9, "{p:?}");
}
