//! Our recordings into DROID raw and LeRobot v3 and back: numbers and pictures survive.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::episode;
use foresight_datasets::convert::{to_droid, to_lerobot, ConvertOptions};
use foresight_datasets::layout::metadata_file;
use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::statistics::Statistics;
use foresight_datasets::OnBadEpisode;
use foresight_datasets::{
    ClipOptions, ClipSampler, ClipShape, Episode, EpisodeStore, FrameStack, LooseCamera,
    LooseEpisode, LooseEpisodes, Metadata, Recorder, Role, Sampling, Split, Trajectory, View,
};

const TRAIN: u64 = 1_000_000_000;
const STEPS: usize = 12;
const SIDE: u32 = 64;

/// An episode with pictures large enough for any codec: a grey that says which one it is.
fn recorded(seed: u64) -> Episode {
    let mut episode = episode(seed, Split::Train, STEPS);
    episode.frames = FrameStack::new(SIDE, SIDE);
    for t in 0..STEPS {
        let pixels = vec![grey(seed, t); (SIDE * SIDE * 3) as usize];
        episode.frames.push(&pixels).expect("the stack's size");
    }
    if let Some(simulator) = &mut episode.trajectory.simulator {
        simulator.scene = r#"{"camera":{"eye_m":[1.1,0.3,0.5],"look_at_m":[0.5,0,0.1]}}"#.into();
    }
    episode
}

fn grey(seed: u64, t: usize) -> u8 {
    ((seed as usize % 7) * 31 + t * 13) as u8 % 200 + 28
}

fn record(root: &Path, count: u64) -> Vec<PathBuf> {
    let recorder = Recorder::new(root, "SIM").expect("a recorder");
    let write = |i| recorder.write(&recorded(TRAIN + i)).expect("written");
    (0..count).map(write).collect()
}

/// Every episode of a store has the poses, times and pictures that were recorded.
fn check(found: &dyn EpisodeStore, tolerance: f64) {
    assert_eq!(found.episodes().len(), 5);
    assert!(found.unusable().is_empty(), "{:?}", found.unusable());
    // In path order: failures (odd seeds) before successes.
    for (at, seed) in [1, 3, 0, 2, 4].into_iter().enumerate() {
        let view = View::default();
        let track = found.proprioception(at, &view).expect("a track");
        assert_eq!(track.states.len(), STEPS);
        let source = recorded(TRAIN + seed);
        for (state, expected) in track.states.iter().zip(&source.trajectory.states) {
            let pairs = state.to_array().into_iter().zip(expected.to_array());
            for (a, b) in pairs {
                assert!((a - b).abs() <= tolerance, "{a} {b}");
            }
        }
        for (t, expected) in track.time_s.iter().zip(&source.trajectory.time_s) {
            let begin = track.time_s[0] - source.trajectory.time_s[0];
            assert!((t - expected - begin).abs() < 1e-6);
        }
        assert_eq!(found.episodes()[at].success, source.metadata.success);
        assert_eq!(found.episodes()[at].task, "pick");
        let camera = track.extrinsics.expect("from the scene")[0];
        assert!((camera[0] - 1.1).abs() < 1e-6, "{camera:?}");
        let frames = found.frames(at, &view, &[0, 5, 11]).expect("frames");
        for (k, number) in [0, 5, 11].into_iter().enumerate() {
            let level = grey(source.metadata.scene_id as u64, number);
            assert!(frames.frame(k)[99].abs_diff(level) <= 4, "{at} {number}");
        }
    }
}

