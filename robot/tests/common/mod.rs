//! What the arm tests share.

#![allow(dead_code)]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use foresight_planner::{Action, Pose};
use foresight_robot::link;
use foresight_robot::{Arm, EnvelopeConfig, LinkConfig, SimServer, SimServerConfig, WorkspaceBox};
use foresight_sim::{goals, Scene, SceneDistribution};
use zenoh::Session;

pub fn scene(seed: u64) -> Scene {
    SceneDistribution::default().sample(seed)
}

/// The scene of `seed` behind franka-node's keys, on a free port.
pub fn serve(seed: u64) -> SimServer {
    SimServer::start(&scene(seed), &SimServerConfig::default()).expect("a served simulator")
}

/// Someone who reaches both the node and its client: a session, and the link of a client that
/// connects to it too.
pub fn hub(server: &SimServer) -> (Session, LinkConfig) {
    let endpoint = format!("tcp/127.0.0.1:{}", free_port());
    let hub = link::open(&LinkConfig {
        listen: vec![endpoint.clone()],
        ..server.link()
    })
    .expect("a session");
    let mut reached = server.link();
    reached.connect.push(endpoint);
    (hub, reached)
}

/// A port of the loopback that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

pub fn workspace() -> WorkspaceBox {
    WorkspaceBox {
        min_m: [0.35, -0.25, 0.0],
        max_m: [0.65, 0.25, 0.35],
    }
}

pub fn envelope() -> EnvelopeConfig {
    EnvelopeConfig::new(workspace())
}

pub fn action(dx: f64, dy: f64, dz: f64, gripper: f64) -> Action {
    Action::from_array([dx, dy, dz, 0.0, 0.0, 0.0, gripper])
}

/// Polls until `done`, or panics after `timeout`; returns how long it took.
pub fn wait_until(what: &str, timeout: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < timeout,
            "{what}: not within {timeout:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// Drives the hand to `goal` by actions of at most 7 cm, gripper left alone.
fn drive_to(arm: &mut dyn Arm, goal: &Pose) {
    for _ in 0..8 {
        let here = arm.observe().expect("a look").pose;
        let mut action = here.action_to(goal);
        action.gripper = 0.0;
        let length = action
            .translation_m
            .iter()
            .map(|v| v * v)
            .sum::<f64>()
            .sqrt();
        if length < 0.001 {
            return;
        }
        let part = (0.07 / length).min(1.0);
        action.translation_m = action.translation_m.map(|v| v * part);
        let execution = arm.execute(&action).expect("executed");
        assert!(
            execution.settled && execution.refusal.is_none(),
            "{execution:?}"
        );
    }
    panic!("did not get to {goal:?}");
}

/// Takes the object of `scene` and lifts it; returns what the gripper then reports. Closes by what
/// will be measured around the object, as a search plans it.
pub fn grasp_and_lift(arm: &mut dyn Arm, scene: &Scene) -> bool {
    drive_to(arm, &goals::above_object(scene).arm);
    drive_to(arm, &goals::at_object(scene).arm);
    let closing = goals::grasped(scene).arm.gripper;
    assert!((0.1..0.6).contains(&closing), "{closing}");
    let close = arm
        .execute(&action(0.0, 0.0, 0.0, closing))
        .expect("the gripper closes");
    assert!(
        close.settled && close.reached_pose.gripper < 0.9,
        "{close:?}"
    );
    for _ in 0..2 {
        arm.execute(&action(0.0, 0.0, 0.06, 0.0)).expect("lifted");
    }
    assert_eq!(arm.refused_targets(), 0);
    arm.observe().expect("a look").grasped
}
