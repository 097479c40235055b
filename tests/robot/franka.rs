//! The arm path against servers nobody here wrote: stock franka-node in front of franka-sim.

use crate::lab;
use std::path::Path;
use std::process::Command;

use crate::lab::{foresight, franka_sim, limits, text, Lab, BOX};
use foresight_robot::{Arm, ZenohArm};
use foresight_scenarios::env::go_home;
use foresight_scenarios::scenario::HomePose;
use serde_json::Value;

fn scenario(lab: &Lab, name: &str, home_m: [f64; 3], subgoals: &str) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let text = format!(
        "name = \"{name}\"\nseed = 3\n[model]\ndir = {models:?}\n[robot]\nkind = \"franka\"\n\
         [robot.home]\nposition_m = {home_m:?}\n[robot.franka.link]\nconnect = [{:?}, {:?}]\n\
         [safety.workspace]\nmin_m = {:?}\nmax_m = {:?}\n[planner]\nsamples = 200\niterations = 5\n{subgoals}",
        lab.node, lab.camera, BOX.min_m, BOX.max_m
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

    println!("{}", lab.text(&["robot", "home", "--speed", "0.3"]));
    let state = json(&lab.text(&["robot", "state", "--json"]));
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
        let mut arm = ZenohArm::connect(lab.arm(), limits()).expect("connected");
        go_home(&mut arm, &goal).unwrap_or_else(|e| panic!("{e}\n{}", lab.logs()));
        let closed = arm
            .execute(&foresight_planner::Action::default())
            .expect("held");
        println!("held within {:.2} mm", closed.error_m * 1e3);
        assert_eq!(arm.refused_targets(), 0);
        arm.close().expect("closed");
    }
    let goals = format!("{folder}/goals");
    let subgoal = lab.text(&["robot", "goal", "capture", "reach", "--out", &goals]);
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
    let before = json(&lab.text(&["robot", "state", "--json"]));
    let dry = text(&foresight(&["run", &file, "--dry-run", "--out", &folder]));
    println!("{dry}");
    assert!(
        dry.contains("nothing was moved") && dry.contains("reach: distance"),
        "{dry}"
    );
    let after = json(&lab.text(&["robot", "state", "--json"]));
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
    let state = json(&lab.text(&["robot", "state", "--json"]));
    assert_eq!(state["grasped"], true, "{state}\n{}", lab.logs());
    let width_m = state["gripper_width_m"].as_f64().expect("a width");
    assert!((width_m - 0.05).abs() < 0.003, "{state}");
}

/// The same lab behind mutual TLS: the planner drives without a break, the viewer watches.
#[test]
fn a_lab_over_tls() {
    let Some(sim) = franka_sim() else { return };
    foresight_robot::link::arrange_threads();
    let lab = Lab::over_tls(&sim);
    println!("{}", lab.text(&["robot", "home", "--speed", "0.3"]));
    let mut arm = ZenohArm::connect(lab.arm(), limits()).expect("connected");
    for step in 0..8 {
        let dz = if step % 2 == 0 { -0.06 } else { 0.06 };
        let lift = foresight_planner::Action::from_array([0.0, 0.0, dz, 0.0, 0.0, 0.0, 0.0]);
        let moved = arm
            .execute(&lift)
            .unwrap_or_else(|e| panic!("{e}\n{}", lab.logs()));
        assert!(moved.settled && moved.error_m < 0.002, "{moved:?}");
        arm.observe().expect("a look");
    }
    assert_eq!(arm.refused_targets(), 0);
    let made = lab.certificates.as_ref().expect("certificates");
    let made = made.display().to_string();
    let shown = ["--connect", &lab.node, "--certificates", &made];
    let state = text(&foresight(
        &[&["robot", "state", "--json"][..], &shown].concat(),
    ));
    assert_eq!(json(&state)["phase"], "active", "{state}");
    let refused = foresight(&[&["robot", "home"][..], &shown].concat());
    assert_eq!(
        refused.status.code(),
        Some(3),
        "a viewer moves nothing: {refused:?}"
    );
    arm.close().expect("closed");
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
