//! What happens when something goes wrong between planner and arm.

use std::time::{Duration, Instant};

use crate::common::{action, envelope, hub, serve, wait_until};
use foresight_robot::link::{self, Monitor};
use foresight_robot::{
    Arm, ArmError, InjectedFault, LinkConfig, SimServer, ZenohArm, ZenohArmConfig,
};
use franka_node::{Kind, Phase, TargetMsg};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zenoh::Wait;
use zerocopy::IntoBytes;

fn connect(server: &SimServer) -> Result<ZenohArm, ArmError> {
    let config = ZenohArmConfig {
        link: server.link(),
        ..ZenohArmConfig::default()
    };
    ZenohArm::connect(config, envelope())
}

fn position(server: &SimServer) -> [f64; 3] {
    server.with_simulator(|s| s.pose().position_m)
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
}

/// Where the planner process of the next test connects.
const ENDPOINT: &str = "FORESIGHT_TEST_ENDPOINT";

/// Not a test: the process that `a_killed_planner_stops_the_arm` kills.
#[test]
#[ignore = "runs as a child of a_killed_planner_stops_the_arm"]
fn planner_process() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        return;
    };
    let config = ZenohArmConfig {
        link: LinkConfig::to(endpoint),
        ..ZenohArmConfig::default()
    };
    let mut arm = ZenohArm::connect(config, envelope()).expect("connected");
    for step in 0..100 {
        let dz = if step % 2 == 0 { 0.075 } else { -0.075 };
        arm.execute(&action(0.0, 0.0, dz, 0.0)).expect("executed");
    }
}

/// A planner process killed in the middle of a motion: its lease dies with it, the arm stops.
#[test]
fn a_killed_planner_stops_the_arm() {
    let server = serve(1);
    let start = position(&server);
    let mut planner = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "served_faults::planner_process", "--ignored"])
        .env(ENDPOINT, &server.endpoints()[0])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a planner process");
    let viewer = link::open(&server.link()).expect("a session");
    let monitor = Monitor::subscribe(&viewer, "fr3", &[]).expect("subscribed");
    wait_until("motion", Duration::from_secs(10), || {
        distance(position(&server), start) > 0.03
    });
    planner.kill().expect("killed");
    let (killed, killed_at) = (Instant::now(), position(&server));
    planner.wait().expect("gone");
    wait_until("rest", Duration::from_secs(5), || {
        server.with_simulator(|s| s.arm().tcp_speed_m_s) < 1e-4
    });
    let rest_s = killed.elapsed().as_secs_f64();
    wait_until("the arm to be free", Duration::from_secs(5), || {
        monitor
            .state()
            .is_some_and(|s| s.msg.client_id.get() == 0 && s.phase() == Some(Phase::Idle))
    });
    let rest = position(&server);
    let travelled = distance(rest, killed_at);
    println!(
        "at rest {rest_s:.2} s and {:.0} mm after the kill, free after {:.2} s",
        travelled * 1e3,
        killed.elapsed().as_secs_f64()
    );
    assert!(travelled < 0.1, "{travelled}");
    std::thread::sleep(Duration::from_millis(300));
    assert!(distance(position(&server), rest) < 1e-4);
}

#[test]
fn a_second_client_is_refused_but_its_stop_works() {
    let server = serve(2);
    let mut arm = connect(&server).expect("connected");
    arm.observe().expect("a look");
    let refusal = connect(&server).err().expect("held by the first");
    assert!(refusal.to_string().contains("held by"), "{refusal}");

    let other = link::open(&server.link()).expect("a session");
    let monitor = Monitor::subscribe(&other, "fr3", &[]).expect("subscribed");
    monitor
        .next_state(0, Duration::from_secs(3))
        .expect("states");
    // Its targets move nothing.
    let before = position(&server);
    let [x, y, z] = before;
    for seq in 1..20_u64 {
        let data = [x, y, z + 0.04, 1.0, 0.0, 0.0, 0.0];
        let msg = TargetMsg::new(Kind::Cartesian, 99, seq, 0, data);
        other
            .put("franka/fr3/target", msg.as_bytes())
            .wait()
            .expect("sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(distance(before, position(&server)) < 1e-4);
    link::command(&other, "fr3", "stop", 99).expect("anyone may stop");
    wait_until("the stop", Duration::from_secs(3), || {
        monitor.state().and_then(|s| s.phase()) == Some(Phase::Idle)
    });
    // And the first client doesn't start it again behind their back.
    let error = arm
        .execute(&action(0.0, 0.0, 0.03, 0.0))
        .expect_err("stopped");
    assert!(matches!(error, ArmError::Stopped { .. }), "{error}");
    arm.stop().expect("a stop of a stopped arm is fine");
    let execution = arm.execute(&action(0.0, 0.0, 0.03, 0.0)).expect("executed");
    assert!(execution.settled);
}

#[test]
fn malformed_bytes_move_nothing() {
    let server = serve(3);
    let (other, reached) = hub(&server);
    let config = ZenohArmConfig {
        link: reached,
        ..ZenohArmConfig::default()
    };
    let mut arm = ZenohArm::connect(config, envelope()).expect("connected");
    arm.observe().expect("a look");
    let before = position(&server);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let keys = [
        "franka/fr3/target",
        "franka/fr3/gripper/target",
        "franka/fr3/state",
        "franka/fr3/gripper/state",
        "franka/cam/front/frame",
    ];
    for _ in 0..40 {
        for key in keys {
            let length = [0, 1, 36, 40, 79, 80, 81, 474, 500][rng.random_range(0..9)];
            let bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            other.put(key, bytes).wait().expect("sent");
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(distance(before, position(&server)) < 1e-4);
    let width = server.with_simulator(|s| s.gripper().width_m);
    assert!(width > 0.079, "{width}");
    assert!(server.decode_failures() > 40);
    assert!(arm.monitor().malformed() > 40);
    let execution = arm.execute(&action(0.0, 0.0, 0.03, 0.0)).expect("executed");
    assert!(execution.settled && execution.error_m < 0.002);
}

#[test]
fn a_fault_is_named() {
    let server = serve(4);
    let mut arm = connect(&server).expect("connected");
    arm.observe().expect("a look");
    server.inject(InjectedFault::Reflex);
    wait_until("the fault", Duration::from_secs(2), || {
        arm.monitor().state().and_then(|s| s.phase()) == Some(Phase::Faulted)
    });
    let error = arm.observe().expect_err("faulted");
    assert!(matches!(error, ArmError::Faulted { .. }), "{error}");
}

#[test]
fn a_camera_that_is_not_there_is_named() {
    let server = serve(5);
    let config = ZenohArmConfig {
        link: server.link(),
        camera: "nowhere".into(),
        frame_timeout_s: 0.3,
        ..ZenohArmConfig::default()
    };
    let mut arm = ZenohArm::connect(config, envelope()).expect("connected");
    let error = arm.observe().expect_err("no frames").to_string();
    assert!(error.contains("nowhere"), "{error}");
}
