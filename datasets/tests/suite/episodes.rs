//! Episodes go to disk and come back; damaged ones are named, never substituted, never a panic.

use std::fs;
use std::path::Path;

use foresight_datasets::entry::Storage;
use foresight_datasets::inspect::Depth;
use foresight_datasets::set::{LoadOptions, OnBadEpisode};
use foresight_datasets::{
    ClipSampler, Episode, EpisodeSet, Index, Recorder, Split, Trajectory, WindowWeights,
};
use crate::support::episode;

const TRAIN: u64 = 1_000_000_000;

fn record(root: &Path, count: u64) -> Vec<std::path::PathBuf> {
    let recorder = Recorder::new(root, "SIM").expect("a recorder");
    (0..count)
        .map(|i| {
            recorder
                .write(&episode(TRAIN + i, Split::Train, 6))
                .expect("written")
        })
        .collect()
}

#[test]
fn an_episode_comes_back_as_it_was() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folders = record(root.path(), 1);
    assert!(folders[0].ends_with("SIM/success/2026-01-02/episode_1000000000"));
    let read = Episode::read(&folders[0], None).expect("read");
    let written = episode(TRAIN, Split::Train, 6);
    assert_eq!(read.frames, written.frames);
    assert_eq!(read.trajectory, written.trajectory);
    assert_eq!(read.metadata.trajectory_length, 6);
    assert_eq!(
        read.metadata.hdf5_path,
        "success/2026-01-02/episode_1000000000/trajectory.h5"
    );
    assert_eq!(read.metadata.foresight, written.metadata.foresight);
    assert!(Episode::read(&folders[0], Some("wrist"))
        .expect_err("no such camera")
        .to_string()
        .contains("tabletop"));
}

#[test]
fn evaluation_scenes_are_refused() {
    let root = tempfile::tempdir().expect("temporary folder");
    let recorder = Recorder::new(root.path(), "SIM").expect("a recorder");
    for (seed, split) in [
        (7, Split::Evaluation),
        (7, Split::Train),
        (TRAIN, Split::Validation),
    ] {
        let error = recorder
            .write(&episode(seed, split, 6))
            .expect_err("wrong split");
        assert!(error.to_string().contains("evaluation") || error.to_string().contains("train"));
    }
    assert_eq!(recorder.recorded_seeds().expect("listed").len(), 0);

    // A recording whose metadata was changed by hand is caught when read.
    let folder = record(root.path(), 1).remove(0);
    let file = fs::read_dir(&folder)
        .expect("listed")
        .filter_map(Result::ok)
        .find(|e| e.file_name().to_string_lossy().starts_with("metadata_"))
        .expect("metadata")
        .path();
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replace("\"seed\": 1000000000", "\"seed\": 12")).expect("changed");
    let error = Episode::read(&folder, None).expect_err("an evaluation seed");
    assert!(error.to_string().contains("evaluation"), "{error}");
}

#[test]
fn every_cut_and_damage_of_a_trajectory_is_an_error_or_readable() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folder = record(root.path(), 1).remove(0);
    let path = folder.join("trajectory.h5");
    let whole = fs::read(&path).expect("bytes");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).expect("cut");
        let error = Trajectory::read(&path).expect_err("cut short");
        assert!(error.to_string().contains("trajectory.h5"), "{error}");
    }
    // Flipped bits may go unnoticed inside the numbers; they must never panic.
    for at in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xa5;
        fs::write(&path, &bytes).expect("damaged");
        let _ = Trajectory::read(&path);
    }
}

#[test]
fn unusable_episodes_are_listed_with_reasons() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folders = record(root.path(), 6);
    fs::write(folders[0].join("trajectory.h5"), b"").expect("emptied");
    let frames = folders[1].join("recordings/frames/tabletop.rgb8");
    let bytes = fs::read(&frames).expect("bytes");
    fs::write(&frames, &bytes[..bytes.len() - 36]).expect("cut");
    fs::remove_dir_all(folders[2].join("recordings")).expect("removed");
    let mut short = episode(TRAIN + 3, Split::Train, 5);
    short.trajectory = episode(TRAIN + 3, Split::Train, 6).trajectory;
    short
        .frames
        .write(&folders[3].join("recordings/frames/tabletop.rgb8"))
        .expect("a frame less");
    fs::remove_file(
        fs::read_dir(&folders[4])
            .expect("listed")
            .filter_map(Result::ok)
            .find(|e| e.file_name().to_string_lossy().ends_with(".json"))
            .expect("metadata")
            .path(),
    )
    .expect("removed");

    let index = Index::build(root.path(), Depth::Full, |_, _| {}).expect("indexed");
    assert_eq!(index.episodes.len(), 1);
    assert_eq!(index.episodes[0].seed, Some(TRAIN + 5));
    assert_eq!(index.episodes[0].cameras[0].storage, Storage::Frames);
    assert!((index.episodes[0].rate_hz - 4.0).abs() < 1e-9);
    let reasons: Vec<&str> = index.unusable.iter().map(|u| u.reason.as_str()).collect();
    for wanted in [
        "is empty",
        "cut short",
        "neither recordings/frames",
        "but 5 frames",
        "no metadata_*.json",
    ] {
        assert_eq!(
            reasons.iter().filter(|r| r.contains(wanted)).count(),
            1,
            "{wanted}: {reasons:#?}"
        );
    }

    assert!(EpisodeSet::load(root.path(), &LoadOptions::default()).is_err());
    let options = LoadOptions {
        unusable: OnBadEpisode::Skip,
        split: Some(Split::Train),
        ..LoadOptions::default()
    };
    let set = EpisodeSet::load(root.path(), &options).expect("one is left");
    assert_eq!((set.episodes().len(), set.skipped().len()), (1, 5));

    let file = root.path().join("index.json");
    index.write(&file).expect("written");
    assert_eq!(Index::read(&file).expect("read"), index);
    let set = EpisodeSet::load(&file, &LoadOptions::default()).expect("by index");
    assert_eq!(set.episodes().len(), 1);
    fs::write(&file, "{\"version\": 1").expect("cut");
    assert!(Index::read(&file)
        .expect_err("cut short")
        .to_string()
        .contains("dataset index"));
}

