//! Continuous motion: within its limits, without stops, from the same seed the same bits; what comes
//! too late is dropped.

use crate::common::{action, envelope, scene, workspace};
use foresight_planner::control_loop::Until;
use foresight_planner::{Action, Pose};
use foresight_robot::streamer::STREAM_HZ;
use foresight_robot::{Arm, Budget, EnvelopeConfig, Execution, Streamer, VirtualArm};
use foresight_robot::{VirtualArmConfig, WorkspaceBox};
use foresight_sim::Simulator;
use nalgebra::{Isometry3, UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const TICK_S: f64 = 1.0 / STREAM_HZ;

/// What a path sampled at the stream's rate comes to.
#[derive(Debug)]
struct Extremes {
    speed_m_s: f64,
    acceleration_m_s2: f64,
    jerk_m_s3: f64,
    /// Of the middle of the path: between its first and its last `ends` samples.
    slowest_m_s: f64,
}

fn extremes(path: &[Vector3<f64>], ends: usize) -> Extremes {
    let differ = |values: &[Vector3<f64>]| -> Vec<Vector3<f64>> {
        values.windows(2).map(|w| (w[1] - w[0]) / TICK_S).collect()
    };
    let largest = |values: &[Vector3<f64>]| values.iter().fold(0.0, |m: f64, v| m.max(v.norm()));
    let velocity = differ(path);
    let acceleration = differ(&velocity);
    let middle = &velocity[ends..velocity.len() - ends];
    Extremes {
        speed_m_s: largest(&velocity),
        acceleration_m_s2: largest(&acceleration),
        jerk_m_s3: largest(&differ(&acceleration)),
        slowest_m_s: middle.iter().fold(f64::INFINITY, |m, v| m.min(v.norm())),
    }
}

/// Streams through `ways` goals that `next` gives, each known `known_s` before the setpoint has to
/// brake; the targets sent, and where the simulated arm was then.
fn stream(
    ways: usize,
    known_s: f64,
    mut next: impl FnMut(&Isometry3<f64>) -> Isometry3<f64>,
) -> [Vec<Vector3<f64>>; 2] {
    let mut simulator = Simulator::new(&scene(1)).expect("a simulator");
    let start = simulator.arm().tcp;
    let mut streamer = Streamer::new(Budget::from(&envelope()), start);
    let (mut sent, mut measured) = (Vec::new(), Vec::new());
    let mut left = ways;
    while left > 0 || !streamer.arrived() {
        if left > 0 && streamer.brakes_in_s() <= known_s {
            streamer.turn_to(next(&streamer.goal()));
            left -= 1;
        }
        let tcp = simulator.arm().tcp;
        let target = streamer.next(simulator.time_s(), &tcp);
        sent.push(target.placement.translation.vector);
        measured.push(tcp.translation.vector);
        simulator.set_cartesian_target(target.placement);
        (0..(TICK_S / Simulator::STEP_S).round() as u32).for_each(|_| simulator.step());
        assert!(sent.len() < 20_000, "it never arrives");
    }
    [sent, measured]
}

#[test]
fn commanded_and_measured_paths_keep_to_the_limits_and_do_not_stop() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut heading: f64 = 0.3;
    // Actions of 3 to 8 cm that turn by up to 100 degrees, round about the middle of the box.
    let paths = stream(40, 0.1, |from| {
        let length = rng.random_range(0.03..0.08);
        let p = from.translation.vector;
        let inwards = (-p.y).atan2(0.5 - p.x);
        let turn = rng.random_range(-1.75..1.75_f64);
        heading += turn;
        if (p.x - 0.5).hypot(p.y) > 0.08 {
            let off = (inwards - (heading - turn))
                .sin()
                .atan2((inwards - (heading - turn)).cos());
            heading = heading - turn + off.clamp(-1.75, 1.75);
        }
        let step = Vector3::new(heading.cos(), heading.sin(), 0.0) * length;
        Isometry3::from_parts((p + step).into(), from.rotation)
    });
    // The simulated arm's tracking, which may take 1 m/s², adds its own to what it is told.
    for (path, name, most_m_s2) in [(&paths[0], "commanded", 0.5), (&paths[1], "measured", 0.7)] {
        let found = extremes(path, 40);
        println!("{name}: {found:?}");
        assert!(found.speed_m_s < 0.2 + 1e-6, "{name}: {found:?}");
        assert!(found.acceleration_m_s2 < most_m_s2, "{name}: {found:?}");
        assert!(found.jerk_m_s3 < 20.0, "{name}: {found:?}");
        assert!(found.slowest_m_s > 0.03, "{name}: {found:?}");
    }
}

