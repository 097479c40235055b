//! The virtual arm: never refused, in its box, settled, and the same bits every time.

use crate::common::{action, envelope, grasp_and_lift, scene, workspace};
use foresight_planner::Action;
use foresight_robot::{Arm, Execution, VirtualArm, VirtualArmConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn arm(seed: u64) -> VirtualArm {
    VirtualArm::new(&scene(seed), envelope(), VirtualArmConfig::default()).expect("a virtual arm")
}

/// Random actions, some of them hostile.
fn random_action(rng: &mut ChaCha8Rng, step: usize) -> Action {
    let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
    Action::from_array(std::array::from_fn(|i| match rng.random_range(0..12) {
        0 => f64::NAN,
        1 => sign * 1e9,
        2 => sign * 0.075,
        _ if i < 3 => rng.random_range(-0.1..0.1),
        _ if i < 6 => rng.random_range(-0.15..0.15),
        _ => rng.random_range(-1.0..1.0),
    }))
}

#[test]
fn random_and_hostile_sequences_are_never_refused_and_stay_in_the_box() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut targets, mut moved, mut unsettled) = (0, 0, 0);
    for seed in 0..40 {
        let mut arm = arm(seed);
        for step in 0..12 {
            let execution = arm
                .execute(&random_action(&mut rng, step))
                .expect("executed");
            moved += u32::from(execution.refusal.is_none());
            unsettled += u32::from(!execution.settled);
            let measured = arm.simulator().pose().position_m;
            assert!(workspace().contains(&measured, 0.001), "{measured:?}");
        }
        assert_eq!(arm.refused_targets(), 0, "{:?}", arm.last_refusal());
        targets += arm.targets();
    }
    println!("{targets} targets, {moved} of 480 actions moved, {unsettled} did not settle");
    assert!(targets > 5_000 && moved > 200);
    assert!(unsettled == 0, "{unsettled} of {moved} did not settle");
}

#[test]
fn an_action_arrives_and_settles() {
    let mut arm = arm(3);
    let before = arm.observe().expect("a look");
    assert!(before.settled);
    let up = arm
        .execute(&action(0.0, 0.0, 0.075, 0.0))
        .expect("executed");
    let across = arm
        .execute(&action(0.0, 0.075, 0.0, 0.0))
        .expect("executed");
    for execution in [&up, &across] {
        println!(
            "{:.2} s, of it {:.2} s settling, error {:.2} mm, {} targets",
            execution.seconds,
            execution.settle_seconds,
            execution.error_m * 1e3,
            execution.targets
        );
        assert!(
            execution.settled && execution.error_m < 0.001,
            "{execution:?}"
        );
        assert!(execution.seconds < 1.6, "{execution:?}");
    }
    let after = arm.observe().expect("a look");
    let moved = after.pose.position_m[2] - before.pose.position_m[2];
    assert!((moved - 0.075).abs() < 0.002, "{moved}");
    assert_eq!(after.frame.image.dimensions(), (128, 128));
}

#[test]
fn many_actions_of_nothing_do_not_creep() {
    let mut arm = arm(4);
    let before = arm.observe().expect("a look").pose;
    for _ in 0..20 {
        arm.execute(&Action::default()).expect("executed");
    }
    let after = arm.observe().expect("a look").pose;
    for i in 0..3 {
        assert!((before.position_m[i] - after.position_m[i]).abs() < 1e-5);
    }
}

#[test]
fn the_gripper_closes_by_grasp_and_opens_again() {
    let mut arm = arm(5);
    arm.execute(&action(0.0, 0.0, 0.075, 0.0))
        .expect("executed");
    let close = arm.execute(&action(0.0, 0.0, 0.0, 1.0)).expect("executed");
    assert_eq!(close.commanded_pose.gripper, 1.0);
    assert!(close.reached_pose.gripper > 0.9, "{close:?}");
    let part = arm.execute(&action(0.0, 0.0, 0.0, -0.4)).expect("executed");
    let reached = part.reached_pose.gripper;
    assert!((reached - 0.6).abs() < 0.03, "{part:?}");
    let open = arm.execute(&action(0.0, 0.0, 0.0, -1.0)).expect("executed");
    assert!(open.reached_pose.gripper < 0.05, "{open:?}");
    println!("close {:.2} s, open {:.2} s", close.seconds, open.seconds);
}

#[test]
fn a_stopped_arm_starts_again_where_it_stopped() {
    let mut arm = arm(6);
    arm.execute(&action(0.0, 0.05, 0.05, 0.0))
        .expect("executed");
    arm.stop().expect("stopped");
    let execution = arm
        .execute(&action(0.0, -0.05, 0.0, 0.0))
        .expect("executed");
    assert!(execution.settled && execution.error_m < 0.001);
    assert_eq!(arm.refused_targets(), 0);
}

#[test]
fn the_same_actions_give_the_same_bits() {
    let run = || -> (Vec<Execution>, Vec<u8>) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut arm = arm(9);
        let executions = (0..8)
            .map(|_| {
                let a: [f64; 7] = std::array::from_fn(|i| {
                    if i < 3 {
                        rng.random_range(-0.07..0.07)
                    } else if i == 6 {
                        rng.random_range(-0.5..0.5)
                    } else {
                        0.0
                    }
                });
                arm.execute(&Action::from_array(a)).expect("executed")
            })
            .collect();
        (
            executions,
            arm.observe().expect("a look").frame.image.into_raw(),
        )
    };
    let (first, second) = (run(), run());
    assert!(first == second, "two runs differ");
}

#[test]
fn an_object_is_grasped_lifted_and_let_go() {
    let scene = scene(7);
    let mut arm =
        VirtualArm::new(&scene, envelope(), VirtualArmConfig::default()).expect("a virtual arm");
    // Planned at the object's width, it presses and holds.
    assert!(grasp_and_lift(&mut arm, &scene), "reported as grasped");
    let truth = arm.simulator().truth();
    assert!(truth.held && truth.object_height_m > 0.08, "{truth:?}");
    // Nothing asked of the gripper: it keeps hold.
    arm.execute(&action(0.03, 0.0, 0.0, 0.02)).expect("carried");
    assert!(arm.simulator().truth().held);
    arm.execute(&action(0.0, 0.0, 0.0, -1.0)).expect("opened");
    arm.rest(1.0).expect("rested");
    assert!(!arm.simulator().truth().held && arm.simulator().truth().object_height_m < 0.02);
}
