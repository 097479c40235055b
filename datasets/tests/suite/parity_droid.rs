//! A DROID episode written by h5py (chunked, resizable) with a video, read as the official loader
//! (`app/vjepa_droid/droid.py`) reads it: frame numbers and poses equal, actions within 1e-12,
//! decoded frames within one level of decord's.
//!
//! Fixtures come from the folder in `FORESIGHT_FIXTURES`, by default the project's own; every
//! size is taken from them.

use std::fs;
use std::path::{Path, PathBuf};

use foresight_datasets::{
    ClipOptions, ClipSampler, ClipShape, ClipWindow, Metadata, Sampling, Trajectory, View,
};
use safetensors::SafeTensors;
use serde_json::Value;

struct Fixture {
    about: Value,
    tensors: Vec<u8>,
    folder: PathBuf,
}

impl Fixture {
    fn all() -> Vec<Fixture> {
        let root = std::env::var_os("FORESIGHT_FIXTURES").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures"),
            PathBuf::from,
        );
        let folder = root.join("11_droid");
        let mut found: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect();
        found.sort();
        assert!(!found.is_empty(), "no fixture in {}", folder.display());
        let read = |json: PathBuf| {
            let about: Value =
                serde_json::from_slice(&fs::read(&json).expect("readable")).expect("JSON");
            let name = about["episode_dir"].as_str().expect("episode_dir");
            Fixture {
                tensors: fs::read(json.with_extension("safetensors")).expect("readable"),
                folder: json.parent().expect("a folder").join(name),
                about,
            }
        };
        found.into_iter().map(read).collect()
    }

    fn number(&self, pointer: &str) -> f64 {
        let value = self.about.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no number {pointer}"))
    }

    fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.tensors).expect("safetensors");
        let tensor = tensors.tensor(name).expect(name);
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    fn eights(&self, name: &str) -> impl Iterator<Item = [u8; 8]> {
        let (_, bytes) = self.bytes(name);
        let eights: Vec<[u8; 8]> = bytes
            .chunks_exact(8)
            .map(|b| b.try_into().expect("eight bytes"))
            .collect();
        eights.into_iter()
    }

    fn doubles(&self, name: &str) -> Vec<f64> {
        self.eights(name).map(f64::from_le_bytes).collect()
    }

    fn indices(&self) -> Vec<usize> {
        let numbers = self.eights("out.indices").map(i64::from_le_bytes);
        numbers.map(|n| n as usize).collect()
    }

    fn view(&self) -> View {
        let view = self.about["camera_views"][0].as_str().expect("a view");
        view.parse().expect("a view")
    }

    fn clips(&self, tubelet: usize, transform_frame: bool) -> ClipSampler {
        let list = tempfile::Builder::new()
            .suffix(".csv")
            .tempfile()
            .expect("a file");
        let folder = self.folder.canonicalize().expect("the episode");
        fs::write(list.path(), format!("{} 0\n", folder.display())).expect("written");
        let options = ClipOptions {
            shape: ClipShape {
                frames: self.number("/frames_per_clip") as usize,
                fps: self.number("/fps"),
                tubelet,
                sampling: Sampling::Legacy,
                ..ClipShape::default()
            },
            views: vec![self.view()],
            transform_frame,
            ..ClipOptions::default()
        };
        let store = foresight_datasets::open(list.path()).expect("a list of episodes");
        ClipSampler::new(store, options).expect("the episode is usable")
    }

    fn window(&self, clips: &ClipSampler) -> ClipWindow {
        let start = self.number("/window/start") as usize;
        clips.window_at(0, &self.view(), start).expect("the window")
    }
}

fn close(name: &str, ours: Vec<[f64; 7]>, official: &[f64], tolerance: f64) {
    let ours = ours.concat();
    assert_eq!(ours.len(), official.len(), "{name}");
    for (ours, official) in ours.iter().zip(official) {
        assert!(
            (ours - official).abs() <= tolerance,
            "{name}: {ours} {official}"
        );
    }
}

