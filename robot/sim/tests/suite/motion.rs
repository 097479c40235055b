//! The arm's and the gripper's motion, determinism, goal states and pictures.

use crate::demo;
use foresight_sim::{goals, ArmLimits, ObjectKind, Scene, SceneDistribution, SimError, Simulator};
use image::RgbImage;

fn sample(seed: u64) -> Scene {
    SceneDistribution::default().sample(seed)
}

#[test]
fn the_arm_keeps_its_limits_and_ends_exactly_on_the_target() {
    let scene = sample(1);
    let limits = ArmLimits::default();
    let mut simulator = Simulator::new(&scene).unwrap();
    let mut pose = scene.start.pose();
    pose.position_m = [0.5, 0.1, 0.25];
    simulator.set_cartesian_target(pose.isometry());
    let (mut speed, mut top) = (0.0_f64, 0.0_f64);
    let mut before = simulator.arm();
    for _ in 0..1500 {
        simulator.step();
        let state = simulator.arm();
        let acceleration = (state.tcp_speed_m_s - speed).abs() / Simulator::STEP_S;
        assert!(acceleration <= limits.acceleration_m_s2 * 1.001 || state.tcp_speed_m_s == 0.0);
        speed = state.tcp_speed_m_s;
        top = top.max(speed);
        for i in 0..7 {
            let moved = (state.q[i] - before.q[i]) / Simulator::STEP_S;
            assert!((moved - state.dq[i]).abs() < 1e-9 && moved.abs() < 2.62);
        }
        before = state;
    }
    assert!(top <= limits.speed_m_s + 1e-9 && top > 0.1, "{top}");
    assert_eq!(simulator.pose().position_m, pose.position_m);
    assert_eq!(simulator.arm().tcp_speed_m_s, 0.0);
    assert!(before.dq.iter().all(|d| d.abs() < 1e-3));
}

#[test]
fn a_step_of_the_planner_takes_under_a_second_and_hold_brakes() {
    let scene = sample(2);
    let mut simulator = Simulator::new(&scene).unwrap();
    let start = simulator.pose();
    let mut pose = start;
    pose.position_m[2] += 0.075;
    simulator.set_cartesian_target(pose.isometry());
    simulator.advance(0.2);
    assert!(
        (simulator.pose().position_m[2] - pose.position_m[2]).abs() > 0.02,
        "it lags"
    );
    simulator.advance(0.7);
    assert!((simulator.pose().position_m[2] - pose.position_m[2]).abs() < 1e-3);
    simulator.set_cartesian_target(start.isometry());
    simulator.advance(0.15);
    simulator.hold();
    let at = simulator.pose().position_m[2];
    simulator.advance(1.0);
    let stopped = simulator.pose().position_m[2];
    assert!(stopped < at && at - stopped < 0.03, "{at} {stopped}");
    assert_eq!(simulator.arm().tcp_speed_m_s, 0.0);
}

#[test]
fn joint_targets_are_reached_and_the_table_stops_the_hand() {
    let scene = sample(3);
    let mut simulator = Simulator::new(&scene).unwrap();
    let mut q = simulator.arm().q;
    q[0] += 0.3;
    q[6] -= 0.2;
    simulator.set_joint_target(q);
    simulator.advance(3.0);
    for (is, should) in simulator.arm().q.iter().zip(q) {
        assert!((is - should).abs() < 1e-6);
    }
    let mut pose = scene.start.pose();
    pose.position_m = [0.6, 0.2, -0.1];
    simulator.set_cartesian_target(pose.isometry());
    simulator.advance(3.0);
    let height = simulator.pose().position_m[2];
    assert!((0.009..0.012).contains(&height), "{height}");
}

