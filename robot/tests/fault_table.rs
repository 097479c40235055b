//! What the arm does when something goes wrong in the middle of a motion, measured on the
//! simulator's own account. The table this prints is copied into `docs/safety.md`.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod common;
mod proxy;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{action, envelope, scene};
use foresight_robot::link::{self, Monitor};
use foresight_robot::{
    Arm, ArmError, InjectedFault, LinkConfig, SimServer, SimServerConfig, ZenohArm, ZenohArmConfig,
};
use franka_node::{Phase, FLAG_HOLDING};
use proxy::Proxy;
use zenoh::Session;

/// Where the planner process connects.
const ENDPOINT: &str = "FORESIGHT_TEST_ENDPOINT";
/// The arm is in the middle of a motion when it is this fast, m/s.
const FAST_M_S: f64 = 0.14;
/// At rest below this, m/s.
const REST_M_S: f64 = 1e-3;

/// Not a test: the planner that gets killed.
#[test]
#[ignore = "runs as a child of the_fault_table"]
fn planner_process() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        return;
    };
    let mut arm = connect(&LinkConfig::to(endpoint)).expect("connected");
    // It ends by being killed.
    let _ = to_and_fro(&mut arm);
}

fn connect(link: &LinkConfig) -> Result<ZenohArm, ArmError> {
    let config = ZenohArmConfig {
        link: link.clone(),
        frame_timeout_s: 0.5,
        ..ZenohArmConfig::default()
    };
    ZenohArm::connect(config, envelope())
}

/// Moves up and down until something goes wrong.
fn to_and_fro(arm: &mut ZenohArm) -> ArmError {
    for step in 0..1000 {
        let dz = if step % 2 == 0 { 0.075 } else { -0.075 };
        arm.keep_alive_until(Instant::now() + Duration::from_secs(2));
        if let Err(error) = arm.execute(&action(0.0, 0.0, dz, 0.0)) {
            return error;
        }
    }
    panic!("nothing went wrong");
}

fn spawn_planner(endpoint: &str) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "planner_process", "--ignored"])
        .env(ENDPOINT, endpoint)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a planner process")
}

/// A simulator, watched by someone the fault doesn't touch.
struct Bench {
    server: SimServer,
    _session: Session,
    monitor: Monitor,
}

/// What happened after a fault.
#[derive(Debug)]
struct Aftermath {
    hold_s: Option<f64>,
    stop_s: Option<f64>,
    rest_s: f64,
    speed_m_s: f64,
    path_m: f64,
    phase: String,
}

impl Bench {
    fn new() -> Bench {
        let server = SimServer::start(&scene(1), &SimServerConfig::default()).expect("served");
        let session = link::open(&server.link()).expect("a session");
        let monitor = Monitor::subscribe(&session, "fr3", &[]).expect("subscribed");
        monitor
            .next_state(0, Duration::from_secs(5))
            .expect("states");
        Bench {
            server,
            _session: session,
            monitor,
        }
    }

    fn speed(&self) -> f64 {
        self.server.with_simulator(|s| s.arm().tcp_speed_m_s)
    }

    fn wait_fast(&self) {
        common::wait_until("a fast motion", Duration::from_secs(20), || {
            self.speed() > FAST_M_S
        });
    }

    /// Injects a fault and watches for what it leads to.
    fn after(&self, inject: impl FnOnce() + Send) -> Aftermath {
        let position = || {
            self.server
                .with_simulator(|s| s.arm().tcp.translation.vector)
        };
        let (mut hold_s, mut stop_s) = (None, None);
        let (mut rest_s, mut fastest, mut path_m) = (0.0, 0.0_f64, 0.0);
        let mut last = position();
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(inject);
            loop {
                std::thread::sleep(Duration::from_millis(2));
                let now_s = started.elapsed().as_secs_f64();
                let here = position();
                path_m += (here - last).norm();
                last = here;
                let speed = self.speed();
                fastest = fastest.max(speed);
                if speed > REST_M_S {
                    rest_s = now_s;
                }
                if let Some(state) = self.monitor.state() {
                    let active = state.phase() == Some(Phase::Active);
                    let holding = state.msg.flags.get() & FLAG_HOLDING != 0;
                    // A state from before the fault says nothing.
                    if state.received > started {
                        if holding || !active {
                            hold_s.get_or_insert(now_s);
                        }
                        let over = matches!(state.phase(), Some(Phase::Idle | Phase::Faulted));
                        if over {
                            stop_s.get_or_insert(now_s);
                        }
                    }
                }
                let quiet = now_s - rest_s > 0.5;
                if (stop_s.is_some_and(|s| now_s - s > 0.5) && quiet) || now_s > 8.0 {
                    break;
                }
            }
        });
        Aftermath {
            hold_s,
            stop_s,
            rest_s,
            speed_m_s: fastest,
            path_m,
            phase: self
                .monitor
                .state()
                .and_then(|s| s.phase())
                .map_or("unknown".into(), |p| p.to_string()),
        }
    }
}

