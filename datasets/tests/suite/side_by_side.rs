//! Several cameras' pictures as one frame.

use foresight_datasets::convert::{to_lerobot, ConvertOptions};
use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::{
    EpisodeStore, LooseCamera, LooseEpisode, LooseEpisodes, Role, SideBySide, Split, View,
};
use image::{Rgb, RgbImage};

use crate::support::episode;

const STEPS: usize = 5;

fn camera(name: &str, role: Role, side: u32, grey: u8) -> LooseCamera {
    LooseCamera {
        name: name.into(),
        role: Some(role),
        size: (side, side),
        extrinsics: Some(vec![[f64::from(grey); 6]; STEPS]),
        captured_s: Vec::new(),
        pictures: Box::new(move |t| Ok(RgbImage::from_pixel(side, side, Rgb([grey + t as u8; 3])))),
    }
}

/// Two episodes, the second without its right camera.
fn filmed() -> Box<dyn EpisodeStore> {
    let mut episodes = LooseEpisodes::default();
    let both = vec![
        camera("a", Role::Left, 64, 40),
        camera("b", Role::Right, 32, 200),
    ];
    let one = vec![camera("a", Role::Left, 64, 40)];
    for (seed, cameras) in [(0, both), (1, one)] {
        let recorded = episode(seed, Split::Train, STEPS);
        episodes.push(LooseEpisode {
            path: format!("episode_{seed}"),
            trajectory: recorded.trajectory,
            commanded: Vec::new(),
            metadata: recorded.metadata,
            step_rate_hz: Some(4.0),
            cameras,
        });
    }
    Box::new(episodes)
}

fn views(names: &[&str]) -> Vec<View> {
    names.iter().map(|n| n.parse().expect("a view")).collect()
}

#[test]
fn frames_are_made_of_every_camera_s() {
    let store = SideBySide::new(filmed(), views(&["left", "right"])).expect("two cameras");
    let [entry] = store.episodes() else {
        panic!("one episode has both: {:?}", store.episodes());
    };
    assert!(store.unusable()[0].1.contains("no usable camera right"));
    let camera = &entry.cameras[0];
    let size = (camera.name.as_str(), camera.width, camera.height);
    assert_eq!(size, ("a+b", 128, 64));
    // The smaller picture is brought to the first one's size.
    let frames = store.frames(0, &View::default(), &[1, 3]).expect("frames");
    for (frame, t) in frames.images().zip([1, 3]) {
        assert_eq!(frame.dimensions(), (128, 64));
        assert_eq!(frame.get_pixel(63, 10).0, [40 + t; 3]);
        assert_eq!(frame.get_pixel(64, 10).0, [200 + t; 3]);
    }
    let track = store.proprioception(0, &View::default()).expect("a track");
    assert_eq!(track.extrinsics.expect("the first camera's")[0], [40.0; 6]);
    let error = store.frames(0, &views(&["right"])[0], &[0]).err();
    assert!(error.expect("refused").to_string().contains("it has a+b"));
}

#[test]
fn one_camera_or_the_same_one_twice_is_refused() {
    for names in [&["left"][..], &["left", "left"]] {
        let error = SideBySide::new(filmed(), views(names)).err();
        let error = error.expect("refused").to_string();
        assert!(error.contains("two cameras or more"), "{error}");
    }
}

#[test]
fn they_are_kept_as_one_camera() {
    if !crate::require::ffmpeg() {
        return;
    }
    let store = SideBySide::new(filmed(), views(&["left", "right"])).expect("two cameras");
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("lerobot");
    let options = ConvertOptions {
        on_bad_episode: foresight_datasets::OnBadEpisode::Skip,
        ..ConvertOptions::default()
    };
    to_lerobot(&store, &out, &options, |_, _| {}).expect("converted");
    let read = LeRobotStore::open(&out).expect("a LeRobot dataset");
    let frames = read.frames(0, &View::default(), &[2]).expect("frames");
    let frame = frames.images().next().expect("a frame");
    assert_eq!(frame.dimensions(), (128, 64));
    for (x, grey) in [(32, 42), (96, 202)] {
        assert!(frame
            .get_pixel(x, 32)
            .0
            .iter()
            .all(|v| v.abs_diff(grey) <= 3));
    }
}
