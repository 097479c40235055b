//! From a DROID episode's video to the encoder's input, as the official loader goes: decoded
//! frames, cropped, resized and normalised, within 1e-4 of its buffer.
//!
//! Fixtures come from the folder in `FORESIGHT_FIXTURES`, by default the project's own; every
//! size is taken from them. Poses, actions and decoded frames are compared in
//! `datasets/tests/suite/parity_droid.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use foresight_datasets::{ClipOptions, ClipSampler, ClipShape, FrameStack, Sampling, View};
use foresight_predictor::transform::ImageTransform;
use safetensors::SafeTensors;
use serde_json::Value;

/// Of normalised values; one level of a decoded frame would be 0.017.
const TOLERANCE: f32 = 1e-4;

fn numbers(tensors: &SafeTensors, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensors.tensor(name).expect(name);
    let floats = tensor.data().chunks_exact(4);
    let floats = floats.map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
    (tensor.shape().to_vec(), floats.collect())
}

fn pair(value: &Value) -> [f64; 2] {
    [0, 1].map(|i| value[i].as_f64().expect("a number"))
}

#[test]
fn parity_droid_transform() {
    if !crate::require::ffmpeg() {
        return;
    }
    let root = std::env::var_os("FORESIGHT_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"),
        PathBuf::from,
    );
    let mut checked = 0;
    for entry in fs::read_dir(root.join("11_droid")).expect("fixtures") {
        let json = entry.expect("listed").path();
        if json.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let about: Value =
            serde_json::from_slice(&fs::read(&json).expect("readable")).expect("JSON");
        let bytes = fs::read(json.with_extension("safetensors")).expect("readable");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        check(&json, &about, &tensors);
        checked += 1;
    }
    assert!(checked > 0, "no fixture in {}", root.display());
}

fn check(json: &Path, about: &Value, tensors: &SafeTensors) {
    let folder = json.with_file_name(about["episode_dir"].as_str().expect("episode_dir"));
    let list = tempfile::Builder::new()
        .suffix(".csv")
        .tempfile()
        .expect("a file");
    let folder = folder.canonicalize().expect("the episode");
    fs::write(list.path(), format!("\"{}\" 0\n", folder.display())).expect("written");
    let view: View = about["camera_views"][0]
        .as_str()
        .expect("a view")
        .parse()
        .expect("a view");
    let options = ClipOptions {
        shape: ClipShape {
            frames: about["frames_per_clip"].as_u64().expect("a number") as usize,
            fps: about["fps"].as_f64().expect("a number"),
            tubelet: 1,
            sampling: Sampling::Legacy,
            ..ClipShape::default()
        },
        views: vec![view.clone()],
        ..ClipOptions::default()
    };
    let data = foresight_datasets::open(list.path()).expect("the episode");
    let clips = ClipSampler::new(data, options).expect("clips");
    let start = about["window"]["start"].as_u64().expect("a number") as usize;
    let window = clips.window_at(0, &view, start).expect("the window");
    let frames = clips.frames(&window).expect("decoded");
    let [height, width] = [frames.height() as usize, frames.width() as usize];

    let parameters = &about["transform_params"];
    let transform = |side: usize| {
        let scale = pair(&parameters["random_resize_scale"]);
        let ratio = pair(&parameters["random_resize_aspect_ratio"]);
        ImageTransform::with_crop([side, side], scale, ratio)
    };
    let side = parameters["crop_size"].as_u64().expect("a number") as usize;
    let crop = transform(side).crop_box(height, width);
    let expected: [usize; 4] =
        serde_json::from_value(about["crop_box_ijhw"].clone()).expect("a box");
    assert_eq!([crop.top, crop.left, crop.height, crop.width], expected);

    // Official buffers are `[3, T, H, W]`.
    let (shape, official) = numbers(tensors, "out.buffer");
    assert_eq!(shape, [3, frames.len(), side, side]);
    let all: Vec<usize> = (0..frames.len()).collect();
    compare(&frames, &all, &transform(side), 0..side, 0..side, &official);

    // Of the size the released models take, the fixture keeps a window of two frames.
    let (shape, official) = numbers(tensors, "out.buffer256_win");
    let middle = |n: usize| (256 - n) / 2..(256 + n) / 2;
    let ends = [0, frames.len() - 1];
    let (rows, columns) = (middle(shape[2]), middle(shape[3]));
    compare(&frames, &ends, &transform(256), rows, columns, &official);
}

fn compare(
    frames: &FrameStack,
    which: &[usize],
    transform: &ImageTransform,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    official: &[f32],
) {
    let [height, width] = [frames.height() as usize, frames.width() as usize];
    let side = transform.size()[0];
    let plane = rows.len() * columns.len();
    let mut worst = 0.0_f32;
    for (t, frame) in which.iter().enumerate() {
        let values = transform
            .apply(frames.frame(*frame), height, width)
            .expect("a frame");
        for channel in 0..3 {
            for (i, y) in rows.clone().enumerate() {
                for (j, x) in columns.clone().enumerate() {
                    let ours = values[(channel * side + y) * side + x];
                    let at = (channel * which.len() + t) * plane + i * columns.len() + j;
                    worst = worst.max((ours - official[at]).abs());
                }
            }
        }
    }
    assert!(worst <= TOLERANCE, "off by {worst}");
}
