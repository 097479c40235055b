//! Recordings are a pure function of their seeds, resume, and never show an evaluation scene.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use foresight_datasets::{Episode, Split};
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_robot::{EnvelopeConfig, WorkspaceBox};
use foresight_scenarios::demonstrations::DemonstrationConfig;

fn plan() -> RecordingPlan {
    RecordingPlan {
        scenario: "test".into(),
        scenes: Default::default(),
        envelope: EnvelopeConfig::new(WorkspaceBox {
            min_m: [0.35, -0.22, 0.0],
            max_m: [0.65, 0.22, 0.35],
        }),
        mix: DemonstrationConfig::default(),
        split: Split::Train,
        image_px: 32,
        steps: 6,
        date: "2026-01-02".into(),
    }
}

/// Every file below a folder, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root");
                let bytes = fs::read(&path).expect("readable");
                found.insert(name.display().to_string(), bytes);
            }
        }
    }
    found
}

#[test]
fn the_same_bytes_whatever_the_number_of_jobs_and_interruptions() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seeds = Split::Train.recording_seeds(40, 6).expect("train seeds");
    let summary = record_all(&plan(), seeds.clone(), one.path(), 1, |_| {}).expect("recorded");
    assert_eq!((summary.recorded, summary.frames), (6, 6 * 7), "{summary}");
    assert_eq!(summary.failed, []);
    assert_eq!(summary.refused_targets, 0);

    // The second is recorded by two workers, in two goes, out of order.
    let later = seeds.start + 4..seeds.end;
    record_all(&plan(), later, two.path(), 2, |_| {}).expect("recorded");
    let summary = record_all(&plan(), seeds.clone(), two.path(), 2, |_| {}).expect("recorded");
    assert_eq!((summary.recorded, summary.already_there), (4, 2));

    let (one_files, two_files) = (files(one.path()), files(two.path()));
    assert_eq!(one_files.len(), 6 * 3);
    assert!(one_files.keys().eq(two_files.keys()));
    for (name, bytes) in &one_files {
        assert!(bytes == &two_files[name], "{name} differs");
    }

    // Different seeds show different scenes and motions.
    let folders = foresight_datasets::layout::episode_folders(one.path()).expect("listed");
    let first: Vec<Vec<u8>> = folders
        .iter()
        .map(|folder| {
            Episode::read(folder, None)
                .expect("readable")
                .frames
                .frame(0)
                .to_vec()
        })
        .collect();
    for (i, frame) in first.iter().enumerate() {
        assert!(first[..i].iter().all(|other| other != frame));
    }
}

#[test]
fn what_is_recorded_is_what_happened() {
    let root = tempfile::tempdir().unwrap();
    let seeds = Split::Validation.recording_seeds(3, 4).expect("seeds");
    let plan = RecordingPlan {
        split: Split::Validation,
        ..plan()
    };
    record_all(&plan, seeds, root.path(), 2, |_| {}).expect("recorded");
    for folder in foresight_datasets::layout::episode_folders(root.path()).expect("listed") {
        let episode = Episode::read(&folder, None).expect("readable");
        let recording = episode.metadata.foresight.as_ref().expect("ours");
        assert_eq!(recording.split, Split::Validation);
        assert_eq!(Split::of_seed(recording.seed), Some(Split::Validation));
        let trajectory = &episode.trajectory;
        assert_eq!((trajectory.len(), trajectory.commands.len()), (7, 6));
        assert!(trajectory.time_s.windows(2).all(|t| t[0] < t[1]));
        let (low, high) = (plan.envelope.workspace.min_m, plan.envelope.workspace.max_m);
        for (state, step) in trajectory.states.iter().skip(1).zip(&trajectory.commands) {
            for axis in 0..3 {
                let at = state.position_m[axis];
                assert!(at > low[axis] - 0.005 && at < high[axis] + 0.005, "{at}");
                assert!(step.requested.translation_m[axis].abs() <= plan.mix.max_step_m);
            }
            assert!((0.0..=1.0).contains(&state.gripper));
        }
    }
}

#[test]
fn evaluation_scenes_and_foreign_splits_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for seeds in [7..9, 2_000_000_000..2_000_000_002] {
        let error = record_all(&plan(), seeds, root.path(), 1, |_| {}).expect_err("wrong split");
        assert!(error.to_string().contains("train"), "{error}");
    }
    assert!(files(root.path()).is_empty());
    let wrong = RecordingPlan {
        image_px: 4,
        ..plan()
    };
    let seeds = Split::Train.recording_seeds(0, 1).expect("seeds");
    let error = record_all(&wrong, seeds, root.path(), 1, |_| {}).expect_err("tiny frames");
    assert!(error.to_string().contains("px"), "{error}");
}
