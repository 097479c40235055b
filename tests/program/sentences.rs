//! A goal head from recordings to a run: trained for a moment only, so that what it knows is little, but
//! what it refuses is sure.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresight_datasets::Split;
use foresight_demonstrations::{record_all, RecordingPlan};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn foresight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn sentences_are_learned_from_recordings_and_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let [data, model, out] = ["data", "model", "out"].map(|n| folder.path().join(n));
    for file in ["config.json", "model.safetensors"] {
        std::fs::create_dir_all(&model).unwrap();
        std::fs::copy(project("models/tabletop").join(file), model.join(file)).unwrap();
    }
    let scenario = project("scenarios/pick_and_place_two_objects.toml");
    let mut plan = RecordingPlan::from_scenario(&scenario).unwrap();
    (plan.steps, plan.date) = (20, "2026-01-01".into());
    for (split, episodes) in [(Split::Train, 24), (Split::Validation, 8)] {
        plan.split = split;
        let seeds = split.recording_seeds(700_000, episodes).unwrap();
        record_all(&plan, seeds, &data, 2, |_| {}).unwrap();
    }
    let path = |path: &PathBuf| path.display().to_string();
    let (data, model, out) = (path(&data), path(&model), path(&out));
    let train = |more: &[&str]| {
        let few = [
            "train-goals",
            &data,
            "--model",
            &model,
            "--steps",
            "4",
            "--batch",
            "4",
            "--json",
        ];
        foresight(&[&few[..], more].concat())
    };
    let trained = train(&["--out", &out]);
    assert!(trained.status.success(), "{}", said(&trained));
    let told: serde_json::Value = serde_json::from_slice(&trained.stdout).unwrap();
    assert_eq!(told["steps"], 4, "{told}");
    assert!(
        told["training"]["episodes"][0]
            .as_u64()
            .is_some_and(|n| n >= 4),
        "{told}"
    );
    // A head is not trained over another, and a run goes on only as itself.
    let elsewhere = format!("{out}-again");
    for (more, reason) in [
        (&["--out", &elsewhere][..], "is there already"),
        (
            &["--out", &out, "--resume", "--seed", "9"],
            "seed was 0, now 9",
        ),
    ] {
        let refused = train(more);
        assert!(
            !refused.status.success() && said(&refused).contains(reason),
            "{}",
            said(&refused)
        );
    }
    let scenario = path(&project("scenarios/pick_and_place_said.toml"));
    for (sentence, reason) in [
        (
            "put the red spoon on the green disc",
            "\"spoon\" is not known",
        ),
        (
            "put the red blue cup on the green disc",
            "both red and blue",
        ),
        ("put the red cup", "where to put it"),
    ] {
        let refused = foresight(&[
            "run",
            &scenario,
            "--model",
            &model,
            "--virtual-time",
            "--out",
            &out,
            "--say",
            sentence,
        ]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        let words = said(&refused);
        assert!(
            words.contains(reason) && words.contains("nothing is moved"),
            "{words}"
        );
    }
    // A model that has learned no sentence says so.
    let bare = path(&project("models/tabletop"));
    if !Path::new(&bare).join("goal-head.json").exists() {
        let refused = foresight(&["run", &scenario, "--model", &bare, "--virtual-time"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(said(&refused).contains("train-goals"), "{}", said(&refused));
    }
}