#[test]
fn the_gripper_opens_and_closes_at_its_speed() {
    let mut simulator = Simulator::new(&sample(4)).unwrap();
    assert!((simulator.gripper().width_m - 0.08).abs() < 1e-4);
    simulator.gripper_move(0.02);
    simulator.advance(0.3);
    let gripper = simulator.gripper();
    assert!(
        gripper.moving && (0.045..0.06).contains(&gripper.width_m),
        "{gripper:?}"
    );
    simulator.advance(0.5);
    let gripper = simulator.gripper();
    assert!(
        !gripper.moving && (gripper.width_m - 0.02).abs() < 5e-4,
        "{gripper:?}"
    );
    simulator.gripper_grasp(0.0, 30.0);
    simulator.advance(0.6);
    let gripper = simulator.gripper();
    assert!(
        gripper.width_m < 1e-3 && !gripper.grasped,
        "nothing to grasp: {gripper:?}"
    );
    simulator.gripper_move(0.08);
    simulator.advance(0.3);
    simulator.gripper_stop();
    simulator.advance(0.3);
    let gripper = simulator.gripper();
    assert!(
        (0.02..0.05).contains(&gripper.width_m) && !gripper.moving,
        "{gripper:?}"
    );
}

#[test]
fn two_runs_and_a_clone_give_the_same_bits() {
    let scene = sample(11);
    let (first, one) = demo::pick_and_place(&scene, [0.003, -0.002]);
    let (second, two) = demo::pick_and_place(&scene, [0.003, -0.002]);
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    assert_eq!(
        first.arm().q.map(f64::to_bits),
        second.arm().q.map(f64::to_bits)
    );
    assert_eq!(first.render(96, 64), second.render(96, 64));

    let mut original = Simulator::new(&scene).unwrap();
    original.set_goal_state(&goals::grasped(&scene)).unwrap();
    original.set_cartesian_target(goals::lifted(&scene, 0.1).arm.isometry());
    original.advance(0.2);
    let mut clone = original.clone();
    original.advance(0.7);
    clone.advance(0.7);
    assert_eq!(original.truth(), clone.truth());
    assert!(original.truth().lifted);
}

#[test]
fn goal_states_look_like_what_physics_makes_of_them() {
    for (kind, seed) in [
        (ObjectKind::Box, 21),
        (ObjectKind::Cup, 22),
        (ObjectKind::Box, 23),
    ] {
        let distribution = SceneDistribution {
            object_kinds: vec![kind],
            ..Default::default()
        };
        let scene = distribution.sample(seed);
        let mut real = Simulator::new(&scene).unwrap();
        let mut posed = Simulator::new(&scene).unwrap();
        let mut compare = |real: &Simulator, goal: &goals::GoalState| {
            posed.set_goal_state(goal).unwrap();
            let (a, b) = (real.truth(), posed.truth());
            for i in 0..3 {
                let off = (a.object_position_m[i] - b.object_position_m[i]).abs();
                assert!(off < 2.5e-3, "{kind:?} {seed}: {a:#?} {b:#?}");
            }
            assert!((real.gripper().width_m - posed.gripper().width_m).abs() < 1.2e-3);
            let off = difference(&real.render(128, 128), &posed.render(128, 128));
            assert!(
                off < 1.5,
                "{kind:?} {seed}: pictures differ by {off:.2} of 255"
            );
        };
        demo::go(&mut real, &goals::above_object(&scene).arm);
        compare(&real, &goals::above_object(&scene));
        demo::go(&mut real, &goals::at_object(&scene).arm);
        compare(&real, &goals::at_object(&scene));
        real.gripper_grasp(0.0, 30.0);
        real.advance(0.8);
        compare(&real, &goals::grasped(&scene));
        demo::go(&mut real, &goals::lifted(&scene, 0.08).arm);
        compare(&real, &goals::lifted(&scene, 0.08));
        demo::go(&mut real, &goals::carried_over_target(&scene).arm);
        compare(&real, &goals::carried_over_target(&scene));
        demo::go(&mut real, &goals::lowered_on_target(&scene).arm);
        real.gripper_move(0.08);
        real.advance(0.8);
        demo::go(&mut real, &goals::placed(&scene).arm);
        compare(&real, &goals::placed(&scene));
    }
}