#[test]
fn turns_stay_inside_the_box_and_hostile_ones_within_the_limits() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let room = WorkspaceBox {
        min_m: [0.42, -0.1, 0.12],
        max_m: [0.58, 0.1, 0.28],
    };
    // Corners of the box, reversals, turns of the hand, goals where the setpoint is already.
    let mut ways = 0;
    let [sent, _] = stream(300, 0.03, |from| {
        ways += 1;
        let p: [f64; 3] = std::array::from_fn(|i| match rng.random_range(0..4) {
            0 => room.min_m[i],
            1 => room.max_m[i],
            2 => from.translation.vector[i],
            _ => rng.random_range(room.min_m[i]..room.max_m[i]),
        });
        let turn = UnitQuaternion::from_euler_angles(0.0, 0.0, rng.random_range(-0.1..0.1));
        Isometry3::from_parts(Vector3::from(p).into(), from.rotation * turn)
    });
    let found = extremes(&sent, 40);
    println!("{ways} hostile goals: {found:?}");
    assert!(found.speed_m_s < 0.2 + 1e-6, "{found:?}");
    assert!(found.acceleration_m_s2 < 0.5, "{found:?}");
    assert!(found.jerk_m_s3 < 20.0, "{found:?}");
    let inside = |p: &Vector3<f64>| room.contains(&[p.x, p.y, p.z], 1e-6);
    let entered = sent.iter().position(inside).expect("inside");
    assert!(sent[entered..].iter().all(inside));
}

fn arm(seed: u64) -> VirtualArm {
    let limits: EnvelopeConfig = envelope();
    VirtualArm::new(&scene(seed), limits, VirtualArmConfig::default()).expect("a virtual arm")
}

/// Looks ahead and follows on with each action; where the hand rests at last, and what became of
/// them.
fn follow(arm: &mut VirtualArm, actions: &[Action]) -> (Pose, Vec<Execution>) {
    let mut executed = Vec::new();
    for (i, action) in actions.iter().enumerate() {
        let until = match i + 1 == actions.len() {
            true => Until::Rest,
            false => Until::NextLook,
        };
        let ahead = arm.look_ahead().expect("a look");
        assert_eq!(ahead.is_some(), i > 0);
        let execution = arm.follow_on(action, until).expect("executed");
        executed.push(execution.expect("in time"));
    }
    (arm.observe().expect("a look").pose, executed)
}

fn zigzag() -> Vec<Action> {
    [
        [-0.07, 0.0, 0.05],
        [-0.05, 0.05, 0.0],
        [0.0, 0.07, 0.02],
        [0.06, 0.02, -0.03],
        [0.07, -0.05, 0.0],
        [0.01, -0.004, 0.003],
    ]
    .map(|[x, y, z]| action(x, y, z, 0.0))
    .to_vec()
}

#[test]
fn actions_that_follow_on_end_where_they_add_up_to_and_take_less_time() {
    let (mut still, mut moving, mut again) = (arm(3), arm(3), arm(3));
    let from = still.observe().expect("a look").pose;
    let started_s = still.simulator().time_s();
    for action in &zigzag() {
        still.execute(action).expect("executed");
    }
    let still_s = still.simulator().time_s() - started_s;
    moving.observe().expect("a look");
    let started_s = moving.simulator().time_s();
    let (end, executed) = follow(&mut moving, &zigzag());
    let moving_s = moving.simulator().time_s() - started_s;
    println!("{still_s:.2} s with stops, {moving_s:.2} s without");
    assert!(moving_s < 0.7 * still_s, "{moving_s} {still_s}");
    assert_eq!(moving.refused_targets(), 0, "{:?}", moving.last_refusal());

    let wanted = zigzag()
        .iter()
        .fold(from, |pose, action| pose.apply(action));
    assert!(end.distance_m(&wanted) < 0.001, "{end:?} {wanted:?}");
    let last = executed.last().expect("the last");
    assert!(last.settled && !last.under_way);
    for execution in &executed[..executed.len() - 1] {
        assert!(execution.under_way && !execution.settled);
    }
    for execution in &executed[1..] {
        let handover = execution.handover.expect("handed over in motion");
        assert!(handover.decided_s <= handover.allowed_s, "{handover:?}");
    }
    again.observe().expect("a look");
    let same = follow(&mut again, &zigzag());
    assert!(same == (end, executed), "two runs differ");
}

