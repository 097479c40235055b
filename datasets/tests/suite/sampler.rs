//! Clips by number: reproducible, complete, in order, and never silently something else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::episode;
use foresight_datasets::OnBadEpisode;
use foresight_datasets::{ClipOptions, ClipSampler, ClipShape, Recorder, Split, View};

const TRAIN: u64 = 1_000_000_000;
const STEPS: usize = 12;

fn record(root: &Path, count: u64) -> Vec<PathBuf> {
    let recorder = Recorder::new(root, "SIM").expect("a recorder");
    (0..count)
        .map(|i| {
            let episode = episode(TRAIN + i, Split::Train, STEPS);
            recorder.write(&episode).expect("written")
        })
        .collect()
}

fn options(frames: usize, seed: u64) -> ClipOptions {
    ClipOptions {
        shape: ClipShape {
            frames,
            ..ClipShape::default()
        },
        seed,
        ..ClipOptions::default()
    }
}

fn clips(root: &Path, options: ClipOptions) -> ClipSampler {
    ClipSampler::new(foresight_datasets::open(root).expect("a dataset"), options).expect("clips")
}

#[test]
fn a_draw_is_a_function_of_seed_and_number() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 5);
    let (one, other) = (
        clips(root.path(), options(4, 7)),
        clips(root.path(), options(4, 7)),
    );
    // In any order, and whatever was drawn before.
    for draw in [13, 0, 7, 1_000_003, 4] {
        assert_eq!(
            one.clip(draw).expect("a clip"),
            other.clip(draw).expect("a clip")
        );
    }
    let all = |clips: &ClipSampler| -> Vec<_> {
        (0..20)
            .map(|n| clips.window(n).expect("a window"))
            .collect()
    };
    assert_eq!(all(&one), all(&other));
    assert_ne!(all(&one), all(&clips(root.path(), options(4, 8))));
    // Every episode once an epoch, in another order each time.
    let episodes: Vec<usize> = all(&one).iter().map(|w| w.episode).collect();
    for epoch in episodes.chunks(5) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
    }
    assert!(episodes.chunks(5).any(|epoch| epoch != &episodes[..5]));
}

#[test]
fn a_clip_holds_what_was_recorded() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 1);
    let source = clips(root.path(), options(4, 1));
    let recorded = episode(TRAIN, Split::Train, STEPS);
    assert_eq!(
        source.starts(0, &View::default()).expect("starts"),
        (0..STEPS - 3).collect::<Vec<_>>()
    );
    for draw in 0..8 {
        let clip = source.clip(draw).expect("a clip");
        let numbers = &clip.window.frame_numbers;
        assert_eq!(numbers[3], numbers[0] + 3);
        for (k, number) in numbers.iter().enumerate() {
            assert_eq!(clip.frames.frame(k), recorded.frames.frame(*number));
            let state = recorded.trajectory.states[*number].to_array();
            assert_eq!(clip.window.states[k], state);
        }
        let actions = recorded.trajectory.actions();
        for (k, action) in clip.window.actions.iter().enumerate() {
            assert_eq!(*action, actions[numbers[k]].to_array());
        }
    }
    // Half the rate: every second state, and the actions between them.
    let mut half = options(4, 1);
    half.shape.fps = 2.0;
    let clip = clips(root.path(), half).clip(0).expect("a clip");
    let numbers = clip.window.frame_numbers;
    assert_eq!(numbers[3], numbers[0] + 6);
    let between =
        recorded.trajectory.states[numbers[0]].action_to(&recorded.trajectory.states[numbers[1]]);
    assert_eq!(clip.window.actions[0], between.to_array());
}

#[test]
fn recordings_of_steps_are_sampled_step_by_step() {
    let root = tempfile::tempdir().expect("temporary folder");
    let recorder = Recorder::new(root.path(), "SIM").expect("a recorder");
    let mut slow = episode(TRAIN, Split::Train, STEPS);
    // The arm took between half a second and a second to come to rest.
    slow.trajectory.time_s = (0..STEPS)
        .map(|i| (0.7 + 0.02 * i as f64) * i as f64)
        .collect();
    recorder.write(&slow).expect("written");
    let window = clips(root.path(), options(4, 1)).window(0).expect("a clip");
    let first = window.frame_numbers[0];
    assert_eq!(
        window.frame_numbers,
        [first, first + 1, first + 2, first + 3]
    );
    let actions = slow.trajectory.actions();
    assert_eq!(window.actions[1], actions[first + 1].to_array());
}

#[test]
fn clips_that_cannot_be_are_explained() {
    let root = tempfile::tempdir().expect("temporary folder");
    record(root.path(), 2);
    let refused = |options: ClipOptions| -> String {
        let data = foresight_datasets::open(root.path()).expect("a dataset");
        let result = ClipSampler::new(data, options);
        result.err().expect("refused").to_string()
    };
    assert!(refused(options(40, 0)).contains("lasts 2.75 s"));
    let mut fast = options(4, 0);
    fast.shape.fps = 10.0;
    assert!(refused(fast).contains("recorded at 4.00 Hz"));
    let wrist = ClipOptions {
        views: vec!["wrist".parse().expect("a view")],
        ..options(4, 0)
    };
    assert!(refused(wrist).contains("it has tabletop"));
    let none = ClipOptions {
        views: Vec::new(),
        ..options(4, 0)
    };
    assert!(refused(none).contains("view"));
    let camera_frame = ClipOptions {
        transform_frame: true,
        ..options(4, 0)
    };
    let error = clips(root.path(), camera_frame)
        .clip(0)
        .expect_err("no extrinsics");
    assert!(error.to_string().contains("camera_extrinsics"), "{error}");
}

#[test]
fn unusable_episodes_are_refused_or_listed() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folders = record(root.path(), 4);
    fs::write(folders[2].join("trajectory.h5"), b"").expect("emptied");
    let open = || foresight_datasets::open(root.path()).expect("a dataset");
    let error = ClipSampler::new(open(), options(4, 0))
        .err()
        .expect("refused");
    assert!(
        error.to_string().contains("trajectory.h5 is unusable"),
        "{error}"
    );
    let skip = ClipOptions {
        on_bad_episode: OnBadEpisode::Skip,
        ..options(4, 0)
    };
    let source = ClipSampler::new(open(), skip).expect("three are left");
    assert_eq!(source.episodes(), 3);
    let [(path, reason)] = source.skipped() else {
        panic!("{:?}", source.skipped());
    };
    assert!(path.ends_with("episode_1000000002") && reason.contains("is empty"));
}

#[test]
fn a_file_that_breaks_while_training_is_named_and_never_replaced() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folders = record(root.path(), 3);
    let source = clips(root.path(), options(4, 3));
    fs::write(folders[1].join("recordings/frames/tabletop.rgb8"), b"cut").expect("broken");
    // Three epochs of three draws: one of each can't be read, the others are what they were.
    let whole = tempfile::tempdir().expect("temporary folder");
    record(whole.path(), 3);
    let expected = clips(whole.path(), options(4, 3));
    let mut failed = 0;
    for draw in 0..9 {
        match source.clip(draw) {
            Ok(clip) => assert_eq!(clip, expected.clip(draw).expect("a clip")),
            Err(error) => {
                failed += 1;
                assert!(error.to_string().contains("tabletop.rgb8"), "{error}");
            }
        }
    }
    assert_eq!(failed, 3);
}