#[test]
fn parity_droid_states_and_actions() {
    for fixture in Fixture::all() {
        let clips = fixture.clips(1, false);
        let window = fixture.window(&clips);
        assert_eq!(window.frame_numbers, fixture.indices());
        assert_eq!(window.states.concat(), fixture.doubles("out.states_f64"));
        close(
            "actions",
            window.actions,
            &fixture.doubles("out.actions_f64"),
            1e-12,
        );
        let extrinsics = window.extrinsics.expect("recorded").concat();
        assert_eq!(extrinsics, fixture.doubles("out.extrinsics_f64"));

        // `randint(n, frames)` draws the window's end.
        let starts = clips.starts(0, &fixture.view()).expect("starts");
        let [low, high, _] = [0, 1, 2]
            .map(|i| fixture.number(&format!("/window/randint_low_high_value/{i}")) as usize);
        assert_eq!(starts, (0..high - low).collect::<Vec<_>>());

        let trajectory =
            Trajectory::read(&fixture.folder.join("trajectory.h5")).expect("DROID's file");
        let metadata = fs::read_dir(&fixture.folder)
            .expect("listed")
            .filter_map(Result::ok)
            .find(|e| e.file_name().to_string_lossy().starts_with("metadata_"))
            .expect("metadata");
        let metadata = Metadata::read(&metadata.path()).expect("DROID's metadata");
        assert_eq!(metadata.trajectory_length as usize, trajectory.len());
        assert_eq!(metadata.foresight, None);
    }
}

#[test]
fn parity_droid_camera_frame_and_frame_skip() {
    for fixture in Fixture::all() {
        let window = fixture.window(&fixture.clips(1, true));
        let official = fixture.doubles("out.camera_frame_states_f64");
        close(
            "states in the camera's frame",
            window.states,
            &official,
            1e-12,
        );
        let official = fixture.doubles("out.camera_frame_actions_f64");
        close(
            "actions in the camera's frame",
            window.actions,
            &official,
            1e-12,
        );

        let window = fixture.window(&fixture.clips(2, false));
        assert_eq!(window.frame_numbers, fixture.indices());
        let official = fixture.doubles("out.frameskip2_states_f64");
        assert_eq!(window.states.concat(), official);
        let official = fixture.doubles("out.frameskip2_actions_f64");
        close(
            "actions of every second frame",
            window.actions,
            &official,
            1e-12,
        );
    }
}

#[test]
fn parity_droid_frames() {
    if !crate::require::ffmpeg() {
        return;
    }
    for fixture in Fixture::all() {
        let clips = fixture.clips(1, false);
        let window = fixture.window(&clips);
        let frames = clips.frames(&window).expect("decoded");
        let size = [0, 1].map(|i| fixture.number(&format!("/video/size/{i}")) as u32);
        assert_eq!([frames.height(), frames.width()], size);
        assert_eq!(frames.len(), window.frame_numbers.len());

        // decord's first and last frame of the window.
        let (shape, official) = fixture.bytes("out.raw_frames_u8");
        assert_eq!(shape[1..], [size[0] as usize, size[1] as usize, 3]);
        let ours = [frames.frame(0), frames.frame(frames.len() - 1)].concat();
        assert_eq!(ours.len(), official.len());
        let most = ours
            .iter()
            .zip(&official)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(most <= Some(1), "decoded frames differ by {most:?}");

        // And the mean colour of every one of them.
        let means = fixture.doubles("out.raw_mean_rgb");
        assert_eq!(means.len(), 3 * frames.len());
        for (t, official) in means.chunks_exact(3).enumerate() {
            for (channel, official) in official.iter().enumerate() {
                let values = frames.frame(t).iter().skip(channel).step_by(3);
                let sum: u64 = values.map(|v| u64::from(*v)).sum();
                let mean = sum as f64 / f64::from(size[0] * size[1]);
                assert!(
                    (mean - official).abs() <= 1.0,
                    "frame {t}: {mean} {official}"
                );
            }
        }
    }
}