fn row(fault: &str, seen: &Aftermath, reads: &str) {
    let seconds = |s: Option<f64>| s.map_or("–".to_string(), |s| format!("{s:.2}"));
    println!(
        "| {fault} | {} | {} | {:.2} | {:.2} | {:.0} | {} | {reads} |",
        seconds(seen.hold_s),
        seconds(seen.stop_s),
        seen.rest_s,
        seen.speed_m_s,
        seen.path_m * 1e3,
        seen.phase,
    );
    assert!(seen.stop_s.is_some(), "{fault}: never stopped: {seen:?}");
    // 0.2 m/s at most beforehand; nothing may speed the arm up.
    assert!(seen.speed_m_s < 0.3, "{fault}: {seen:?}");
    assert!(seen.path_m < 0.12, "{fault}: {seen:?}");
    assert!(seen.rest_s < 3.5, "{fault}: {seen:?}");
}

/// A fault in the middle of a motion of a planner in this process; what it reads comes back.
fn in_motion(
    bench: &Bench,
    link: &LinkConfig,
    inject: impl FnOnce() + Send,
) -> (Aftermath, ArmError) {
    let mut arm = connect(link).expect("connected");
    std::thread::scope(|scope| {
        let planner = scope.spawn(move || {
            let error = to_and_fro(&mut arm);
            // What a program does that gives up: the lease goes back.
            drop(arm);
            error
        });
        bench.wait_fast();
        let seen = bench.after(inject);
        (seen, planner.join().expect("the planner's end"))
    })
}

#[test]
fn the_fault_table() {
    println!("| fault | hold, s | stop, s | rest, s | fastest after, m/s | travelled after, mm | node then | the user reads |");
    println!("|---|---|---|---|---|---|---|---|");
    dead_planners();
    broken_links();
    the_robots_side();
    nothing_moves();
}

fn dead_planners() {
    let bench = Bench::new();
    let mut planner = spawn_planner(&bench.server.endpoints()[0]);
    bench.wait_fast();
    let seen = bench.after(|| planner.kill().expect("killed"));
    planner.wait().expect("gone");
    row("planner killed", &seen, "nothing: it is dead");

    let bench = Bench::new();
    let mut planner = spawn_planner(&bench.server.endpoints()[0]);
    bench.wait_fast();
    let stop = || {
        let pid = planner.id().to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(stopped.expect("kill runs").success());
    };
    let seen = bench.after(stop);
    planner.kill().expect("killed");
    planner.wait().expect("gone");
    row("planner frozen", &seen, "nothing: it is frozen");

    // A slow planner: the arm rests while it is thought about, so only times matter.
    let bench = Bench::new();
    let mut arm = connect(&bench.server.link()).expect("connected");
    arm.observe().expect("a look");
    let deadline = Duration::from_millis(600);
    arm.keep_alive_until(Instant::now() + deadline);
    std::thread::sleep(deadline);
    let seen = bench.after(|| {});
    assert!(seen.path_m < 1e-3, "{seen:?}");
    row(
        "planner over its deadline",
        &seen,
        "a warning; its next action starts the arm again",
    );
    let again = arm
        .execute(&action(0.0, 0.0, 0.03, 0.0))
        .expect("started again");
    assert!(again.settled);
}

