//! Planning at two levels: the second level trained, proposals cloned, waypoints recorded, foreseen
//! and shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresight_predictor::level_two::LevelTwoConfig;
use foresight_runs::trace::{self, StepTrace};

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
    words(&output)
}

fn refused(arguments: &[&str], with: &str) {
    let output = foresight(arguments);
    let said = words(&output);
    assert!(!output.status.success(), "{arguments:?}: {said}");
    assert!(said.contains(with), "{arguments:?}: {said}");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The bundled first level alone.
fn first_level(work: &Path) -> String {
    let folder = work.join("first");
    fs::create_dir_all(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(project("models/tabletop").join(name), folder.join(name)).unwrap();
    }
    text(&folder)
}

/// The one-goal scenario with four actions.
fn scenario(work: &Path) -> String {
    let whole = fs::read_to_string(project("scenarios/pick_and_place_one_goal.toml")).unwrap();
    let short = whole.replace("steps = 30", "steps = 4");
    let file = work.join("one_goal.toml");
    fs::write(&file, short.replace("../models", &text(&project("models")))).unwrap();
    text(&file)
}

fn recordings(work: &Path) -> String {
    let data = text(&work.join("data"));
    let file = text(&project("models/tabletop/recordings_level_two.toml"));
    done(&[
        "record",
        &file,
        "--episodes",
        "8",
        "--steps",
        "12",
        "--out",
        &data,
    ]);
    data
}

/// What was decided in a run of `scenario`.
fn run(scenario: &str, model: &str, out: &Path, more: &[&str]) -> Vec<StepTrace> {
    let folder = text(out);
    let few = [
        "run",
        scenario,
        "--model",
        model,
        "--seed",
        "920300",
        "--virtual-time",
        "--out",
        &folder,
        "--set",
        "planner.samples=8",
        "--set",
        "planner.level_two.samples=6",
        "--set",
        "planner.level_two.topk=2",
    ];
    foresight(&[&few[..], more].concat());
    let steps = trace::read(&run_folder(out).join("plan.jsonl")).unwrap();
    assert_eq!(steps.len(), 4);
    steps
}

/// The one run in a folder of runs.
fn run_folder(out: &Path) -> PathBuf {
    let mut runs = fs::read_dir(out).unwrap();
    runs.next().unwrap().unwrap().path()
}

fn decided(steps: &[StepTrace]) -> Vec<([f64; 7], Vec<[f64; 7]>)> {
    let each = steps.iter();
    each.map(|s| (s.planned_action(), s.plan.macro_actions.clone()))
        .collect()
}

#[test]
fn a_second_level_is_trained_beside_the_first_and_leads_it() {
    let work = tempfile::tempdir().unwrap();
    let (first, scenario) = (first_level(work.path()), scenario(work.path()));
    let data = recordings(work.path());
    refused(
        &["run", &scenario, "--model", &first, "--virtual-time"],
        "train one with `foresight train --level 2`",
    );
    let recipe = text(&project("models/tabletop/level_two.toml"));
    let (trained, few) = (work.path().join("trained"), "run.validation_clips=16");
    done(&[
        "finetune",
        "--level",
        "2",
        "--model",
        &first,
        "--config",
        &recipe,
        "--data",
        &data,
        "--out",
        &text(&trained),
        "--steps",
        "2",
        "--set",
        few,
        "--set",
        "data.surprising=1.0",
        "--set",
        "loss.metric=l1",
    ]);
    let model = trained.join("model");
    let described = fs::read_to_string(model.join("level-2.json")).unwrap();
    let described: LevelTwoConfig = serde_json::from_str(&described).unwrap();
    assert_eq!(described.jump_steps, [1, 4]);
    let range = described.macro_actions;
    assert!(range.high[1] > 0.08 && range.low[1] < -0.08, "{range:?}");
    // The first level is what it was.
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&model) == weights(Path::new(&first)));

    let cloned = text(&work.path().join("cloned"));
    let (recipe, encoder) = (
        text(&project("models/tabletop/proposals.toml")),
        text(&model),
    );
    let clone = [
        "clone",
        &recipe,
        "--proposals",
        "--encoder",
        &encoder,
        "--data",
        &data,
        "--out",
        &cloned,
        "--set",
        "optimisation.schedule.total_steps=2",
        "--set",
        "optimisation.schedule.anneal_steps=1",
        "--set",
        "optimisation.schedule.warmup_steps=1",
    ];
    done(&clone);
    assert!(model.join("level-2-proposals/policy.json").is_file());
    refused(&clone, "is there already");

    let (model, once) = (text(&model), work.path().join("once"));
    let steps = run(
        &scenario,
        &model,
        &once,
        &["--set", "planner.level_two.spread=0.5"],
    );
    let planned = steps.iter().flat_map(|s| &s.plan.macro_actions);
    for (i, value) in planned.flat_map(|action| action.iter().enumerate()) {
        let inside = range.low[i].min(0.0) - 1e-6..=range.high[i].max(0.0) + 1e-6;
        assert!(inside.contains(value), "component {i}: {value}");
    }
    assert!(steps.iter().any(|s| !s.plan.macro_actions.is_empty()));
    let again = work.path().join("again");
    let again = run(
        &scenario,
        &model,
        &again,
        &["--set", "planner.level_two.spread=0.5"],
    );
    assert_eq!(decided(&steps), decided(&again), "the same seed");
    let report = fs::read_to_string(run_folder(&once).join("report.html")).unwrap();
    assert!(report.contains("The second level plans these waypoints"));

    // Weights that it wasn't trained behind.
    let mut other = weights(Path::new(&model));
    *other.last_mut().unwrap() ^= 1;
    fs::write(Path::new(&model).join("model.safetensors"), other).unwrap();
    refused(
        &["run", &scenario, "--model", &model, "--virtual-time"],
        "trained behind other weights",
    );
}

