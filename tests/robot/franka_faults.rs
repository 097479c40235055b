//! Faults injected into a lab nobody here wrote: stock franka-node in front of franka-sim. The
//! table this prints is copied into `docs/safety.md`; `robot/tests/fault_table.rs` does the same
//! on our own simulator, whose every quantity is known.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Sender};
use std::time::{Duration, Instant};

use crate::lab::{franka_sim, limits, Lab, Watch, BOX};
use crate::proxy::Proxy;
use foresight_planner::Action;
use foresight_robot::link::{self, LinkConfig};
use foresight_robot::{Arm, ArmError, ZenohArm, ZenohArmConfig};
use foresight_scenarios::env::Env;
use foresight_scenarios::episode::{play, Answer, EpisodeStep, Observer};
use foresight_scenarios::monitor::{Alarm, OnAlarm, Watched};
use foresight_scenarios::success::FailureKind;
use foresight_scenarios::{EpisodeSpec, LoadedScenario, ModelSource};

/// Where the planner process connects.
const NODE: &str = "FORESIGHT_TEST_ENDPOINT";
/// The arm is in the middle of a motion when it is this fast, m/s; franka-sim's reaches 0.1.
const FAST_M_S: f64 = 0.075;
/// At rest below this, m/s: an arm under impedance control never stands quite still.
const REST_M_S: f64 = 5e-3;

/// Not a test: the planner that gets killed.
#[test]
#[ignore = "runs as a child of the other tests"]
fn planner_process() {
    let Ok(endpoint) = std::env::var(NODE) else {
        return;
    };
    let mut arm = connect(ZenohArmConfig {
        link: LinkConfig::to(endpoint),
        ..ZenohArmConfig::default()
    });
    // It ends by being killed.
    let _ = to_and_fro(&mut arm);
}

fn connect(config: ZenohArmConfig) -> ZenohArm {
    ZenohArm::connect(config, limits()).expect("connected")
}

fn lift(dz: f64) -> Action {
    Action::from_array([0.0, 0.0, dz, 0.0, 0.0, 0.0, 0.0])
}

/// Moves down and up until something goes wrong.
fn to_and_fro(arm: &mut ZenohArm) -> ArmError {
    for step in 0..1000 {
        let dz = if step % 2 == 0 { -0.075 } else { 0.075 };
        arm.keep_alive_until(Instant::now() + Duration::from_secs(2));
        if let Err(error) = arm.execute(&lift(dz)) {
            return error;
        }
    }
    panic!("nothing went wrong");
}

fn spawn_planner(lab: &Lab) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "franka_faults::planner_process", "--ignored"])
        .env(NODE, &lab.node)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a planner process")
}

/// Injects a fault, watches what it leads to until the session is over and the arm at rest, and
/// prints a row of the table.
fn row(lab: &Lab, watch: &Watch, fault: &str, inject: impl FnOnce() + Send) -> String {
    let (mut hold_s, mut stop_s, mut rest_s) = (None, None, 0.0);
    let last = std::thread::scope(|scope| {
        scope.spawn(inject);
        watch.until(10.0, |seen| {
            let now_s = seen.after.as_secs_f64();
            if seen.holding || seen.stopped() {
                hold_s.get_or_insert(now_s);
            }
            if seen.stopped() {
                stop_s.get_or_insert(now_s);
            }
            if seen.speed_m_s > REST_M_S {
                rest_s = now_s;
            }
            stop_s.is_some() && now_s - rest_s > 0.4
        })
    });
    let last = last.unwrap_or_else(|| panic!("{fault}: not stopped\n{}", lab.logs()));
    let seconds = |s: Option<f64>| s.map_or("–".into(), |s: f64| format!("{s:.2}"));
    // 0.2 m/s at most beforehand; nothing may speed the arm up.
    assert!(last.fastest_m_s < 0.35, "{fault}: {last:?}");
    assert!(last.path_m < 0.12 && rest_s < 4.0, "{fault}: {last:?}");
    format!(
        "| {fault} | {} | {} | {rest_s:.2} | {:.2} | {:.0} | {} |",
        seconds(hold_s),
        seconds(stop_s),
        last.fastest_m_s,
        last.path_m * 1e3,
        last.phase.map_or("unknown".into(), |p| p.to_string()),
    )
}

/// A fault in the middle of a motion of a planner in this process, and what that planner reads.
fn in_motion(
    lab: &Lab,
    watch: &Watch,
    fault: &str,
    config: ZenohArmConfig,
    inject: impl FnOnce() + Send,
) -> ArmError {
    let mut arm = connect(config);
    let (row, error) = std::thread::scope(|scope| {
        let planner = scope.spawn(move || to_and_fro(&mut arm));
        watch.wait_fast(FAST_M_S);
        let row = row(lab, watch, fault, inject);
        (row, planner.join().expect("the planner's end"))
    });
    println!("{row} {error} |");
    error
}

