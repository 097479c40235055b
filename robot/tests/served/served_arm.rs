//! The whole line over a loopback: client, zenoh, franka-node's arm thread, simulator, camera.

use std::time::{Duration, Instant};

use crate::common::{action, envelope, grasp_and_lift, scene, wait_until, workspace};
use foresight_planner::control_loop::Until;
use foresight_robot::{Arm, SimServer, SimServerConfig, Viewer, ZenohArm, ZenohArmConfig};
use foresight_sim::SceneDistribution;
use franka_node::Phase;

fn serve(seed: u64) -> SimServer {
    SimServer::start(&scene(seed), &SimServerConfig::default()).expect("a served simulator")
}

fn connect(server: &SimServer) -> ZenohArm {
    let config = ZenohArmConfig {
        link: server.link(),
        ..ZenohArmConfig::default()
    };
    ZenohArm::connect(config, envelope()).expect("a connected arm")
}

#[test]
fn five_actions_a_grasp_and_a_release() {
    let server = serve(1);
    let mut arm = connect(&server);
    let client = arm.client_id();
    let first = arm.observe().expect("a look");
    assert!(first.settled);
    let actions = [
        action(0.0, 0.0, 0.075, 0.0),
        action(0.04, 0.05, 0.0, 0.0),
        action(0.0, -0.075, 0.02, 0.0),
        action(0.0, 0.0, 0.0, 1.0),
        action(0.0, 0.0, 0.0, -1.0),
    ];
    for action in &actions {
        arm.keep_alive_until(Instant::now() + Duration::from_secs(2));
        let execution = arm.execute(action).expect("executed");
        let ended_ns = franka_node::monotonic_ns();
        println!(
            "{:.2} s, of it {:.2} s settling, error {:.2} mm, {} targets, lost {:.2} s",
            execution.seconds,
            execution.settle_seconds,
            execution.error_m * 1e3,
            execution.targets,
            server.lost_s(),
        );
        assert!(
            execution.settled && execution.error_m < 0.002,
            "{execution:?}"
        );
        assert_eq!((execution.refused, &execution.refusal), (0, &None));
        let looked = arm.observe().expect("a look");
        assert!(
            looked.settled && looked.pose_age_ms < 30.0,
            "{}",
            looked.pose_age_ms
        );
        // Captured after the arm settled, which was just before `execute` returned.
        assert!(looked.frame.captured_ns + 200_000_000 > ended_ns);
        assert_eq!(looked.frame.image.dimensions(), (128, 128));
        let truth = server.with_simulator(|s| s.pose().position_m);
        for (seen, true_m) in looked.pose.position_m.iter().zip(&truth) {
            assert!((seen - true_m).abs() < 0.001, "{seen} {true_m}");
        }
        assert!(workspace().contains(&truth, 0.001), "{truth:?}");
        if action.gripper > 0.0 {
            assert!(looked.pose.gripper > 0.9, "{:?}", looked.pose);
        }
    }
    assert!(arm.observe().expect("a look").pose.gripper < 0.05);
    assert_eq!((arm.refused_targets(), server.decode_failures()), (0, 0));
    arm.close().expect("closed");

    // The lease is free again.
    let again = connect(&server);
    assert_ne!(again.client_id(), client);
    assert_eq!(again.monitor().malformed(), 0);
}

