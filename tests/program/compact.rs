//! A compact model: trained, resumed, planned and played with; stable-worldmodel's read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn foresight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn done(arguments: &[&str]) -> String {
    let output = foresight(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(arguments: &[&str], with: &str) {
    let output = foresight(arguments);
    let said = words(&output);
    assert!(!output.status.success(), "{arguments:?}: {said}");
    assert!(said.contains(with), "{arguments:?}: {said}");
}

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The benchmark's recipe, for our simulator's pictures and a few steps.
fn recipe(work: &Path) -> String {
    let whole = fs::read_to_string(project("bench/public/pusht/compact.toml")).unwrap();
    let changed = whole
        .replace(
            r#"actions = ["x", "y"]"#,
            r#"actions = ["x", "y", "z", "gripper"]"#,
        )
        .replace(
            "action_scale = [0.05, 0.05]",
            "action_scale = [0.075, 0.075, 0.075, 1.0]",
        )
        .replace(r#"views = ["front"]"#, r#"views = ["left"]"#);
    let file = work.join("compact.toml");
    fs::write(&file, changed).unwrap();
    text(&file)
}

#[test]
fn a_compact_model_is_trained_resumed_and_plays() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let data = text(&work.join("data"));
    let recordings = text(&project("models/tabletop/recordings.toml"));
    done(&[
        "record",
        &recordings,
        "--episodes",
        "12",
        "--steps",
        "6",
        "--image-px",
        "128",
        "--out",
        &data,
    ]);
    let recipe = recipe(work);
    let train = |out: &str, more: &[&str]| {
        let few = [
            "train-compact",
            &recipe,
            "--data",
            &data,
            "--out",
            out,
            "--every",
            "4",
            "--json",
            "--set",
            "optimisation.schedule.total_steps=24",
            "--set",
            "optimisation.schedule.anneal_steps=20",
            "--set",
            "optimisation.schedule.warmup_steps=4",
            "--set",
            "optimisation.batch_size=8",
            "--set",
            "data.validation_share=0.3",
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
        command
            .args(few)
            .args(more)
            .stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let said = |child: std::process::Child| -> Value {
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    };
    let (whole, halves) = (text(&work.join("whole")), text(&work.join("halves")));
    let at_once = said(train(&whole, &[]));
    assert_eq!(at_once["steps"], 24);
    // Stopped after its first checkpoint, and gone on: the same weights.
    let begun = train(&halves, &[]);
    while !Path::new(&halves).join("state.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Command::new("kill")
        .args(["-INT", &begun.id().to_string()])
        .status()
        .unwrap();
    let stopped = said(begun);
    let resumed = said(train(&halves, &["--resume"]));
    assert_eq!(resumed["steps"], 24, "{stopped}");
    assert_eq!(resumed["best"], at_once["best"], "{stopped}");
    let weights = |run: &str| fs::read(Path::new(run).join("model/compact.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&halves), "{stopped}");
    let log = fs::read_to_string(Path::new(&whole).join("log.csv")).unwrap();
    assert!(log.contains(",validation,inverse_dynamics,"), "{log}");

    // It plans like any model, whatever the threads, and says what it can't do.
    let model = format!("{whole}/model");
    let run = |more: &[&str]| {
        let scenario = text(&project("scenarios/reach.toml"));
        let out = text(&work.join("runs"));
        let played = [
            "run",
            &scenario,
            "--model",
            &model,
            "--seed",
            "920001",
            "--virtual-time",
            "--out",
            &out,
            "--json",
            "--set",
            "planner.samples=16",
            "--set",
            "planner.horizon=4",
        ];
        foresight(&[&played[..], more].concat())
    };
    let played = run(&[]);
    let said: Value = serde_json::from_slice(&played.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", words(&played)));
    assert!(said["success"].is_boolean(), "{said}");
    let refined = run(&["--set", "planner.refine_steps=2"]);
    assert!(
        words(&refined).contains("no gradients"),
        "{}",
        words(&refined)
    );
    refused(
        &[
            "run",
            &text(&project("scenarios/reach.toml")),
            "--model",
            &model,
            "--device",
            "candle-cpu",
            "--virtual-time",
        ],
        "computes on the CPU",
    );
    let inspected: Value =
        serde_json::from_str(&done(&["model", "inspect", &model, "--json"])).unwrap();
    assert_eq!(inspected["architecture"]["history"], 3);
}

#[test]
fn a_compact_model_sees_two_cameras() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let path = |name: &str| text(&work.join(name));
    let (data, out, runs) = (path("data"), path("out"), path("runs"));
    let recordings = text(&project("models/two_views/recordings.toml"));
    let some = ["--episodes", "8", "--steps", "6", "--out", &data];
    done(&[&["record", &recordings][..], &some].concat());
    let recipe = recipe(work);
    let mut train = vec!["train-compact", &recipe, "--data", &data, "--out", &out];
    for set in [
        "model.views=2",
        "objectives.proprioception=1.0",
        "objectives.changes=1.0",
        "optimisation.schedule.total_steps=6",
        "optimisation.schedule.anneal_steps=5",
        "optimisation.schedule.warmup_steps=2",
        "optimisation.batch_size=8",
        "data.validation_share=0.3",
    ] {
        train.extend(["--set", set]);
    }
    done(&train);
    let log = fs::read_to_string(work.join("out/log.csv")).unwrap();
    let cost = |part: &str| -> f64 {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(part)).collect();
        let last = lines.last().unwrap_or_else(|| panic!("{part}: {log}"));
        last.rsplit(',').next().unwrap().parse().unwrap()
    };
    // Telling nothing of what changes costs 1, from true latents and from foreseen ones.
    assert!(cost(",validation,changes,") > 0.5, "{log}");
    assert!(cost(",validation,proprioception,") > 0.0, "{log}");
    let model = path("out/model");
    let run = |scenario: &str| {
        let scenario = text(&project(scenario));
        let played = ["run", &scenario, "--model", &model, "--virtual-time"];
        let more = ["--out", &runs, "--json", "--set", "planner.samples=8"];
        foresight(&[&played[..], &more].concat())
    };
    let played = run("scenarios/push_two_cameras.toml");
    let said: Value = serde_json::from_slice(&played.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", words(&played)));
    assert!(said["success"].is_boolean(), "{said}");
    let one_camera = run("scenarios/push.toml");
    assert!(!one_camera.status.success());
    assert!(
        words(&one_camera).contains("camera"),
        "{}",
        words(&one_camera)
    );
}

#[test]
fn a_recipe_that_does_not_fit_is_refused_by_its_key() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let recipe = recipe(work);
    let out = text(&work.join("out"));
    for (change, named) in [
        ("model.side_px=50", "can't be halved"),
        ("model.heads=0", "heads must be at least 1"),
        (
            "model.action_scale=[1.0]",
            "action_scale one number for each",
        ),
        ("data.frames=1", "data.frames must be at least 2"),
        ("objectives.sigrag=1.0", "sigrag"),
    ] {
        refused(
            &[
                "train-compact",
                &recipe,
                "--data",
                &out,
                "--out",
                &out,
                "--set",
                change,
            ],
            named,
        );
    }
}

#[test]
fn stable_worldmodel_s_checkpoint_becomes_a_folder_that_plans() {
    let work = tempfile::tempdir().unwrap();
    let model = text(&work.path().join("model"));
    let weights = text(&project("fixtures/lewm/weights.pt"));
    refused(
        &["model", "convert", &weights, "--out", &model],
        "--actions",
    );
    refused(&["model", "inspect", &weights], "model convert");
    done(&[
        "model",
        "convert",
        &weights,
        "--out",
        &model,
        "--actions",
        "x,y,gripper",
    ]);
    let pictures = ["context", "goal"].map(|name| {
        let file = work.path().join(format!("{name}.png"));
        let grey = if name == "goal" { 200 } else { 40 };
        image::RgbImage::from_pixel(32, 32, image::Rgb([grey; 3]))
            .save(&file)
            .unwrap();
        text(&file)
    });
    let planned = done(&[
        "plan",
        "--model",
        &model,
        "--context",
        &pictures[0],
        "--goal",
        &pictures[1],
        "--state",
        "0.4,0,0.3,3.14,0,0,0",
        "--samples",
        "20",
        "--iterations",
        "3",
        "--horizon",
        "5",
        "--json",
    ]);
    let planned: Value = serde_json::from_str(&planned).unwrap();
    assert_eq!(planned["actions"].as_array().unwrap().len(), 5);
    assert_eq!(planned["evaluations"], 60);
}