#[test]
fn recorded_frames_lead_without_any_second_level() {
    let work = tempfile::tempdir().unwrap();
    let (first, scenario) = (first_level(work.path()), scenario(work.path()));
    let data = recordings(work.path());
    let recorded = "planner.level_two.waypoints=\"recorded\"";
    let out = work.path().join("run");
    let steps = run(
        &scenario,
        &first,
        &out,
        &["--set", recorded, "--anchors", &data],
    );
    let led = steps.iter().filter(|s| !s.plan.macro_actions.is_empty());
    assert!(led.count() > 0, "{:?}", decided(&steps));
    let base = ["run", &scenario, "--model", &first, "--virtual-time"];
    let refusal = |more: &[&str], with: &str| refused(&[&base[..], more].concat(), with);
    refusal(&["--set", recorded], "give recordings with --anchors");
    refusal(
        &["--set", "planner.levels=1", "--anchors", &data],
        "set planner.levels = 2",
    );
    refusal(&["--set", "planner.levels=3"], "levels is 3; give 1, or 2");
    let nothing = work.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    let nothing = text(&nothing);
    refusal(&["--set", recorded, "--anchors", &nothing], &nothing);
}

#[test]
fn levels_and_jumps_that_don_t_fit_are_refused() {
    let recipe = text(&project("models/tabletop/level_two.toml"));
    let model = text(&project("models/tabletop"));
    let base = [
        "finetune",
        "--model",
        &model,
        "--estimate",
        "--config",
        &recipe,
    ];
    let refusal = |more: &[&str], with: &str| refused(&[&base[..], more].concat(), with);
    refusal(&[], "train it with --level 2");
    let legacy = ["--level", "2", "--set", "data.sampling=\"legacy\""];
    refusal(&legacy, "jump_steps = [1, 4] needs sampling");
    let backwards = ["--level", "2", "--set", "data.jump_steps=[4, 2]"];
    refusal(&backwards, "jump_steps = [4, 2] must be [least, most]");
    done(&[&base[..], &["--level", "2"]].concat());
}
