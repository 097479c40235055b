//! Picking, placing, failing and pushing, by contact and friction alone.

use crate::demo;
use foresight_planner::Pose;
use foresight_sim::{goals, ObjectKind, Scene, SceneDistribution, Simulator};

fn scene(kind: ObjectKind, seed: u64) -> Scene {
    let distribution = SceneDistribution {
        object_kinds: vec![kind],
        ..SceneDistribution::default()
    };
    distribution.validate().unwrap();
    distribution.sample(seed)
}

#[test]
fn good_grasps_lift_carry_and_place() {
    for kind in [ObjectKind::Box, ObjectKind::Cup] {
        for seed in 100..108 {
            let scene = scene(kind, seed);
            let (_, outcome) = demo::pick_and_place(&scene, [0.0, 0.0]);
            let context = format!("{kind:?} {seed}: {outcome:#?}");
            assert!(outcome.grasped.held && !outcome.grasped.lifted, "{context}");
            assert!(
                outcome.lifted.held && outcome.lifted.object_height_m > 0.095,
                "{context}"
            );
            assert!(!outcome.lifted.on_table, "{context}");
            assert!(
                outcome.carried.held && outcome.carried.tilt_rad < 0.12,
                "{context}"
            );
            assert!(outcome.placed.placed_within(0.01), "{context}");
            assert!(!outcome.placed.touching_gripper, "{context}");
            let width = scene.object.grasp_width_m(scene.start.yaw_rad);
            assert!(
                (outcome.width_m - width).abs() < 1.2e-3,
                "{width} {context}"
            );
        }
    }
}

#[test]
fn a_grasp_that_misses_lifts_nothing() {
    for kind in [ObjectKind::Box, ObjectKind::Cup] {
        for seed in 200..203 {
            // Fingers open along y: 6 cm along x passes the object by, and closes on nothing.
            let (simulator, outcome) = demo::pick_and_place(&scene(kind, seed), [-0.06, 0.0]);
            assert!(
                !outcome.lifted.held && !outcome.lifted.lifted,
                "{kind:?} {seed}"
            );
            assert!(
                outcome.width_m < 0.002,
                "{kind:?} {seed}: {}",
                outcome.width_m
            );
            assert!(outcome.placed.target_distance_m > 0.05);
            assert!(!simulator.gripper().grasped);
            // 3.5 cm along y puts a finger where the object is: it can't come to stand around it.
            let (_, outcome) = demo::pick_and_place(&scene(kind, seed), [0.0, 0.035]);
            assert!(
                !outcome.placed.placed_within(0.01),
                "{kind:?} {seed}: {outcome:#?}"
            );
        }
    }
}

#[test]
fn a_weak_grasp_of_something_heavy_and_slippery_slips() {
    let mut scene = scene(ObjectKind::Box, 5);
    scene.object.density_kg_m3 = 6000.0;
    scene.object.friction = 0.5;
    // About 8 N of weight against two pads at a friction of 0.5 · 1.25.
    for (force_n, holds) in [(3.0, false), (40.0, true)] {
        let mut simulator = Simulator::new(&scene).unwrap();
        simulator.set_goal_state(&goals::at_object(&scene)).unwrap();
        simulator.gripper_grasp(0.0, force_n);
        simulator.advance(1.0);
        demo::go(&mut simulator, &goals::lifted(&scene, 0.1).arm);
        let truth = simulator.truth();
        assert_eq!(
            truth.object_height_m > 0.09,
            holds,
            "{force_n} N: {truth:#?}"
        );
    }
}

#[test]
fn an_object_weakly_held_at_its_rim_swings_down() {
    let mut scene = scene(ObjectKind::Box, 5);
    scene.object.density_kg_m3 = 2500.0;
    let edge = scene.object.size_m[0] / 2.0 + 0.005;
    let tilt = |off_m: f64, force_n: f64| {
        let mut simulator = Simulator::new(&scene).unwrap();
        let mut goal = goals::at_object(&scene);
        goal.arm.position_m[0] += off_m;
        simulator.set_goal_state(&goal).unwrap();
        simulator.gripper_grasp(0.0, force_n);
        simulator.advance(1.0);
        goal.arm.position_m[2] += 0.1;
        demo::go(&mut simulator, &goal.arm);
        simulator.truth().tilt_rad
    };
    assert!(tilt(0.0, 5.0) < 0.1);
    assert!(tilt(edge, 5.0) > 0.3, "{}", tilt(edge, 5.0));
}

