//! Runs become data: converted, checked, cut into clips and learned from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foresight_datasets::{ClipOptions, ClipSampler, ClipShape, EpisodeStore, Sampling, View};
use foresight_runs::{record::RunRecord, trace};

fn done(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .unwrap();
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    let words = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words}");
    words
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Four runs: some fail, as two steps are all they have; of one nobody knows the outcome.
fn runs(work: &Path) -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reach = fs::read_to_string(project.join("scenarios/reach.toml")).unwrap();
    let reach = reach.replace("../models", &text(&project.join("models")));
    let hasty = reach.replace("steps = 8", "steps = 2");
    for (name, scenario, seed) in [("whole", reach, "920100"), ("hasty", hasty, "920200")] {
        let file = work.join(format!("{name}.toml"));
        fs::write(&file, scenario).unwrap();
        let (file, out) = (text(&file), text(&work.join("runs").join(name)));
        done(&[
            "eval",
            &file,
            "--world",
            "oracle",
            "--episodes",
            "2",
            "--seed",
            seed,
            "--out",
            &out,
        ]);
    }
    let found = foresight_runs::episodes::run_folders(&work.join("runs"));
    assert_eq!(found.len(), 4, "{found:?}");
    fs::remove_file(found[3].join("result.json")).unwrap();
    found
}

#[test]
fn runs_are_converted_with_their_outcomes_and_learned_from() {
    if !crate::require::ffmpeg() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let folders = runs(work.path());
    let outcome = |run: &PathBuf| {
        let record = fs::read_to_string(run.join("result.json")).ok()?;
        let record: RunRecord = serde_json::from_str(&record).unwrap();
        record.result.success
    };
    let outcomes: Vec<Option<bool>> = folders.iter().map(outcome).collect();
    assert!(outcomes.contains(&Some(true)) && outcomes.contains(&Some(false)));
    assert_eq!(outcomes.iter().filter(|o| o.is_none()).count(), 1);

    for format in ["droid", "lerobot"] {
        let out = work.path().join(format);
        let all = text(&work.path().join("runs"));
        let said = done(&["dataset", "convert", &all, &text(&out), "--to", format]);
        assert!(said.contains("4 episodes"), "{said}");
        let valid = done(&["dataset", "validate", &text(&out)]);
        assert!(valid.contains("4 episodes are usable"), "{valid}");

        // Poses of runs are the fingertips', not DROID's flange's.
        let store = foresight_datasets::open(&out).unwrap();
        let first = match format {
            "droid" => out.join(&store.episodes()[0].path),
            _ => out.clone(),
        };
        let replays = text(&work.path().join("replays"));
        let said = done(&["replay", &text(&first), "--out", &replays]);
        assert!(!said.contains("flange"), "{said}");
        let mut found = Vec::new();
        for (at, entry) in store.episodes().iter().enumerate() {
            found.push(entry.success);
            is_one_of(store.as_ref(), at, &folders);
        }
        let mut expected = outcomes.clone();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{format}");
        let shape = ClipShape {
            frames: 3,
            fps: 4.0,
            sampling: Sampling::RealTime,
            ..ClipShape::default()
        };
        let clips = ClipSampler::new(
            store,
            ClipOptions {
                shape,
                ..ClipOptions::default()
            },
        )
        .unwrap();
        assert_eq!(clips.episodes(), 4);
        let clip = clips.clip(1).unwrap();
        assert_eq!((clip.frames.len(), clip.window.actions.len()), (3, 2));
    }

    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let data = text(&work.path().join("lerobot"));
    let tuned = text(&work.path().join("tuned"));
    done(&[
        "finetune",
        "--model",
        &text(&model),
        "--data",
        &data,
        "--out",
        &tuned,
        "--steps",
        "1",
        "--batch-size",
        "2",
        "--set",
        "data.frames=3",
        "--set",
        "data.validation_share=0.3",
    ]);
    assert!(work.path().join("tuned/model/model.safetensors").exists());

    // Without one of its lines, pictures would go to other states.
    let plan = folders[0].join("plan.jsonl");
    let whole = fs::read_to_string(&plan).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() - 1;
    for (kept, words) in [
        (&lines[1..], "step 0 belongs"),
        (&lines[..last], "cut short"),
    ] {
        fs::write(&plan, kept.join("\n") + "\n").unwrap();
        let store = foresight_runs::episodes::of_runs(&folders[..1]);
        let (usable, unusable) = store.listed();
        assert_eq!((usable.len(), unusable.len()), (0, 1));
        assert!(unusable[0].1.contains(words), "{unusable:?}");
    }
}

/// An episode's states and commands are those of one of the runs, in this order.
fn is_one_of(store: &dyn EpisodeStore, at: usize, folders: &[PathBuf]) {
    let extras = store.extras(at).unwrap();
    let near = |a: &[f64; 7], b: &[f64; 7]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let track = store.proprioception(at, &View::default()).unwrap();
    assert!(
        track.extrinsics.is_some(),
        "the simulated camera's place is known"
    );
    let found = folders.iter().any(|run| {
        let steps = trace::read(&run.join("plan.jsonl")).unwrap();
        let states = &extras.trajectory.states;
        states.len() == steps.len() + 1
            && steps.iter().enumerate().all(|(i, step)| {
                near(&states[i].to_array(), &step.pose)
                    && near(&extras.commanded[i].to_array(), &step.commanded_pose)
            })
    });
    assert!(found, "{}", store.episodes()[at].path);
}