fn broken_links() {
    let bench = Bench::new();
    let proxy = Proxy::to(&bench.server.endpoints()[0]);
    let (seen, error) = in_motion(&bench, &proxy.link(), || proxy.cut());
    assert!(
        matches!(
            error,
            ArmError::StaleState { .. } | ArmError::LeaseLost { .. }
        ),
        "{error}"
    );
    row("link cut", &seen, &error.to_string());

    let bench = Bench::new();
    let proxy = Proxy::to(&bench.server.endpoints()[0]);
    let (seen, error) = in_motion(&bench, &proxy.link(), || {
        proxy.cut();
        std::thread::sleep(Duration::from_millis(300));
        proxy.mend();
    });
    row("link cut for 0.3 s, lease lost", &seen, &error.to_string());

    let bench = Bench::new();
    let proxy = Proxy::to(&bench.server.endpoints()[0]);
    let (seen, error) = in_motion(&bench, &proxy.link(), || proxy.stall_answers());
    assert!(
        matches!(
            error,
            ArmError::StaleState { .. } | ArmError::LeaseLost { .. }
        ),
        "{error}"
    );
    row(
        "states stale (nothing comes back)",
        &seen,
        &error.to_string(),
    );
}

fn the_robots_side() {
    let cases: [(&str, InjectedFault); 2] = [
        ("robot clock frozen", InjectedFault::FrozenClock),
        ("reflex of the robot", InjectedFault::Reflex),
    ];
    for (name, fault) in cases {
        let bench = Bench::new();
        let link = bench.server.link();
        let (seen, error) = in_motion(&bench, &link, || bench.server.inject(fault));
        match fault {
            InjectedFault::FrozenClock => {
                assert!(matches!(error, ArmError::FrozenClock { .. }), "{error}");
            }
            _ => assert!(matches!(error, ArmError::Faulted { .. }), "{error}"),
        }
        row(name, &seen, &error.to_string());
    }
    let bench = Bench::new();
    let link = bench.server.link();
    let (seen, error) = in_motion(&bench, &link, || {
        bench.server.restart_node().expect("restarted");
    });
    // Whichever is seen first: the session that ends, or the node that knows nobody.
    let named = matches!(
        error,
        ArmError::Stopped { .. } | ArmError::LeaseLost { .. } | ArmError::StaleState { .. }
    );
    assert!(named, "{error}");
    row("node restarted", &seen, &error.to_string());

    let bench = Bench::new();
    let link = bench.server.link();
    let other = link::open(&link).expect("a session");
    let (seen, error) = in_motion(&bench, &link, || {
        link::stop(&other, "fr3", 99).expect("anyone may stop");
    });
    assert!(matches!(error, ArmError::Stopped { .. }), "{error}");
    row("stopped by someone else", &seen, &error.to_string());
}

/// Faults of the camera: they are met while the arm rests, and it goes on resting.
fn nothing_moves() {
    let cases = [
        ("camera dead", InjectedFault::DeadCamera),
        (
            "camera clock 0.2 s ahead",
            InjectedFault::CameraSkew { ns: 200_000_000 },
        ),
        (
            "camera clock 20 s behind",
            InjectedFault::CameraSkew {
                ns: -20_000_000_000,
            },
        ),
    ];
    for (name, fault) in cases {
        let bench = Bench::new();
        let mut arm = connect(&bench.server.link()).expect("connected");
        arm.observe().expect("a look");
        bench.server.inject(fault);
        // Frames already on their way are honest.
        std::thread::sleep(Duration::from_millis(400));
        arm.execute(&action(0.0, 0.0, 0.02, 0.0)).expect("executed");
        let started = Instant::now();
        let error = arm.observe().expect_err("no frame can be trusted");
        let read_s = started.elapsed().as_secs_f64();
        let seen = bench.after(|| drop(arm));
        assert!(seen.path_m < 1e-3, "{name}: {seen:?}");
        match fault {
            InjectedFault::DeadCamera => {
                assert!(matches!(error, ArmError::StaleCamera { .. }), "{error}")
            }
            _ => assert!(matches!(error, ArmError::ClockSkew { .. }), "{error}"),
        }
        row(name, &seen, &format!("after {read_s:.1} s: {error}"));
    }
}
