//! Videos with a frame more or fewer than their trajectory has states, as some of DROID's: used as
//! far as both go, always named, and refused beyond the tolerance.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::episode;
use foresight_datasets::convert::{to_droid, to_lerobot, ConvertOptions};
use foresight_datasets::inspect::{Depth, Inspection};
use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::video::{VideoCodec, VideoEncoder};
use foresight_datasets::{
    layout, ClipOptions, ClipSampler, ClipShape, EpisodeStore, FrameStack, Index, Recorder,
    Sampling, Split, View,
};

const STEPS: usize = 12;
const SIDE: u32 = 64;

/// A grey level that says which frame it is, after any compression.
fn level(number: usize) -> u8 {
    (number * 15) as u8 + 30
}

fn film(path: &Path, frames: usize) {
    let mut encoder =
        VideoEncoder::create(path, (SIDE, SIDE), 4.0, VideoCodec::Mpeg4).expect("ffmpeg");
    for number in 0..frames {
        let frame = vec![level(number); (SIDE * SIDE * 3) as usize];
        encoder.push(&frame).expect("a frame");
    }
    encoder.finish().expect("a video");
}

/// Three DROID episodes of 12 states, of which the second has a video of `frames` frames. Their
/// root, and that episode's video.
fn droid(folder: &Path, frames: usize) -> (PathBuf, PathBuf) {
    let ours = folder.join("ours");
    let recorder = Recorder::new(&ours, "SIM").expect("a recorder");
    for seed in [2, 4, 6] {
        let mut episode = episode(1_000_000_000 + seed, Split::Train, STEPS);
        episode.frames = FrameStack::new(SIDE, SIDE);
        for number in 0..STEPS {
            let frame = vec![level(number); (SIDE * SIDE * 3) as usize];
            episode.frames.push(&frame).expect("the stack's size");
        }
        recorder.write(&episode).expect("written");
    }
    let root = folder.join("droid");
    let ours = foresight_datasets::open(&ours).expect("our recordings");
    to_droid(ours.as_ref(), &root, &ConvertOptions::default(), |_, _| {}).expect("converted");
    let odd = layout::episode_folders(&root).expect("listed").remove(1);
    let video = layout::video_files(&odd).expect("listed").remove(0).1;
    film(&video, frames);
    (root, video)
}

fn options(frame_tolerance: usize) -> ClipOptions {
    ClipOptions {
        shape: ClipShape {
            frames: 4,
            ..ClipShape::default()
        },
        frame_tolerance,
        ..ClipOptions::default()
    }
}

fn clips(root: &Path, options: ClipOptions) -> ClipSampler {
    let tolerance = options.frame_tolerance;
    let data = foresight_datasets::open_tolerant(root, tolerance).expect("a dataset");
    ClipSampler::new(data, options).expect("clips")
}

/// Every clip of the odd episode shows the frames of its own numbers.
fn check_clips(clips: &ClipSampler, episode: usize, usable: usize) {
    let view = View::default();
    let starts = clips.starts(episode, &view).expect("starts");
    assert_eq!(starts, (0..=usable - 4).collect::<Vec<_>>());
    for start in starts {
        let window = clips.window_at(episode, &view, start).expect("a clip");
        let frames = clips.frames(&window).expect("decoded");
        for (k, number) in window.frame_numbers.iter().enumerate() {
            assert!(frames.frame(k)[99].abs_diff(level(*number)) <= 6);
        }
    }
}