/// The arm of this lab, its node behind a proxy.
fn through(proxy: &Proxy, lab: &Lab) -> ZenohArmConfig {
    let mut config = lab.arm();
    config.link.connect = [proxy.link().connect, vec![lab.camera.clone()]].concat();
    config
}

#[test]
fn the_fault_table_of_a_stock_node() {
    let Some(sim) = franka_sim() else { return };
    let mut lab = Lab::start(&sim);
    lab.text(&["robot", "home", "--speed", "0.3"]);
    let watch = Watch::new(&lab.arm());
    println!("| fault | hold, s | stop, s | rest, s | fastest after, m/s | travelled after, mm | node then | the user reads |");
    println!("|---|---|---|---|---|---|---|---|");
    planners(&lab, &watch);
    links(&lab, &watch);
    let error = in_motion(&lab, &watch, "stopped by someone else", lab.arm(), || {
        let other = link::open(&lab.arm().link).expect("a session");
        link::stop(&other, "fr3", 99).expect("anyone may stop");
    });
    assert!(matches!(error, ArmError::Stopped { .. }), "{error}");
    alarms(&lab, &watch);
    camera(&mut lab);
    node(&mut lab, &watch);
    robot(&mut lab, &watch);
}

/// What the monitor does to a real arm's run: told of the first action's outcome that nothing is as
/// expected, because its threshold is next to nothing.
fn alarms(lab: &Lab, watch: &Watch) {
    let folder = lab.folder.path();
    let goals = folder.join("alarm-goals").display().to_string();
    let subgoal = lab.text(&["robot", "goal", "capture", "reach", "--out", &goals]);
    for (on_alarm, says) in [(OnAlarm::Stop, "stop"), (OnAlarm::Hold, "hold, then stop")] {
        let (alarm, alarmed) = channel();
        let loaded = alarming(lab, &subgoal, on_alarm);
        let run = std::thread::spawn(move || {
            let source = ModelSource::model(&loaded.model_dir().expect("a folder"));
            let source = source.expect("the bundled model");
            let spec = EpisodeSpec::new(&loaded, 0);
            let ready = source.controller(&spec, &spec.goal_images().expect("images"));
            let mut env = Env::in_real_time(&spec).expect("connected");
            let mut heard = Heard { alarm, asked: None };
            let ready = ready.expect("a controller");
            play(&spec, &mut env, &source, ready, None, &mut heard).expect("a run")
        });
        let waited = alarmed.recv_timeout(Duration::from_secs(60));
        waited.unwrap_or_else(|e| panic!("no alarm: {e}\n{}", lab.logs()));
        let row = row(lab, watch, &format!("alarm, {says}"), || {});
        let outcome = run.join().expect("the run's end");
        assert_eq!((outcome.steps, outcome.alarms.len()), (1, 1));
        let failed = outcome.verdict.failure;
        assert_eq!(failed, Some(FailureKind::Alarmed));
        assert_eq!(outcome.refused_targets, 0);
        println!("{row} {} |", outcome.verdict.reason);
    }
}

/// Says when an alarm comes; asked, it takes a second to say that the run should end.
struct Heard {
    alarm: Sender<()>,
    asked: Option<Instant>,
}

