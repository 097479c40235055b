//! `foresight energy` as a user calls it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn model() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    path.display().to_string()
}

fn energy(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .arg("energy")
        .args(arguments)
        .arg("--json")
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn a_step_of_a_run_has_a_landscape_that_falls_towards_the_chosen_action() {
    let out = tempfile::tempdir().expect("a folder");
    let path = |name: &str| out.path().join(name).display().to_string();
    let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
    let run = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(["run", &reach.display().to_string(), "--virtual-time"])
        .args(["--seed", "900004", "--samples", "100", "--iterations", "4"])
        .args(["--json", "--out", &path("runs")])
        .output()
        .expect("the program starts");
    let run: Value = serde_json::from_slice(&run.stdout).expect("one object");
    let folder = run["run_dir"].as_str().expect("a folder").to_owned();
    let seen = energy(&[
        "--run",
        &folder,
        "--step",
        "1",
        "--grid",
        "7",
        "--out",
        &path("energy"),
    ]);
    assert_eq!(seen["energies"].as_array().map(Vec::len), Some(343));
    let minimum: Vec<f64> = serde_json::from_value(seen["minimum_m"].clone()).expect("a point");
    let chosen: Vec<f64> =
        serde_json::from_value(seen["true_translation_m"].clone()).expect("a point");
    // The search found what the grid says, up to the grid's spacing.
    for (a, b) in minimum.iter().zip(&chosen) {
        assert!((a - b).abs() < 0.03, "{minimum:?} {chosen:?}");
    }
    let csv = std::fs::read_to_string(path("energy/energy.csv")).expect("the table");
    assert_eq!(csv.lines().count(), 344);
    let png = image::open(path("energy/energy.png")).expect("a picture");
    assert!(png.width() > 800);
}

#[test]
fn the_official_example_trajectory_gives_a_picture() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/fixtures/10_franka/franka_example_traj.npz");
    if !beside.exists() {
        println!("skipped: 10_franka is not here (Meta's frames are not ours to copy)");
        return;
    }
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().display().to_string();
    let npz = beside.display().to_string();
    for extra in [None, Some("--reverse")] {
        let (model, mut arguments) = (
            model(),
            vec!["--npz", &npz, "--grid", "5", "--out", &folder],
        );
        arguments.extend(["--model", &model]);
        arguments.extend(extra);
        let seen = energy(&arguments);
        assert_eq!(seen["energies"].as_array().map(Vec::len), Some(125));
        assert!(image::open(out.path().join("energy.png")).is_ok());
    }
}

#[test]
fn what_belongs_to_another_source_of_pictures_is_refused_and_so_are_millimetres() {
    let out = tempfile::tempdir().expect("a folder");
    let picture = out.path().join("now.png").display().to_string();
    image::RgbImage::new(64, 64)
        .save(&picture)
        .expect("written");
    for (command, flag, said) in [
        ("energy", &["--reverse"][..], "--reverse"),
        ("energy", &["--step", "2"], "--step"),
        (
            "plan",
            &["--max-step-m", "75"],
            "box_m is 75; give a number up to 0.5",
        ),
        (
            "plan",
            &["--set", "planner.rotation_rad=30"],
            "rotation_rad is 30",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
            .args([command, "--model", &model(), "--context", &picture])
            .args(["--goal", &picture, "--state", "0.5,0,0.3,3.1,0,0,0"])
            .args(flag)
            .current_dir(out.path())
            .output()
            .expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(said), "{errors}");
    }
}