#[test]
fn a_frame_more_or_fewer_is_used_as_far_as_both_go_and_named() {
    if !crate::require::ffmpeg() {
        return;
    }
    for (frames, usable, unused) in [(13, 12, "the last 1 frame"), (11, 11, "the last 1 state")] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (root, _) = droid(folder.path(), frames);
        let index = Index::build(&root, Depth::Full, |_, _| {}).expect("indexed");
        assert_eq!((index.episodes.len(), index.unusable.len()), (3, 0));
        let named: Vec<Vec<String>> = index
            .episodes
            .iter()
            .map(|e| e.length_mismatches())
            .collect();
        assert!(named[0].is_empty() && named[2].is_empty());
        let words = &named[1][0];
        assert!(
            words.contains(&format!("{frames} frames for 12 states")),
            "{words}"
        );
        assert!(words.contains(unused), "{words}");

        for sampling in [Sampling::RealTime, Sampling::Legacy] {
            let mut tolerant = options(1);
            tolerant.shape.sampling = sampling;
            let clips = clips(&root, tolerant);
            assert_eq!(clips.length_mismatches().len(), 1);
            assert_eq!(clips.length_mismatches()[0].0, index.episodes[1].path);
            // The official loader's clips end a frame earlier, whatever the length.
            let usable = usable - usize::from(sampling == Sampling::Legacy);
            check_clips(&clips, 1, usable);
        }
    }
}

#[test]
fn more_than_the_tolerance_is_unusable() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let (root, video) = droid(folder.path(), 14);
    let build = |frame_tolerance| {
        let inspection = Inspection {
            depth: Depth::Quick,
            frame_tolerance,
        };
        Index::build(&root, inspection, |_, _| {}).expect("indexed")
    };
    let strict = build(1);
    assert_eq!((strict.episodes.len(), strict.unusable.len()), (2, 1));
    let reason = &strict.unusable[0].reason;
    for part in ["12 states", "14 frames", "frame_tolerance"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(build(2).unusable.len(), 0);
    check_clips(&clips(&root, options(2)), 1, STEPS);

    // An index made tolerantly doesn't make training tolerant.
    film(&video, 13);
    let index = root.join("index.json");
    build(1).write(&index).expect("written");
    let refused = ClipSampler::new(
        foresight_datasets::open(&index).expect("an index"),
        options(0),
    );
    let refused = refused.err().expect("refused").to_string();
    assert!(refused.contains("13 frames"), "{refused}");
}

#[test]
fn conversion_keeps_what_has_both() {
    if !crate::require::ffmpeg() {
        return;
    }
    for (frames, kept) in [(13, 12), (11, 11)] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (root, _) = droid(folder.path(), frames);
        let out = folder.path().join("lerobot");
        let source = foresight_datasets::open(&root).expect("DROID raw");
        to_lerobot(source.as_ref(), &out, &ConvertOptions::default(), |_, _| {})
            .expect("converted");
        let mut read = LeRobotStore::open(&out).expect("a LeRobot dataset");
        let lengths: Vec<usize> = read.episodes().iter().map(|e| e.length).collect();
        assert_eq!(lengths, [STEPS, kept, STEPS]);
        assert!(read
            .episodes()
            .iter()
            .all(|e| e.length_mismatches().is_empty()));
        read.validate(|_, _| {});
        assert_eq!(read.unusable(), []);
    }
}

#[test]
fn a_lerobot_film_that_ends_early_is_named() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let (root, _) = droid(folder.path(), STEPS);
    let out = folder.path().join("lerobot");
    let source = foresight_datasets::open(&root).expect("DROID raw");
    to_lerobot(source.as_ref(), &out, &ConvertOptions::default(), |_, _| {}).expect("converted");
    let video = "videos/observation.images.exterior_1_left/chunk-000/file-000.mp4";
    let again = |frames| {
        fs::remove_file(out.join(video)).expect("removed");
        film(&out.join(video), frames);
        LeRobotStore::open(&out).expect("a LeRobot dataset")
    };
    let short = again(3 * STEPS - 1);
    assert_eq!((short.episodes().len(), short.unusable().len()), (3, 0));
    assert!(short.episodes()[1].length_mismatches().is_empty());
    let words = &short.episodes()[2].length_mismatches()[0];
    assert!(words.contains("11 frames for 12 states"), "{words}");
    let shorter = again(3 * STEPS - 2);
    assert_eq!(shorter.unusable().len(), 1);
    let (name, reason) = &shorter.unusable()[0];
    assert!(
        name.contains("000002") && reason.contains("file-000.mp4"),
        "{name}: {reason}"
    );
}