#[test]
fn what_is_still_to_be_done_is_told_from_the_pose_of_the_frame() {
    let mut arm = arm(3);
    let from = arm.observe().expect("a look").pose;
    let way = action(0.06, 0.04, 0.0, 0.0);
    arm.follow_on(&way, Until::NextLook).expect("executed");
    let ahead = arm.look_ahead().expect("a look").expect("under way");
    let at = ahead.observation.pose;
    assert!(!ahead.observation.settled && at.distance_m(&from) > 0.005);
    let end = at.apply(&ahead.committed);
    assert!(end.distance_m(&from.apply(&way)) < 1e-6, "{end:?}");
    assert_eq!(ahead.committed.gripper, 0.0);
}

#[test]
fn a_late_decision_is_dropped_and_the_arm_rests_at_its_committed_goal() {
    let mut arm = arm(3);
    let from = arm.observe().expect("a look").pose;
    let way = action(0.06, 0.04, 0.0, 0.0);
    arm.follow_on(&way, Until::NextLook).expect("executed");
    arm.look_ahead().expect("a look").expect("under way");
    arm.set_latency_s(1.5);
    let late = arm.follow_on(&action(0.0, -0.07, 0.0, 0.0), Until::Rest);
    assert_eq!(late.expect("no error"), None);
    assert!(arm.look_ahead().expect("a look").is_none());
    let rest = arm.observe().expect("a look");
    assert!(rest.settled && rest.pose.distance_m(&from.apply(&way)) < 0.001);
    // At rest a decision may take as long as it takes.
    let next = arm.follow_on(&action(0.0, -0.05, 0.0, 0.0), Until::Rest);
    assert!(next.expect("executed").expect("not dropped").settled);
}

#[test]
fn random_and_hostile_actions_in_motion_stay_in_the_box() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let (mut handed_over, mut dropped, mut fingers) = (0, 0, 0);
    for seed in 0..20 {
        let mut arm = arm(seed);
        for _ in 0..12 {
            let action =
                Action::from_array(std::array::from_fn(|i| match rng.random_range(0..40) {
                    0 => f64::NAN,
                    1 => rng.random_range(-1e9..1e9),
                    2 => [0.075, -0.075][rng.random_range(0..2)],
                    _ if i < 3 => rng.random_range(-0.1..0.1),
                    _ if i < 6 => rng.random_range(-0.1..0.1),
                    _ => [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0][rng.random_range(0..7)],
                }));
            let ahead = arm.look_ahead().expect("a look");
            match arm.follow_on(&action, Until::NextLook).expect("executed") {
                Some(execution) => {
                    handed_over += u32::from(execution.handover.is_some());
                    let moved_fingers = execution.sent.gripper.abs() > 0.1;
                    fingers += u32::from(moved_fingers);
                    let still = execution.commanded_pose.gripper - execution.reached_pose.gripper;
                    let under_way = execution.under_way && still.abs() > 0.3;
                    assert!(!under_way || !moved_fingers, "{execution:?}");
                }
                None => dropped += u32::from(ahead.is_some()),
            }
            let measured = arm.simulator().pose().position_m;
            assert!(workspace().contains(&measured, 0.001), "{measured:?}");
        }
        assert_eq!(arm.refused_targets(), 0, "{:?}", arm.last_refusal());
    }
    println!("{handed_over} handed over, {dropped} dropped, {fingers} moved the fingers");
    assert!(handed_over > 40 && fingers > 8);
}