#[test]
fn pictures_show_what_moves() {
    let scene = sample(31);
    let mut simulator = Simulator::new(&scene).unwrap();
    let mut frame = |goal: goals::GoalState| {
        simulator.set_goal_state(&goal).unwrap();
        simulator.render(64, 64)
    };
    let open = frame(goals::at_object(&scene));
    let closed = frame(goals::grasped(&scene));
    let raised = frame(goals::lifted(&scene, 0.08));
    assert_eq!(open.dimensions(), (64, 64));
    // A closing gripper must be seen in the smallest pictures a model gets.
    assert!(changed(&open, &closed) >= 12, "{}", changed(&open, &closed));
    assert!(changed(&closed, &raised) > 200);
    // The object alone, at two places.
    let mut moved = goals::at_object(&scene);
    let mut pose = goals::reach(&scene, [0.45, -0.1, 0.3]);
    let far = frame(pose.clone());
    let object = moved.object.as_mut().unwrap();
    object.position_m[0] += 0.1;
    pose.object = moved.object;
    assert!(changed(&far, &frame(pose)) > 60);
}

#[test]
fn smooth_pictures_average_more_samples() {
    let simulator = Simulator::new(&sample(1)).unwrap();
    let (plain, smooth) = (simulator.render(96, 96), simulator.render_smooth(96, 96, 3));
    assert_eq!(smooth.dimensions(), (96, 96));
    let off = difference(&plain, &smooth);
    assert!(off > 0.05 && off < 6.0, "{off}");
}

#[test]
fn scenes_are_pure_functions_of_their_seed_and_survive_json() {
    for distribution in [
        SceneDistribution::near_start(),
        SceneDistribution::wide_start(),
    ] {
        distribution.validate().unwrap();
        for seed in 0..50 {
            let scene = distribution.sample(seed);
            assert_eq!(scene, distribution.sample(seed));
            assert_ne!(scene, distribution.sample(seed + 1000));
            let text = serde_json::to_string(&scene).unwrap();
            let back: Scene = serde_json::from_str(&text).unwrap();
            assert_eq!(back, scene);
            let [x, y] = scene.object.position_m;
            let [u, v] = scene.target.position_m;
            assert!((x - u).hypot(y - v) >= distribution.target_min_distance_m);
            Simulator::new(&scene).unwrap();
        }
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    let mut distribution = SceneDistribution {
        object_x_m: [0.6, 0.4],
        ..Default::default()
    };
    let message = distribution.validate().unwrap_err().to_string();
    assert!(
        message.contains("object_x_m") && message.contains("ascending"),
        "{message}"
    );
    distribution.object_x_m = [0.4, f64::NAN];
    assert!(distribution.validate().is_err());

    let mut scene = sample(1);
    scene.object.size_m[2] = 0.0;
    let message = Simulator::new(&scene).err().unwrap().to_string();
    assert!(message.contains("height"), "{message}");
    let mut scene = sample(1);
    scene.start.position_m = [1.5, 0.0, 0.2];
    assert!(matches!(
        Simulator::new(&scene),
        Err(SimError::Unreachable { .. })
    ));
    let unknown = r#"{"object_widht_m": [0.04, 0.05]}"#;
    assert!(serde_json::from_str::<SceneDistribution>(unknown).is_err());
}

/// Pixels that differ clearly.
fn changed(a: &RgbImage, b: &RgbImage) -> usize {
    a.pixels()
        .zip(b.pixels())
        .filter(|(p, q)| p.0.iter().zip(q.0).any(|(x, y)| x.abs_diff(y) > 40))
        .count()
}

/// Mean absolute difference of a channel, 0 to 255.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: f64 = a
        .iter()
        .zip(b.iter())
        .map(|(x, y)| f64::from(x.abs_diff(*y)))
        .sum();
    sum / a.len() as f64
}