#[test]
fn frames_are_what_the_simulator_draws() {
    let server = serve(2);
    let mut arm = connect(&server);
    let looked = arm.observe().expect("a look");
    let drawn = server.with_simulator(|s| s.render(128, 128));
    let difference: u64 = looked
        .frame
        .image
        .iter()
        .zip(drawn.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let mean = difference as f64 / drawn.len() as f64;
    println!("JPEG noise: mean {mean:.2} of 255");
    assert!(mean < 3.0, "{mean}");
}

#[test]
fn a_thinking_planner_keeps_the_arm_until_its_deadline_and_no_longer() {
    let server = serve(3);
    let mut arm = connect(&server);
    arm.observe().expect("a look");
    // Longer than the node's own 2 s of patience.
    arm.keep_alive_until(Instant::now() + Duration::from_millis(3200));
    std::thread::sleep(Duration::from_millis(2900));
    let phase = |arm: &ZenohArm| arm.monitor().state().and_then(|s| s.phase());
    assert_eq!(
        phase(&arm),
        Some(Phase::Active),
        "kept alive while thinking"
    );
    let dead = Instant::now();
    wait_until("the watchdog's stop", Duration::from_secs(5), || {
        phase(&arm) == Some(Phase::Idle)
    });
    println!(
        "stopped {:.2} s after the deadline",
        dead.elapsed().as_secs_f64() - 0.3
    );
    // It was our own deadline: the next action starts the arm again.
    let execution = arm.execute(&action(0.0, 0.0, 0.03, 0.0)).expect("executed");
    assert!(execution.settled && execution.error_m < 0.002);
    assert_eq!(arm.refused_targets(), 0);
}

#[test]
fn an_object_is_grasped_and_lifted() {
    let server = serve(7);
    let mut arm = connect(&server);
    assert!(grasp_and_lift(&mut arm, &scene(7)), "reported as grasped");
    let truth = server.truth();
    assert!(truth.held && truth.object_height_m > 0.08, "{truth:?}");
}

#[test]
fn actions_follow_on_without_a_stop() {
    let server = serve(1);
    let mut arm = connect(&server);
    let from = arm.observe().expect("a look").pose;
    let ways = [
        action(0.0, 0.0, 0.07, 0.0),
        action(0.03, 0.06, 0.0, 0.0),
        action(0.0, 0.0, -0.05, 0.0),
    ];
    let (mut wanted, mut last) = (from, None);
    for (i, way) in ways.iter().enumerate() {
        let until = if i < 2 { Until::NextLook } else { Until::Rest };
        arm.keep_alive_until(Instant::now() + Duration::from_secs(2));
        if let Some(ahead) = arm.look_ahead().expect("a look") {
            let end = ahead.observation.pose.apply(&ahead.committed);
            assert!(end.distance_m(&wanted) < 1e-6, "{end:?} {wanted:?}");
            assert!(ahead.observation.pose_age_ms < 30.0);
        }
        match arm.follow_on(way, until).expect("executed") {
            Some(execution) => {
                wanted = wanted.apply(way);
                println!(
                    "{:?}, under way {}",
                    execution.handover, execution.under_way
                );
                last = Some(execution);
            }
            // A busy machine may be too late: then the hand rests where it was sent before.
            None => {
                let rest = arm.observe().expect("a look");
                assert!(rest.settled && rest.pose.distance_m(&wanted) < 0.002);
            }
        }
    }
    let last = last.expect("moved");
    assert_eq!((arm.refused_targets(), last.refused), (0, 0));
    let rest = arm.observe().expect("a look");
    assert!(
        rest.settled && rest.pose.distance_m(&wanted) < 0.002,
        "{rest:?}"
    );
}

#[test]
fn frames_of_two_cameras_stand_side_by_side() {
    let scene = SceneDistribution {
        other_cameras: vec![foresight_sim::Camera {
            eye_m: [0.68, -0.67, 0.50],
            look_at_m: [0.5, 0.015, 0.10],
            fov_rad: 0.48,
        }],
        ..SceneDistribution::default()
    }
    .sample(2);
    let config = SimServerConfig {
        other_cameras: vec!["side".into()],
        frame_width: 128,
        frame_height: 64,
        ..SimServerConfig::default()
    };
    let server = SimServer::start(&scene, &config).expect("a served simulator");
    let both = ZenohArmConfig {
        link: server.link(),
        other_cameras: vec!["side".into()],
        ..ZenohArmConfig::default()
    };
    let viewer = Viewer::connect(&both).expect("connected");
    let seen = viewer.look().expect("a look").frame.image;
    let drawn = server.with_simulator(|simulator| simulator.render(128, 64));
    assert_eq!(seen.dimensions(), drawn.dimensions());
    // But for what JPEG costs.
    let off = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
    let error: f64 = seen.iter().zip(drawn.iter()).map(off).sum();
    assert!(error / (seen.len() as f64) < 4.0, "{error}");
    // A camera that isn't there is named.
    let missing = ZenohArmConfig {
        other_cameras: vec!["top".into()],
        frame_timeout_s: 0.5,
        ..both
    };
    let viewer = Viewer::connect(&missing).expect("connected");
    let error = viewer.look().expect_err("no frame").to_string();
    assert!(error.contains("top"), "{error}");
}