#[test]
fn recordings_become_lerobot_and_droid_and_back() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let root = folder.path().join("ours");
    record(&root, 5);
    let ours = foresight_datasets::open(&root).expect("our recordings");
    let options = ConvertOptions::default();

    let lerobot = folder.path().join("lerobot");
    let converted = to_lerobot(ours.as_ref(), &lerobot, &options, |_, _| {}).expect("converted");
    assert_eq!((converted.episodes, converted.frames), (5, 5 * STEPS));
    let mut read = LeRobotStore::open(&lerobot).expect("a LeRobot dataset");
    assert_eq!(
        (read.info().fps, read.info().total_episodes),
        (4.0, Some(5))
    );
    read.validate(|_, _| {});
    assert_eq!(read.unusable(), []);
    check(&read, 1e-6);

    let droid = folder.path().join("droid");
    to_droid(ours.as_ref(), &droid, &options, |_, _| {}).expect("converted");
    check(
        foresight_datasets::open(&droid)
            .expect("DROID raw")
            .as_ref(),
        0.0,
    );

    let back = folder.path().join("back");
    to_droid(&read, &back, &options, |_, _| {}).expect("converted");
    check(
        foresight_datasets::open(&back).expect("DROID raw").as_ref(),
        1e-6,
    );

    // Pictures of another shape are stretched, and that is said.
    let flat = ConvertOptions {
        size: Some((64, 16)),
        ..ConvertOptions::default()
    };
    let stretched = to_lerobot(ours.as_ref(), &folder.path().join("flat"), &flat, |_, _| {});
    let notes = stretched.expect("converted").notes.join("\n");
    assert!(
        notes.contains("5 episodes") && notes.contains("to 64 x 16"),
        "{notes}"
    );
    assert!(!converted.notes.join("\n").contains("another shape"));

    // The same clip, whatever the format; also as the official loader cuts it.
    let clip = |path: &Path, sampling| {
        let shape = ClipShape {
            frames: 4,
            sampling,
            ..ClipShape::default()
        };
        let options = ClipOptions {
            shape,
            transform_frame: true,
            ..ClipOptions::default()
        };
        let clips = ClipSampler::new(foresight_datasets::open(path).expect("a dataset"), options);
        clips
            .expect("clips")
            .window_at(0, &View::default(), 3)
            .expect("a clip")
    };
    let expected = clip(&droid, Sampling::RealTime);
    assert_eq!(expected.states, clip(&root, Sampling::RealTime).states);
    assert_eq!(expected.states, clip(&droid, Sampling::Legacy).states);

    // A folder that holds something is not written into.
    let again = to_lerobot(ours.as_ref(), &lerobot, &options, |_, _| {}).expect_err("refused");
    assert!(again.to_string().contains("not empty"), "{again}");
}

#[test]
fn damaged_lerobot_files_are_named() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let (root, out) = (folder.path().join("ours"), folder.path().join("lerobot"));
    record(&root, 5);
    let ours = foresight_datasets::open(&root).expect("our recordings");
    to_lerobot(ours.as_ref(), &out, &ConvertOptions::default(), |_, _| {}).expect("converted");

    let data = "data/chunk-000/file-000.parquet";
    let film = "videos/observation.images.exterior_1_left/chunk-000/file-000.mp4";
    for name in [
        "meta/info.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/tasks.parquet",
    ] {
        let path = out.join(name);
        let whole = fs::read(&path).expect("bytes");
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).expect("cut");
            match LeRobotStore::open(&out) {
                Ok(_) => assert_eq!((name, cut), ("meta/info.json", whole.len() - 1)),
                Err(e) => {
                    let file = name.rsplit('/').next().expect("a name");
                    assert!(e.to_string().contains(file), "{name} {cut}: {e}");
                }
            }
        }
        fs::write(&path, whole).expect("restored");
    }
    for name in [data, film] {
        let path = out.join(name);
        let whole = fs::read(&path).expect("bytes");
        for cut in [0, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).expect("cut");
            let read = LeRobotStore::open(&out).expect("the metadata is whole");
            assert_eq!(
                (read.episodes().len(), read.unusable().len()),
                (0, 5),
                "{name} {cut}"
            );
            let file = name.rsplit('/').next().expect("a name");
            assert!(read.unusable()[0].1.contains(file));
        }
        fs::write(&path, whole).expect("restored");
    }
    // The numbers of another dataset under this one's metadata.
    let info = fs::read_to_string(out.join("meta/info.json")).expect("text");
    fs::write(out.join("meta/info.json"), info.replace("v3.0", "v2.1")).expect("changed");
    let error = LeRobotStore::open(&out).err().expect("refused").to_string();
    assert!(
        error.contains("v2.1") && error.contains("convert_dataset"),
        "{error}"
    );
}

