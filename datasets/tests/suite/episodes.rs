//! Episodes go to disk and come back; damaged ones are named, never substituted, never a panic.

use std::fs;
use std::path::Path;

use crate::support::episode;
use foresight_datasets::entry::PictureStorage;
use foresight_datasets::inspect::Depth;
use foresight_datasets::{
    ClipOptions, ClipSampler, ClipShape, Draws, Episode, EpisodeStore, Index, OnBadEpisode,
    Recorder, Sampling, Split, Subset, Trajectory, View,
};

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
    assert_eq!(recorder.recorded().expect("listed").len(), 0);

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
    assert_eq!(index.episodes[0].cameras[0].storage, PictureStorage::Frames);
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

    let open = |on_bad_episode| {
        let options = ClipOptions {
            on_bad_episode,
            ..consecutive(3, Draws::Episode)
        };
        ClipSampler::new(
            foresight_datasets::open(root.path()).expect("opened"),
            options,
        )
    };
    assert!(open(OnBadEpisode::Refuse).is_err());
    let clips = open(OnBadEpisode::Skip).expect("one is left");
    assert_eq!((clips.episodes(), clips.skipped().len()), (1, 5));
    assert!(Subset::of_split(root.path(), Split::Train, 9).is_err());

    let file = root.path().join("index.json");
    index.write(&file).expect("written");
    assert_eq!(Index::read(&file).expect("read"), index);
    let store = foresight_datasets::open(&file).expect("by index");
    assert_eq!(store.episodes().len(), 1);
    fs::write(&file, "{\"version\": 1").expect("cut");
    assert!(Index::read(&file)
        .expect_err("cut short")
        .to_string()
        .contains("dataset index"));
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_followed_and_each_episode_is_listed_once() {
    use std::os::unix::fs::symlink;

    let (kept, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = record(kept.path(), 2);
    symlink(kept.path().join("SIM"), root.path().join("all")).unwrap();
    symlink(&folders[0], root.path().join("one_of_them")).unwrap();
    symlink(root.path(), root.path().join("loop")).unwrap();
    symlink(root.path().join("gone"), root.path().join("nowhere")).unwrap();
    let index = Index::build(root.path(), Depth::Full, |_, _| {}).unwrap();
    let paths: Vec<&str> = index.episodes.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "all/failure/2026-01-02/episode_1000000001",
            "all/success/2026-01-02/episode_1000000000"
        ]
    );
    assert!(index.unusable.is_empty(), "{:?}", index.unusable);
}

#[test]
fn films_that_are_no_mp4_are_named_and_mp4_may_be_written_large() {
    let case = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cases")
            .join(name)
    };
    let root = tempfile::tempdir().unwrap();
    let from = case("h5_soft_link/LAB/success/2024-01-02/episode_a");
    let videos = root.path().join("recordings/MP4");
    fs::create_dir_all(&videos).unwrap();
    for file in ["metadata_x.json", "trajectory.h5"] {
        fs::copy(from.join(file), root.path().join(file)).unwrap();
    }
    let film = from.join("recordings/MP4/11111111.mp4");
    fs::copy(&film, videos.join("11111111.mkv")).unwrap();
    let index = Index::build(root.path(), Depth::Quick, |_, _| {}).unwrap();
    let reason = &index.unusable[0].reason;
    assert!(reason.contains("11111111.mkv is not read"), "{reason}");

    fs::copy(&film, videos.join("11111111.MP4")).unwrap();
    let index = Index::build(root.path(), Depth::Quick, |_, _| {}).unwrap();
    assert!(index.episodes[0].notes[0].contains("11111111.mkv"));
    if crate::require::ffmpeg() {
        let store = foresight_datasets::of_index(index, root.path());
        assert_eq!(store.frames(0, &View::default(), &[3]).unwrap().len(), 1);
    }
}

#[test]
fn a_store_gives_what_was_recorded_and_a_recording_resumes() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 5);
    // An episode that was being written when the power went is neither read nor counted.
    fs::create_dir_all(root.path().join("SIM/.partial-episode_1000000009")).expect("made");
    let recorder = Recorder::new(root.path(), "SIM").expect("a recorder");
    let mut seeds: Vec<u64> = recorder.recorded().expect("listed").into_keys().collect();
    seeds.sort_unstable();
    assert_eq!(seeds, (TRAIN..TRAIN + 5).collect::<Vec<_>>());

    let store = Subset::of_split(root.path(), Split::Train, 4).expect("opened");
    assert_eq!(store.episodes().len(), 4);
    for (at, entry) in store.episodes().iter().enumerate() {
        let source = episode(entry.seed.expect("ours"), Split::Train, 6);
        let view = Default::default();
        let frames = store.frames(at, &view, &[0, 1, 2, 3, 4, 5]).expect("read");
        assert_eq!(frames, source.frames);
        let measured = store.proprioception(at, &view).expect("read");
        assert_eq!(measured.states, source.trajectory.states);
        let extras = store.extras(at).expect("read");
        assert_eq!(extras.trajectory, source.trajectory);
    }
    assert!(Subset::of_split(root.path(), Split::Validation, 4).is_err());
}

fn consecutive(frames: usize, draws: Draws) -> ClipOptions {
    ClipOptions {
        shape: ClipShape {
            frames,
            sampling: Sampling::Consecutive,
            ..ClipShape::default()
        },
        draws,
        seed: 9,
        ..ClipOptions::default()
    }
}

