//! The command line as scripts see it: exit codes, one JSON object, a real-time run over zenoh.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn foresight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    path.display().to_string()
}

fn object(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("not one object ({e}): {text}\n{errors}"))
}

#[test]
fn run_over_zenoh_ends_with_one_object_and_a_run_folder() {
    let out = tempfile::tempdir().expect("a folder");
    let out_path = out.path().display().to_string();
    let reach = scenario("reach");
    let arguments = [
        "run", &reach, "--seed", "5", "--world", "oracle", "--json", "--out", &out_path,
    ];
    let output = foresight(&arguments);
    let result = object(&output);
    assert_eq!(output.status.code(), Some(0), "{result}");
    assert_eq!(result["success"], true, "{result}");
    assert_eq!(result["scenario"], "reach");
    assert_eq!(result["seed"], 5);
    assert_eq!(result["steps"], 8);
    assert_eq!(result["subgoals_reached"], 1);
    assert_eq!(result["refused_targets"], 0);
    assert!(result["reason"].as_str().is_some_and(|r| r.contains("cm")));
    assert!(result["seconds_per_action"]
        .as_f64()
        .is_some_and(|s| s >= 0.0));
    let folder = PathBuf::from(result["run_dir"].as_str().expect("a folder"));
    let plan = std::fs::read_to_string(folder.join("plan.jsonl")).expect("plan.jsonl");
    for line in plan.lines() {
        let step: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!(
            step["settled"], true,
            "planned from a frame of a moving arm"
        );
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        errors.matches("\nstep ").count(),
        8,
        "a line per step:\n{errors}"
    );
}