#[test]
fn what_can_t_be_converted_is_refused_or_listed() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let root = folder.path().join("ours");
    let folders = record(&root, 3);
    fs::write(folders[1].join("trajectory.h5"), b"no HDF5").expect("broken");
    let ours = foresight_datasets::open(&root).expect("our recordings");
    let options = ConvertOptions::default();
    let error = to_lerobot(ours.as_ref(), &folder.path().join("a"), &options, |_, _| {})
        .expect_err("refused");
    assert!(error.to_string().contains("trajectory.h5"), "{error}");
    let options = ConvertOptions {
        on_bad_episode: OnBadEpisode::Skip,
        views: vec![View::default(); 2],
        ..ConvertOptions::default()
    };
    let error = to_lerobot(ours.as_ref(), &folder.path().join("a"), &options, |_, _| {})
        .expect_err("refused");
    assert!(error.to_string().contains("left is named twice"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, b"a file").expect("written");
    let options = ConvertOptions {
        on_bad_episode: OnBadEpisode::Skip,
        ..ConvertOptions::default()
    };
    let error = to_lerobot(ours.as_ref(), &file, &options, |_, _| {}).expect_err("refused");
    assert!(error.to_string().contains("is not empty"), "{error}");
    let options = ConvertOptions {
        on_bad_episode: OnBadEpisode::Skip,
        fps: Some(2),
        size: Some((96, 80)),
        ..ConvertOptions::default()
    };
    let out = folder.path().join("b");
    let converted = to_lerobot(ours.as_ref(), &out, &options, |_, _| {}).expect("two are left");
    assert_eq!((converted.episodes, converted.skipped.len()), (2, 1));
    // Twelve states at 4 Hz are six at 2 Hz.
    assert_eq!(converted.frames, 2 * 6);
    let read = LeRobotStore::open(&out).expect("a LeRobot dataset");
    let camera = &read.episodes()[0].cameras[0];
    assert_eq!((camera.width, camera.height, camera.frames), (96, 80, 6));
}

#[test]
fn a_rate_is_that_of_the_times_or_of_droid_without_any() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let root = folder.path().join("ours");
    let recorder = Recorder::new(&root, "SIM").expect("a recorder");
    let mut episode = recorded(TRAIN);
    let written = recorder.write(&episode).expect("written");
    // As DROID's own episodes are, which say no nominal rate.
    let file = metadata_file(&written).expect("one");
    let mut metadata = Metadata::read(&file).expect("metadata");
    metadata.foresight = None;
    metadata.write(&file).expect("without our part");
    let options = |fps| ConvertOptions {
        fps: Some(fps),
        ..ConvertOptions::default()
    };
    let convert = |fps| {
        let store = foresight_datasets::open(&root).expect("a dataset");
        let out = folder.path().join(format!("at_{fps}"));
        let _ = fs::remove_dir_all(&out);
        to_lerobot(store.as_ref(), &out, &options(fps), |_, _| {}).map(|c| c.frames)
    };
    // Twelve states at 4 Hz: not as many as a second has at 5.
    let error = convert(5).expect_err("it is slower").to_string();
    assert!(error.contains("recorded at 4.00 Hz"), "{error}");
    assert_eq!(convert(2).expect("every other"), 6);
    episode.trajectory.time_s.clear();
    let file = written.join("trajectory.h5");
    episode.trajectory.write(&file).expect("without times");
    assert_eq!(convert(5).expect("every third of 15 Hz"), 4);
    assert_eq!(convert(15).expect("all"), 12);
    let error = convert(1).expect_err("too short").to_string();
    assert!(error.contains("it lasts 0.73 s"), "{error}");
    let store = foresight_datasets::open(&root).expect("a dataset");
    let statistics = Statistics::of(store.as_ref(), Some(5.0)).expect("statistics");
    assert!((statistics.actions[0].mean - 0.03).abs() < 1e-6);
}

#[test]
fn names_with_slashes_become_files() {
    if !crate::require::ffmpeg() {
        return;
    }
    let camera = LooseCamera {
        name: "arm/front".to_owned(),
        role: Some(Role::Left),
        size: (SIDE, SIDE),
        extrinsics: None,
        captured_s: Vec::new(),
        pictures: Box::new(|_| Ok(image::RgbImage::new(SIDE, SIDE))),
    };
    let trajectory = Trajectory {
        joints_rad: Vec::new(),
        commands: Vec::new(),
        simulator: None,
        ..recorded(TRAIN).trajectory
    };
    let mut episodes = LooseEpisodes::default();
    episodes.push(LooseEpisode {
        path: "LAB/unknown/undated/first".to_owned(),
        trajectory,
        commanded: Vec::new(),
        metadata: Metadata {
            uuid: "LAB/2024/first".to_owned(),
            ..Metadata::default()
        },
        step_rate_hz: None,
        cameras: vec![camera],
    });
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("droid");
    to_droid(&episodes, &out, &ConvertOptions::default(), |_, _| {}).expect("converted");
    let read = foresight_datasets::open(&out).expect("a dataset");
    assert_eq!(read.episodes()[0].cameras[0].name, "arm_front");
    let metadata = read.extras(0).expect("extras").metadata.expect("read");
    assert_eq!(metadata.uuid, "LAB/2024/first");
}
