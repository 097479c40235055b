//! The arm path against servers nobody here wrote: stock franka-node in front of franka-sim.

mod lab;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_robot::{Arm, EnvelopeConfig, Viewer, WorkspaceBox, ZenohArm, ZenohArmConfig};
use foresight_scenarios::cell::go_home;
use foresight_scenarios::scenario::HomePose;
use franka_node::{ArmConfig, FrankaHand, Gripper, NodeConfig, Phase};
use lab::{foresight, franka_sim, text, Lab, NODE_CONFIG};
use serde_json::Value;

/// Not a test: the node's process. It is franka-node's own `main`: its `run`, and the Franka Hand
/// for `gripper = "hand"`.
#[test]
#[ignore = "runs as a child of the other tests"]
fn franka_node_process() {
    let Ok(file) = std::env::var(NODE_CONFIG) else {
        return;
    };
    env_logger::init();
    fn hand(
        arm: &ArmConfig,
        _: &Arc<franka_node::franka::Robot>,
    ) -> Result<Option<Box<dyn Gripper>>, String> {
        FrankaHand::connect(&arm.host, arm.gripper_speed)
            .map(|hand| Some(Box::new(hand) as Box<dyn Gripper>))
            .map_err(|e| format!("gripper: {e}"))
    }
    let config = NodeConfig::from_path(&file).expect("the node's configuration");
    franka_node::run(config, hand).expect("the node runs");
}

/// The box of all scenarios here; the ready pose lies inside.
const BOX: &str = "min_m = [0.28, -0.30, 0.0]\nmax_m = [0.65, 0.30, 0.55]";

fn limits() -> EnvelopeConfig {
    EnvelopeConfig::new(WorkspaceBox {
        min_m: [0.28, -0.30, 0.0],
        max_m: [0.65, 0.30, 0.55],
    })
}

fn arm_config(lab: &Lab) -> ZenohArmConfig {
    let mut config = ZenohArmConfig::default();
    config.link.connect = vec![lab.node.clone(), lab.camera.clone()];
    config
}