#[test]
fn a_task_that_is_not_achieved_exits_with_1() {
    let out = tempfile::tempdir().expect("a folder");
    let out_path = out.path().display().to_string();
    let grasp = scenario("grasp");
    let output = foresight(&[
        "run",
        &grasp,
        "--world",
        "oracle",
        "--planner",
        "stand-still",
        "--virtual-time",
        "--json",
        "--out",
        &out_path,
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(object(&output)["success"], false);
}

#[test]
fn bad_input_exits_with_2_and_names_line_and_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.toml");
    let good = std::fs::read_to_string(scenario("reach")).expect("the scenario");
    std::fs::write(&file, good.replace("steps = 8", "stepz = 8")).expect("written");
    let path = file.display().to_string();
    for arguments in [
        vec!["run", &path],
        vec!["eval", &path],
        vec!["scenario", "check", &path],
    ] {
        let output = foresight(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("bad.toml:") && errors.contains("did you mean `steps`"),
            "{errors}"
        );
        assert!(!errors.contains("panicked"), "{errors}");
    }
    // What connecting would refuse, `check` refuses: here a file of zenoh's that isn't there.
    let robosuite = scenario("../bench/robosuite/reach");
    let there = std::fs::read_to_string(robosuite).expect("the scenario");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let gone = there.replace("connect = [", "zenoh_config = \"gone.json5\"\nconnect = [");
    let gone = gone.replace("\"../../models/tabletop\"", &format!("{model:?}"));
    std::fs::write(&file, gone).expect("written");
    let goals = folder.path().join("goals");
    std::fs::create_dir(&goals).expect("a folder");
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images/one-goal-waypoints.png");
    std::fs::copy(picture, goals.join("reach.png")).expect("copied");
    let output = foresight(&["scenario", "check", &path]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("gone.json5"), "{errors}");
    let reach = scenario("reach");
    let wrong = [
        vec!["run", "no/such.toml"],
        vec!["run", &reach, "--samples", "0", "--world", "oracle"],
        vec!["eval", &reach, "--world", "oracle", "--seed", "5000000"],
        vec!["eval", &reach, "--world", "oracle", "--episodes", "0"],
        vec!["run"],
    ];
    for arguments in wrong {
        assert_eq!(
            foresight(&arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_model_that_can_t_be_loaded_exits_with_3() {
    let reach = scenario("reach");
    let output = foresight(&["run", &reach, "--model", "no/such/model"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("no/such/model"), "{errors}");
}

#[test]
fn a_plan_on_candle_is_the_plan_on_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let image = |name: &str, shade: u8| {
        let path = folder.path().join(name);
        let picture = image::RgbImage::from_fn(128, 128, |x, y| {
            image::Rgb([x as u8, y as u8, shade.wrapping_mul((x / 16) as u8)])
        });
        picture.save(&path).expect("written");
        path.display().to_string()
    };
    let model = root.join("models/tabletop").display().to_string();
    let (now, goal) = (image("now.png", 3), image("goal.png", 90));
    let plan = |device: &str| {
        let output = foresight(&[
            "plan",
            "--model",
            &model,
            "--context",
            &now,
            "--goal",
            &goal,
            "--state",
            "0.5,0,0.2,3.14,0,0,0",
            "--samples",
            "48",
            "--iterations",
            "2",
            "--precision",
            "f32",
            "--device",
            device,
            "--json",
        ]);
        let result = object(&output);
        assert_eq!(output.status.code(), Some(0), "{result}");
        let action = result["actions"][0].as_array().expect("an action").clone();
        action
            .iter()
            .map(|v| v.as_f64().expect("a number"))
            .collect()
    };
    let (kernels, candle): (Vec<f64>, Vec<f64>) = (plan("cpu"), plan("candle-cpu"));
    assert_eq!(kernels.len(), 7);
    for (a, b) in kernels.iter().zip(&candle) {
        assert!((a - b).abs() < 1e-5, "{kernels:?} {candle:?}");
    }
}

#[test]
fn a_device_that_is_not_there_is_named_with_its_remedy() {
    let reach = scenario("reach");
    for device in ["cuda:63", "gpu"] {
        let output = foresight(&["run", &reach, "--device", device]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{errors}");
        assert!(
            errors.contains(device) && errors.contains("cpu"),
            "{errors}"
        );
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn a_recording_for_viewers_overwrites_nothing_but_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (csv, mcap, out) = (path("poses.csv"), path("a.mcap"), path("replays"));
    let poses = "0.45,0,0.25,3.1,0,0,0\n0.46,0,0.25,3.1,0,0,0\n";
    std::fs::write(&csv, poses).expect("written");
    for (file, code) in [(&mcap, 0), (&mcap, 0), (&csv, 2)] {
        let output = foresight(&["replay", &csv, "--mcap", file, "--out", &out]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert_eq!(code == 2, errors.contains("no MCAP recording"), "{errors}");
    }
    let there = std::fs::read_to_string(&csv).expect("the poses");
    assert_eq!(there, poses);
}

#[test]
fn eval_counts_and_gives_an_interval() {
    let reach = scenario("reach");
    // A setting changed on the command line arrives, and a wrong one is named.
    let eval = |change| {
        let flags = ["--world", "oracle", "--episodes", "1", "--json"];
        let more = ["--jobs", "1000000", "--set", change];
        foresight(&[&["eval", &reach], &flags[..], &more].concat())
    };
    let planned_by = object(&eval("planner.iterations=2"))["planned_by"].to_string();
    assert!(planned_by.contains("64 × 2"), "{planned_by}");
    let wrong = eval("planner.sample=2");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `samples`"));
    let output = foresight(&[
        "eval",
        &reach,
        "--world",
        "oracle",
        "--samples",
        "200",
        "--episodes",
        "4",
        "--seed",
        "30",
        "--jobs",
        "2",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let result = object(&output);
    assert_eq!(
        (result["episodes"].as_u64(), result["successes"].as_u64()),
        (Some(4), Some(4))
    );
    assert_eq!(result["rate"], 1.0);
    let ci = result["ci95"].as_array().expect("an interval");
    assert!(
        (ci[0].as_f64().expect("a number") - 0.5101).abs() < 1e-3,
        "{ci:?}"
    );
    assert!(result["failures"]
        .as_object()
        .is_some_and(serde_json::Map::is_empty));
    assert!(result["seconds_per_action"].is_number());
}

#[test]
fn any_setting_is_changed_on_the_command_line() {
    let out = tempfile::tempdir().expect("a folder");
    let out_path = out.path().display().to_string();
    let reach = scenario("reach");
    let with = |settings: &[&str]| {
        let mut arguments = vec![
            "run",
            &reach,
            "--world",
            "oracle",
            "--virtual-time",
            "--json",
        ];
        arguments.extend(["--out", &out_path]);
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        foresight(&arguments)
    };
    let output = with(&["planner.preset=paper", "planner.samples=20", "subgoal=[]"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0));
    assert!(
        errors.contains("--set subgoal=[]: there is no sub-goal"),
        "{errors}"
    );
    let output = with(&["planner.sampels=20"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("did you mean `samples`"), "{errors}");
    let settings = [
        "planner.preset=paper",
        "planner.samples=20",
        "planner.iterations=2",
    ];
    let result = object(&with(&settings));
    let folder = PathBuf::from(result["run_dir"].as_str().expect("a folder"));
    let resolved = std::fs::read_to_string(folder.join("scenario.resolved.toml"));
    let resolved = resolved.expect("the resolved scenario");
    for line in [
        "preset = \"paper\"",
        "samples = 20",
        "iterations = 2",
        "topk = 10",
    ] {
        assert!(resolved.lines().any(|l| l == line), "{line}:\n{resolved}");
    }
}