#[test]
fn clips_are_drawn_once_an_epoch_or_as_often_as_they_count() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 4);
    let clips = |frames, draws| {
        let data = foresight_datasets::open(root.path()).expect("opened");
        ClipSampler::new(data, consecutive(frames, draws))
    };
    let all_alike = |batch| Draws::Clip {
        gripper_events: 1.0,
        batch,
    };
    let starts = |clips: &ClipSampler, draws: std::ops::Range<u64>| -> Vec<(usize, usize)> {
        let windows = draws.map(|draw| clips.window(draw).expect("a clip"));
        windows.map(|w| (w.episode, w.frame_numbers[0])).collect()
    };
    let one_by_one = clips(3, all_alike(1)).expect("clips");
    assert_eq!(one_by_one.epoch(), 4 * 4);
    let epoch = starts(&one_by_one, 0..16);
    assert_ne!(epoch, starts(&one_by_one, 16..32));
    let mut sorted = epoch.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 16);
    // Of 16 clips three steps of 5 are drawn; what is left over begins no epoch.
    let by_five = clips(3, all_alike(5)).expect("clips");
    assert_eq!(by_five.epoch(), 15);
    assert_eq!(starts(&by_five, 0..15), epoch[..15]);
    assert_eq!(starts(&by_five, 15..30), starts(&one_by_one, 16..31));

    // In each episode one step closes the gripper: from step 3 to step 4 of 6.
    let events = Draws::Clip {
        gripper_events: 9.0,
        batch: 1,
    };
    let weighted = starts(&clips(2, events).expect("clips"), 0..4000);
    let hits = weighted.iter().filter(|(_, start)| *start == 3).count() as f64;
    let share = hits / weighted.len() as f64;
    assert!((share - 9.0 / 13.0).abs() < 0.03, "{share}");

    // Weights of single clips: the first one of sixteen as often as all others together.
    let mut chosen = clips(3, all_alike(1)).expect("clips");
    assert!(chosen.emphasise(vec![1.0; 15]).is_err());
    assert!(chosen.emphasise(vec![f32::NAN; 16]).is_err());
    let first = chosen.evenly_spaced(usize::MAX).expect("windows").remove(0);
    let weights = (0..16).map(|at| if at == 0 { 15.0 } else { 1.0 });
    chosen.emphasise(weights.collect()).expect("weights");
    let drawn = starts(&chosen, 0..4000);
    let hits = drawn
        .iter()
        .filter(|d| **d == (first.episode, first.frame_numbers[0]));
    let share = hits.count() as f64 / drawn.len() as f64;
    assert!((share - 0.5).abs() < 0.03, "{share}");
    assert!(clips(2, Draws::Episode)
        .expect("clips")
        .emphasise(vec![1.0; 4])
        .is_err());

    assert!(clips(7, all_alike(1)).is_err());
    assert!(clips(2, all_alike(0)).is_err());
}

#[test]
fn steps_of_single_draws_and_goals_are_functions_of_their_numbers() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 3);
    let clips = |draws| {
        let data = foresight_datasets::open(root.path()).expect("opened");
        ClipSampler::new(data, consecutive(2, draws)).expect("clips")
    };
    let (one, other) = (
        clips(Draws::Any { batch: 8 }),
        clips(Draws::Any { batch: 8 }),
    );
    assert_eq!(one.states(), 18);
    // Later steps first, and each has a number of its own for whatever else is random.
    let later = one.window(80).expect("a clip");
    assert_eq!(
        one.window(0).expect("a clip"),
        other.window(0).expect("a clip")
    );
    assert_eq!(later, other.window(80).expect("a clip"));
    assert_eq!(one.step_seed(3), other.step_seed(3));
    assert_ne!(one.step_seed(3), one.step_seed(4));
    // Of every third state, those that have a successor.
    let spaced = one.evenly_spaced(6).expect("clips");
    let places: Vec<_> = spaced
        .iter()
        .map(|w| (w.episode, w.frame_numbers[0]))
        .collect();
    assert_eq!(places, [(0, 0), (0, 3), (1, 0), (1, 3), (2, 0), (2, 3)]);

    let goals = clips(Draws::Goal {
        batch: 8,
        farthest: 3,
        farthest_share: 0.0,
        gripper_events: 1.0,
    });
    let latest = clips(Draws::Goal {
        batch: 8,
        farthest: 3,
        farthest_share: 1.0,
        gripper_events: 1.0,
    });
    for draw in 0..40 {
        let window = latest.window(draw).expect("a clip");
        let now = window.frame_numbers[0];
        assert_eq!(window.frame_numbers[1], (now + 3).min(5));
    }
    let mut farthest = 0;
    for draw in 0..200 {
        let window = goals.window(draw).expect("a clip");
        let [now, goal] = window.frame_numbers[..] else {
            panic!("two frames")
        };
        assert!(now < goal && goal <= (now + 3).min(5));
        farthest = farthest.max(goal - now);
        let source = goals
            .window_at(window.episode, &window.view, now)
            .expect("a clip");
        assert_eq!(window.states[0], source.states[0]);
        assert_eq!(window.actions[0][..6], source.actions[0][..6]);
        // Then the way to the goal, from keyframe to keyframe, behind the last of which no gripper moves.
        let way = &window.actions[1..];
        let moved = window.states[1][0] - window.states[0][0];
        assert!((way.iter().map(|a| a[0]).sum::<f64>() - moved).abs() < 1e-9);
        let told: Vec<f64> = way.iter().map(|a| a[6]).collect();
        assert_eq!(told.last(), Some(&0.0), "{told:?}");
        assert!(
            told.iter().rev().skip(1).all(|g| g.abs() == 1.0),
            "{told:?}"
        );
    }
    assert_eq!(farthest, 3);
}
