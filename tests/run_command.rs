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
fn eval_counts_and_gives_an_interval() {
    let reach = scenario("reach");
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