fn scenario(lab: &Lab, name: &str, home_m: [f64; 3], subgoals: &str) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let text = format!(
        "name = \"{name}\"\nseed = 3\n[model]\ndir = {models:?}\n[robot]\nkind = \"franka\"\n\
         [robot.home]\nposition_m = {home_m:?}\n[robot.franka.link]\nconnect = [{:?}, {:?}]\n\
         [safety.workspace]\n{BOX}\n[planner]\nsamples = 200\niterations = 5\n{subgoals}",
        lab.node, lab.camera
    );
    let file = lab.folder.path().join(format!("{name}.toml"));
    std::fs::write(&file, text).expect("the scenario");
    file.display().to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_bare_lab_to_the_first_reach_and_grasp() {
    let Some(sim) = franka_sim() else { return };
    let lab = Lab::start(&sim);
    let folder = lab.folder.path().display().to_string();

    // The doctor, before anything moves.
    let checks = lab.foresight(&["doctor", "--json"]);
    let checks = json(&String::from_utf8_lossy(&checks.stdout));
    for check in checks.as_array().expect("checks") {
        println!("{} {}: {}", check["grade"], check["name"], check["found"]);
        // A busy machine may be slow, but nothing may be wrong.
        let may_warn = ["kernel", "robot", "states", "camera", "clock skew"]
            .contains(&check["name"].as_str().unwrap_or_default());
        assert!(
            check["grade"] == "pass" || (may_warn && check["grade"] == "warn"),
            "{check}\n{}",
            lab.logs()
        );
    }

    println!(
        "{}",
        text(&lab.foresight(&["robot", "home", "--speed", "0.3"]))
    );
    let state = json(&text(&lab.foresight(&["robot", "state", "--json"])));
    let ready = [0.3069, 0.0, 0.4869];
    for (i, at) in ready.iter().enumerate() {
        let is = state["pose"][i].as_f64().expect("a number");
        assert!((is - at).abs() < 0.03, "{state}");
    }

    // The goal: a picture taken with the arm there. More than 0.3 m away from the ready pose:
    // further than a node lets one session stray.
    let goal = HomePose {
        position_m: [0.50, 0.08, 0.18],
        euler_rad: [std::f64::consts::PI, 0.0, 0.0],
    };
    {
        let mut arm = ZenohArm::connect(arm_config(&lab), limits()).expect("connected");
        go_home(&mut arm, &goal).unwrap_or_else(|e| panic!("{e}\n{}", lab.logs()));
        let closed = arm
            .execute(&foresight_planner::Action::default())
            .expect("held");
        println!("held within {:.2} mm", closed.error_m * 1e3);
        assert_eq!(arm.refused_targets(), 0);
        arm.close().expect("closed");
    }
    let goals = format!("{folder}/goals");
    let subgoal = text(&lab.foresight(&["robot", "goal", "capture", "reach", "--out", &goals]));
    println!("{subgoal}");
    let mut grasp: String = subgoal.replace("name = \"reach\"", "name = \"grasp\"");
    grasp = grasp
        .replace("steps = 8", "steps = 1")
        .replace("gripper = \"hold\"", "gripper = \"close\"");

    // The dry run moves nothing; the run does.
    let file = scenario(
        &lab,
        "first_reach",
        [0.45, -0.07, 0.26],
        &(subgoal + &grasp),
    );
    let before = json(&text(&lab.foresight(&["robot", "state", "--json"])));
    let dry = text(&foresight(&["run", &file, "--dry-run", "--out", &folder]));
    println!("{dry}");
    assert!(
        dry.contains("nothing was moved") && dry.contains("reach: distance"),
        "{dry}"
    );
    let after = json(&text(&lab.foresight(&["robot", "state", "--json"])));
    assert_eq!(after["holder"], 0);
    assert_eq!(after["phase"], "idle");
    for i in 0..7 {
        let moved = |v: &Value| v["joints_rad"][i].as_f64().expect("a number");
        assert!((moved(&before) - moved(&after)).abs() < 2e-3);
    }

    let output = foresight(&["run", &file, "--out", &folder, "--json"]);
    let result = json(&text(&output));
    println!("{result}");
    assert_eq!(result["refused_targets"], 0, "{result}\n{}", lab.logs());
    let run = Path::new(result["run_dir"].as_str().expect("a folder")).join("plan.jsonl");
    let plan = std::fs::read_to_string(run).expect("plan.jsonl");
    let steps: Vec<Value> = plan.lines().map(json).collect();
    assert_eq!(steps.len(), 9);
    let far = |pose: &Value| {
        let squares =
            (0..3).map(|i| (pose[i].as_f64().expect("a number") - goal.position_m[i]).powi(2));
        squares.sum::<f64>().sqrt()
    };
    for step in &steps {
        let error_m = step["error_m"].as_f64().expect("a number");
        println!(
            "{} {}: {:.2} mm off the commanded pose, {:.1} mm from the goal, {} refused",
            step["subgoal"].as_str().unwrap_or_default(),
            step["subgoal_step"],
            error_m * 1e3,
            far(&step["reached_pose"]) * 1e3,
            step["refused_targets"],
        );
        assert!(error_m < 0.002, "{step}");
        assert_eq!(
            step["settled"], true,
            "planned on a frame of a moving arm: {step}"
        );
        assert_eq!(step["arm_settled"], true, "{step}");
    }
    let (first, last) = (far(&steps[0]["pose"]), far(&steps[7]["reached_pose"]));
    println!(
        "{:.1} cm from the goal at first, {:.1} cm at last",
        first * 100.0,
        last * 100.0
    );
    assert!(last < 0.05 && last < first / 2.0, "{first} {last}");
    let state = json(&text(&lab.foresight(&["robot", "state", "--json"])));
    assert_eq!(state["grasped"], true, "{state}\n{}", lab.logs());
    let width_m = state["gripper_width_m"].as_f64().expect("a width");
    assert!((width_m - 0.05).abs() < 0.003, "{state}");
}