#[test]
fn opening_drops_what_is_held() {
    let scene = scene(ObjectKind::Box, 7);
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator
        .set_goal_state(&goals::lifted(&scene, 0.15))
        .unwrap();
    simulator.advance(0.5);
    let held = simulator.truth();
    assert!(held.held && held.object_height_m > 0.145, "{held:#?}");
    assert!(simulator.gripper().grasped);
    simulator.gripper_move(0.08);
    simulator.advance(1.5);
    let fallen = simulator.truth();
    assert!(
        !fallen.held && fallen.object_height_m.abs() < 0.002,
        "{fallen:#?}"
    );
    assert!(fallen.at_rest && fallen.on_table);
}

#[test]
fn a_closed_hand_pushes_an_object_along() {
    let scene = scene(ObjectKind::Box, 9);
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator.gripper_grasp(0.0, 30.0);
    let [x, y] = scene.object.position_m;
    let mut pose = Pose {
        gripper: 1.0,
        ..scene.start.pose()
    };
    for (offset, z) in [(-0.09, 0.12), (-0.09, 0.025), (0.03, 0.025)] {
        pose.position_m = [x + offset, y, z];
        demo::go(&mut simulator, &pose);
    }
    simulator.advance(0.5);
    let truth = simulator.truth();
    let moved = truth.object_position_m[0] - x;
    assert!((0.04..0.12).contains(&moved), "{truth:#?}");
    assert!((truth.object_position_m[1] - y).abs() < 0.03 && truth.at_rest && truth.upright);
}

#[test]
fn a_push_high_up_topples_a_slim_object_and_one_over_the_edge_falls() {
    let mut slim = scene(ObjectKind::Box, 9);
    slim.object.size_m = [0.025, 0.05, 0.12];
    slim.object.friction = 1.0;
    let mut simulator = Simulator::new(&slim).unwrap();
    let [x, y] = slim.object.position_m;
    simulator.gripper_grasp(0.0, 30.0);
    let mut pose = Pose {
        gripper: 1.0,
        ..slim.start.pose()
    };
    for (offset, z) in [(-0.08, 0.2), (-0.08, 0.105), (0.03, 0.105)] {
        pose.position_m = [x + offset, y, z];
        demo::go(&mut simulator, &pose);
    }
    simulator.advance(0.5);
    let truth = simulator.truth();
    assert!(!truth.upright && truth.tilt_rad > 1.0, "{truth:#?}");

    let mut beside = scene(ObjectKind::Cup, 9);
    beside.object.position_m = [0.5, 0.59];
    let mut simulator = Simulator::new(&beside).unwrap();
    simulator.advance(0.5);
    assert!(
        simulator.truth().upright,
        "its middle is still on the table"
    );
    beside.object.position_m = [0.5, 0.615];
    let mut simulator = Simulator::new(&beside).unwrap();
    simulator.advance(1.5);
    let truth = simulator.truth();
    assert!(
        truth.object_height_m < -0.5 && !truth.on_table,
        "{truth:#?}"
    );
}

#[test]
fn pressing_on_an_object_makes_the_arm_give_way_instead_of_crushing_it() {
    let scene = scene(ObjectKind::Box, 3);
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator.gripper_grasp(0.0, 30.0);
    let [x, y] = scene.object.position_m;
    let mut pose = scene.start.pose();
    for z in [0.1, 0.012] {
        pose.position_m = [x, y, z];
        demo::go(&mut simulator, &pose);
    }
    simulator.advance(1.0);
    let truth = simulator.truth();
    let height = simulator.arm().tcp.translation.z;
    assert!(height > scene.object.size_m[2], "{height}");
    assert!(
        truth.object_height_m > -0.002 && truth.upright,
        "{truth:#?}"
    );
    assert!(simulator.arm().tcp_speed_m_s < 0.01);
    // It lets go at once when told to go up.
    pose.position_m[2] = 0.1;
    demo::go(&mut simulator, &pose);
    simulator.advance(0.5);
    assert!((simulator.pose().position_m[2] - 0.1).abs() < 1e-3);
    assert!(simulator.truth().object_height_m.abs() < 5e-4);
}