impl Observer for Heard {
    fn step(&mut self, _: &EpisodeStep<'_>) {}

    fn watched(&mut self, watched: &Watched) {
        if watched.alarm.is_some() {
            let _ = self.alarm.send(());
        }
    }

    fn answer(&mut self, _: &Alarm) -> Option<Answer> {
        let asked = *self.asked.get_or_insert_with(Instant::now);
        (asked.elapsed() > Duration::from_secs(1)).then_some(Answer::Stop)
    }
}

/// A scenario for the lab's arm with a monitor whose threshold everything exceeds.
fn alarming(lab: &Lab, subgoal: &str, on_alarm: OnAlarm) -> LoadedScenario {
    let folder = lab.folder.path();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let own = std::fs::read_to_string(models.join("monitor-pick_and_place.json"));
    let mut fitted: serde_json::Value = serde_json::from_str(&own.expect("one")).expect("JSON");
    fitted["subgoals"] = serde_json::json!(["reach"]);
    let usual = fitted["tokens"]["subgoals"][0].clone();
    fitted["tokens"]["subgoals"] = serde_json::json!([usual]);
    fitted["threshold"] = serde_json::json!(1e-9);
    std::fs::write(folder.join("monitor.json"), fitted.to_string()).expect("written");
    let text = format!(
        "name = \"alarm\"\n[model]\ndir = {models:?}\n[robot]\nkind = \"franka\"\n\
         [robot.franka.link]\nconnect = [{:?}, {:?}]\n[safety.workspace]\nmin_m = {:?}\n\
         max_m = {:?}\n[planner]\nsamples = 50\niterations = 2\n[monitor]\n\
         file = \"monitor.json\"\n{subgoal}",
        lab.node, lab.camera, BOX.min_m, BOX.max_m
    );
    let mut loaded = LoadedScenario::parse(&text, &folder.join("alarm.toml")).expect("a scenario");
    loaded.scenario.monitor.as_mut().expect("one").on_alarm = on_alarm;
    loaded
}

fn planners(lab: &Lab, watch: &Watch) {
    let mut planner = spawn_planner(lab);
    watch.wait_fast(FAST_M_S);
    let killed = row(lab, watch, "planner killed", || {
        planner.kill().expect("killed");
    });
    planner.wait().expect("gone");
    println!("{killed} nothing: it is dead |");

    let mut planner = spawn_planner(lab);
    watch.wait_fast(FAST_M_S);
    let pid = planner.id().to_string();
    let frozen = row(lab, watch, "planner frozen", || {
        let stopped = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(stopped.expect("kill runs").success());
    });
    planner.kill().expect("killed");
    planner.wait().expect("gone");
    println!("{frozen} nothing: it is frozen |");

    let mut arm = connect(lab.arm());
    arm.execute(&lift(0.0)).expect("held");
    let deadline = Duration::from_millis(600);
    arm.keep_alive_until(Instant::now() + deadline);
    std::thread::sleep(deadline);
    let late = row(lab, watch, "planner over its deadline", || {});
    println!("{late} a warning; its next action starts the arm again |");
    assert!(arm.execute(&lift(-0.02)).expect("started again").settled);
    arm.close().expect("closed");
}

fn links(lab: &Lab, watch: &Watch) {
    let proxy = Proxy::to(&lab.node);
    let cut = in_motion(lab, watch, "link cut", through(&proxy, lab), || proxy.cut());
    assert!(lost(&cut), "{cut}");

    let proxy = Proxy::to(&lab.node);
    let config = through(&proxy, lab);
    let name = "link cut for 0.3 s, lease lost";
    let blinked = in_motion(lab, watch, name, config, || {
        proxy.cut();
        std::thread::sleep(Duration::from_millis(300));
        proxy.mend();
    });
    assert!(lost(&blinked), "{blinked}");

    let proxy = Proxy::to(&lab.node);
    let name = "states stale (nothing comes back)";
    let stale = in_motion(lab, watch, name, through(&proxy, lab), || {
        proxy.stall_answers();
    });
    assert!(lost(&stale), "{stale}");
}

fn lost(error: &ArmError) -> bool {
    matches!(
        error,
        ArmError::StaleState { .. } | ArmError::LeaseLost { .. } | ArmError::Stopped { .. }
    )
}

/// The camera dies while the arm rests: it goes on resting, and nobody plans.
fn camera(lab: &mut Lab) {
    let mut arm = connect(ZenohArmConfig {
        frame_timeout_s: 0.5,
        ..lab.arm()
    });
    arm.observe().expect("a look");
    lab.kill_camera();
    arm.execute(&lift(-0.02)).expect("executed");
    let error = arm.observe().expect_err("no frame");
    assert!(matches!(error, ArmError::StaleCamera { .. }), "{error}");
    println!("| camera killed | – | – | 0.00 | 0.00 | 0 | active, held | {error} |");
    arm.close().expect("closed");
}

/// A node that crashes takes its sight of the arm along: where the arm stopped shows when the
/// node is back.
fn node(lab: &mut Lab, watch: &Watch) {
    let mut arm = connect(lab.arm());
    let planner = std::thread::spawn(move || to_and_fro(&mut arm));
    watch.wait_fast(FAST_M_S);
    let before = watch.position();
    lab.restart_node();
    let error = planner.join().expect("the planner's end");
    assert!(lost(&error), "{error}");
    let back = watch.until(20.0, |seen| seen.stopped());
    let back = back.unwrap_or_else(|| panic!("the node is not back\n{}", lab.logs()));
    let travelled_m = (watch.position() - before).norm();
    assert!(travelled_m < 0.12, "{travelled_m}");
    let phase = back.phase.map_or("unknown".into(), |p| p.to_string());
    println!(
        "| node killed, started again | – | – | – | – | {:.0} | {phase} | {error} |",
        travelled_m * 1e3
    );
}

/// The robot vanishes: the node notices, and says so.
fn robot(lab: &mut Lab, watch: &Watch) {
    let mut arm = connect(lab.arm());
    let planner = std::thread::spawn(move || to_and_fro(&mut arm));
    watch.wait_fast(FAST_M_S);
    lab.kill_robot();
    let gone = watch.until(10.0, |seen| seen.stopped());
    let error = planner.join().expect("the planner's end");
    let (after, phase) = gone.map_or(("–".into(), "silent".into()), |seen| {
        let phase = seen.phase.map_or("unknown".into(), |p| p.to_string());
        (format!("{:.2}", seen.after.as_secs_f64()), phase)
    });
    println!("| robot's power lost | – | {after} | – | – | – | {phase} | {error} |");
}