#[test]
fn a_set_holds_all_steps_and_a_recording_resumes() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 5);
    // An episode that was being written when the power went is neither read nor counted.
    fs::create_dir_all(root.path().join("SIM/.partial-episode_1000000009")).expect("made");
    let recorder = Recorder::new(root.path(), "SIM").expect("a recorder");
    let mut seeds: Vec<u64> = recorder
        .recorded_seeds()
        .expect("listed")
        .into_iter()
        .collect();
    seeds.sort_unstable();
    assert_eq!(seeds, (TRAIN..TRAIN + 5).collect::<Vec<_>>());

    let set = EpisodeSet::load(root.path(), &LoadOptions::default()).expect("loaded");
    assert_eq!((set.episodes().len(), set.steps()), (5, 30));
    assert_eq!((set.width(), set.height()), (4, 3));
    for span in set.episodes() {
        let source = episode(span.seed.expect("ours"), Split::Train, 6);
        assert_eq!(set.frames_of(span.steps.clone()), source.frames.data());
        let actions = source.trajectory.actions();
        for (step, action) in span.steps.clone().zip(&actions) {
            assert_eq!(set.actions()[step], action.to_array().map(|v| v as f32));
        }
        assert_eq!(set.actions()[span.steps.end - 1], [0.0; 7]);
        assert_eq!(span.target_position_m, Some([0.55, -0.1]));
    }
    let none = LoadOptions {
        split: Some(Split::Validation),
        ..LoadOptions::default()
    };
    assert!(EpisodeSet::load(root.path(), &none).is_err());
}

#[test]
fn clips_cover_everything_once_and_weights_are_kept() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 4);
    let set = EpisodeSet::load(root.path(), &LoadOptions::default()).expect("loaded");
    let uniform = ClipSampler::new(&set, 3, &WindowWeights::Uniform, 9).expect("sampler");
    assert_eq!(uniform.len(), 4 * 4);
    let epoch = uniform.epoch(0);
    assert_eq!(epoch, uniform.epoch(0));
    assert_ne!(epoch, uniform.epoch(1));
    let mut starts: Vec<usize> = epoch.iter().map(|w| w.start).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 16);
    let clip = uniform.clip(&set, epoch[0]);
    assert_eq!(clip.frames.len(), 3 * 36);
    assert_eq!((clip.states.len(), clip.actions.len()), (3, 2));
    assert_eq!(clip.actions[0], set.actions()[epoch[0].start]);

    // In each episode one step closes the gripper: from step 3 to step 4 of 6.
    let events = WindowWeights::GripperEvents { factor: 9.0 };
    let weighted = ClipSampler::new(&set, 2, &events, 9).expect("sampler");
    let draws: Vec<_> = (0..200).flat_map(|e| weighted.epoch(e)).collect();
    let hits = draws.iter().filter(|w| w.start % 6 == 3).count() as f64;
    let share = hits / draws.len() as f64;
    assert!((share - 9.0 / 13.0).abs() < 0.03, "{share}");

    let truth = WindowWeights::SimulatorState {
        object_motion: 2.0,
        grasp_event: 3.0,
    };
    let sampler = ClipSampler::new(&set, 2, &truth, 9).expect("sampler");
    let window = |start| foresight_datasets::clips::Window { episode: 0, start };
    let weights: Vec<f32> = (0..5)
        .map(|s| sampler.clip(&set, window(s)).weight)
        .collect();
    assert_eq!(weights, [1.0, 1.0, 1.0, 3.0, 2.0]);

    assert!(ClipSampler::new(&set, 7, &WindowWeights::Uniform, 0).is_err());
    let wrong = WindowWeights::PerStep(vec![1.0; 3]);
    assert!(ClipSampler::new(&set, 2, &wrong, 0).is_err());
}