#[test]
fn a_killed_planner_stops_a_stock_node() {
    let Some(sim) = franka_sim() else { return };
    let lab = Lab::start(&sim);
    let folder = lab.folder.path().display().to_string();
    text(&lab.foresight(&["robot", "home", "--speed", "0.3"]));
    let capture = ["robot", "goal", "capture", "ready", "--out", &folder];
    let subgoal = text(&lab.foresight(&capture));
    let file = scenario(&lab, "long_way", [0.50, 0.20, 0.20], &subgoal);
    let viewer = Viewer::connect(&arm_config(&lab)).expect("a viewer");
    let mut planner = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(["run", &file, "--out", &folder])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a planner");
    let track = |seconds: f64, until: &mut dyn FnMut(f64, Option<Phase>) -> bool| {
        let (started, mut seen) = (Instant::now(), 0);
        let mut last = None;
        let mut path_m = 0.0;
        let mut fastest = 0.0_f64;
        while started.elapsed().as_secs_f64() < seconds {
            let Some(state) = viewer
                .monitor()
                .next_state(seen, Duration::from_millis(100))
            else {
                continue;
            };
            seen = state.node_ns();
            let p = state.placement.translation.vector;
            let speed = last.map_or(0.0, |(then, at): (u64, nalgebra::Vector3<f64>)| {
                path_m += (p - at).norm();
                (p - at).norm() / ((seen - then) as f64 * 1e-9)
            });
            fastest = fastest.max(speed);
            last = Some((seen, p));
            if until(speed, state.phase()) {
                return Some((started.elapsed(), path_m, fastest));
            }
        }
        None
    };
    let moving = track(60.0, &mut |speed, _| speed > 0.1);
    let (_, _, at_kill) = moving.unwrap_or_else(|| panic!("it never moved\n{}", lab.logs()));
    planner.kill().expect("killed");
    let (took, path_m, fastest) = track(8.0, &mut |_, phase| phase == Some(Phase::Idle))
        .unwrap_or_else(|| panic!("not stopped\n{}", lab.logs()));
    planner.wait().expect("gone");
    println!(
        "killed at {at_kill:.2} m/s: stopped after {:.2} s and {:.0} mm, at most {:.2} m/s",
        took.as_secs_f64(),
        path_m * 1e3,
        fastest
    );
    assert!(
        path_m < 0.12 && took < Duration::from_secs(4),
        "{path_m} {took:?}"
    );
    let rest = track(1.5, &mut |speed, _| speed > 0.01);
    assert!(rest.is_none(), "it moves on: {rest:?}");
}

/// The other way round: our simulator, served by `foresight sim`, moved by franka-node's own
/// Python client.
#[test]
fn the_stock_python_client_moves_our_simulator() {
    let Some(sim) = franka_sim() else { return };
    let served = lab::Served::start();
    let script = "
import json, sys, franka_node
with franka_node.Node(sys.argv[1]) as node, node.arm('fr3') as arm:
    before = arm.state().position.tolist()
    with arm.cartesian_targets() as targets:
        targets.move_by([0.0, 0.03, 0.05])
        targets.wait(timeout=10.0)
        state = targets.state()
    print(json.dumps([before, state.position.tolist(), state.refused, state.accepted]))
";
    let output = Command::new(sim.join("venv/bin/python"))
        .args(["-c", script, &served.endpoint])
        .output()
        .expect("python starts");
    let seen = json(&text(&output));
    println!("{seen}");
    let moved =
        |i: usize| seen[1][i].as_f64().expect("a number") - seen[0][i].as_f64().expect("a number");
    assert_eq!(seen[2], 0, "{seen}");
    assert!(seen[3].as_u64().is_some_and(|n| n > 10), "{seen}");
    for (axis, wanted_m) in [0.0, 0.03, 0.05].iter().enumerate() {
        assert!((moved(axis) - wanted_m).abs() < 0.008, "{seen}");
    }
}
