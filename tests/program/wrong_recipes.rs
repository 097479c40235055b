//! Recipes that can't be meant, and folders that hold something already: refused, and nothing is written.

use std::path::{Path, PathBuf};
use std::process::Command;

use foresight_datasets::Split;
use foresight_demonstrations::{record_all, RecordingPlan};

fn project(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    file.display().to_string()
}

fn foresight(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
    let output = command.args(arguments).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

/// Six short episodes of 64 px.
fn recorded(data: &Path) {
    let scenario = PathBuf::from(project("scenarios/pick_and_place.toml"));
    let mut plan = RecordingPlan::from_scenario(&scenario).unwrap();
    (plan.image_px, plan.steps, plan.date) = (64, 6, "2026-01-01".into());
    let seeds = Split::Train.recording_seeds(660_000, 6).unwrap();
    record_all(&plan, seeds, data, 2, |_| {}).unwrap();
}

#[test]
fn wrong_signs_and_units_are_refused_before_anything_is_read() {
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("out");
    let (to, nothing) = (out.display().to_string(), project("no-data"));
    let model = project("models/tabletop");
    let pretrain = ["pretrain", "models/tabletop/pretrain.toml"];
    let train = ["train", "models/tabletop/train.toml"];
    let clone = ["clone", "models/tabletop/clone.toml"];
    let compact = ["train-compact", "bench/public/pusht/compact.toml"];
    for ([command, recipe], set, named) in [
        (pretrain, "optimisation.clip_norm=-1.0", "clip_norm = -1"),
        (
            pretrain,
            "optimisation.schedule.total_steps=0",
            "total_steps = 0",
        ),
        (
            train,
            "optimisation.schedule.reference=-1e-3",
            "reference = -0.001",
        ),
        (
            train,
            "predictor.action_space.fps=0",
            "action_space.fps = 0",
        ),
        (
            train,
            "predictor.action_space.max_translation_m=75",
            "max_translation_m = 75",
        ),
        (
            train,
            "predictor.euler_around_rad=[180, 0, 0]",
            "euler_around_rad = 180",
        ),
        (train, "predictor.depth=0", "predictor.depth"),
        (
            clone,
            "optimisation.weight_decay=-0.05",
            "weight_decay = -0.05",
        ),
        (
            clone,
            "euler_around_rad=[180, 0, 0]",
            "euler_around_rad = 180",
        ),
        (
            compact,
            "objectives.changes=-2.0",
            "objectives.changes = -2",
        ),
        (
            compact,
            "model.action_space.max_translation_m=50",
            "max_translation_m = 50",
        ),
    ] {
        let recipe = project(recipe);
        let mut all = vec![command, &recipe, "--data", &nothing, "--out", &to];
        all.extend(["--set", set]);
        if ["train", "clone"].contains(&command) {
            all.extend(["--encoder", &model]);
        }
        let (done, said) = foresight(&all);
        assert!(!done && said.contains(named), "{set}: {said}");
        assert!(!out.exists(), "{set}");
    }
    for (flag, value, named) in [
        ("--steps", "0", "total_steps"),
        ("--rate", "nan", "reference"),
    ] {
        let goals = ["train-goals", &nothing, "--model", &model, "--out", &to];
        let (done, said) = foresight(&[&goals[..], &[flag, value]].concat());
        assert!(!done && said.contains(named), "{flag}: {said}");
        assert!(!out.exists(), "{flag}");
    }
}

#[test]
fn no_model_is_written_over_another() {
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("model");
    let (to, model) = (out.display().to_string(), project("models/tabletop"));
    std::fs::create_dir(&out).unwrap();
    let (done, said) = foresight(&["model", "convert", &model, "--out", &to]);
    assert!(done, "{said}");
    std::fs::write(out.join("level-2.json"), "{}").unwrap();
    let files = || {
        let entries = std::fs::read_dir(&out).unwrap();
        let read = entries.map(|entry| {
            let file = entry.unwrap().path();
            (file.clone(), std::fs::read(file).unwrap())
        });
        read.collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = files();
    for command in [vec!["convert", &model], vec!["init", "--arch", "tiny"]] {
        let (done, said) = foresight(&[&["model"][..], &command, &["--out", &to]].concat());
        assert!(!done && said.contains("give a new folder"), "{said}");
        assert!(files() == before);
    }
}

#[test]
fn no_look_at_a_model_passes_what_cannot_be_loaded() {
    let model = project("models/tabletop");
    for command in ["inspect", "verify"] {
        for (flag, value, named) in [
            ("--encoder-heads", "5", "can't be cut into 5 heads"),
            ("--encoder-heads", "0", "can't be cut into 0 heads"),
            ("--img-size", "33", "33×33 is not a whole number"),
            ("--img-size", "0", "0×0 is not a whole number"),
        ] {
            let (done, said) = foresight(&["model", command, &model, flag, value]);
            assert!(
                !done && said.contains(named),
                "{command} {flag} {value}: {said}"
            );
        }
    }
    let (done, said) = foresight(&["model", "inspect", &model]);
    assert!(done && !said.contains("as given"), "{said}");
    let (done, said) = foresight(&["model", "inspect", &model, "--encoder-heads", "8"]);
    assert!(done && said.contains("the checkpoint says 4"), "{said}");
}

#[test]
fn a_run_is_not_overwritten_and_behaviours_are_those_of_the_recordings() {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name).display().to_string();
    let (data, out) = (path("data"), path("out"));
    recorded(Path::new(&data));
    let recipe = project("models/tabletop/pretrain.toml");
    let pretrain = |more: &[&str]| {
        let mut all = vec!["pretrain", &recipe, "--data", &data, "--out", &out];
        for set in [
            "optimisation.batch_size=4",
            "optimisation.schedule.total_steps=1",
            "optimisation.schedule.warmup_steps=0",
            "optimisation.schedule.anneal_steps=1",
            "data.validation_share=0.4",
        ] {
            all.extend(["--set", set]);
        }
        all.extend(more);
        foresight(&all)
    };
    let (done, said) = pretrain(&[]);
    assert!(done, "{said}");
    let weights = || std::fs::read(work.path().join("out/model/model.safetensors")).unwrap();
    let before = weights();
    let (done, said) = pretrain(&["--set", "optimisation.seed=9"]);
    assert!(!done && said.contains("--resume"), "{said}");
    assert!(weights() == before);
    let (done, said) = pretrain(&["--resume", "--set", "optimisation.seed=9"]);
    assert!(!done && said.contains("seed was 1, now 9"), "{said}");
    let (done, said) = pretrain(&["--resume"]);
    assert!(done, "{said}");
    assert!(weights() == before);

    let (recipe, encoder) = (
        project("models/tabletop/clone.toml"),
        project("models/tabletop"),
    );
    let cloned = path("cloned");
    let mut clone = vec!["clone", &recipe, "--encoder", &encoder, "--data", &data];
    clone.extend(["--out", &cloned, "--set", "behaviours=[\"pick_place\"]"]);
    let (done, said) = foresight(&clone);
    assert!(!done, "{said}");
    for part in ["\"pick_place\"", "they are of"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!Path::new(&cloned).exists());
}
