//! The image transform against the official one: fixture kind 07, and 10 where it is present.

use crate::support;
use crate::support::Fixture;
use candle_core::{Device, Tensor};
use foresight_predictor::npz::Trajectory;
use foresight_predictor::transform::ImageTransform;
use serde_json::Value;

const TOLERANCE: f32 = 2e-4;

fn pair(value: &Value) -> [f64; 2] {
    [value[0].as_f64().unwrap(), value[1].as_f64().unwrap()]
}

/// Checks every case of one fixture.
fn check(fixture: &Fixture) {
    let cases = fixture.json["cases"].as_array().unwrap();
    assert!(!cases.is_empty(), "no cases");
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let input = fixture.get(&format!("in.{}", case["input"].as_str().unwrap()));
        let (frames, height, width, _) = input.dims4().unwrap();
        let params = &case["params"];
        let side = params["crop_size"].as_u64().unwrap() as usize;
        let transform = ImageTransform::with_crop(
            [side, side],
            pair(&params["random_resize_scale"]),
            pair(&params["random_resize_aspect_ratio"]),
        );
        let crop = transform.crop_box(height, width);
        let found = [crop.top, crop.left, crop.height, crop.width];
        let expected: [usize; 4] = serde_json::from_value(case["box_ijhw"].clone()).unwrap();
        assert_eq!(found, expected, "{name}: box (top, left, height, width)");

        let pixels = input.flatten_all().unwrap().to_vec1::<u8>().unwrap();
        let outputs: Vec<Tensor> = pixels
            .chunks_exact(height * width * 3)
            .map(|rgb| {
                let values = transform.apply(rgb, height, width).unwrap();
                Tensor::from_vec(values, (3, side, side), &Device::Cpu).unwrap()
            })
            .collect();
        assert_eq!(outputs.len(), frames);
        let mut output = Tensor::stack(&outputs, 1).unwrap();
        let window: Option<[usize; 4]> = serde_json::from_value(case["window"].clone()).unwrap();
        if let Some([y0, y1, x0, x1]) = window {
            output = output
                .narrow(2, y0, y1 - y0)
                .and_then(|t| t.narrow(3, x0, x1 - x0))
                .unwrap();
        }
        let expected = fixture.get(&format!("out.{name}.out"));
        assert_eq!(output.shape(), expected.shape(), "{name}");
        let (output, expected) = (support::values(&output), support::values(expected));
        support::close(name, &output, &expected, TOLERANCE);
    }
}

#[test]
fn parity_07_transforms() {
    for fixture in support::of_kind("07_transforms", "transform") {
        check(&fixture);
    }
}

#[test]
fn parity_10_franka_transforms() {
    let path = support::find("10_franka").map(|d| d.join("transforms.json"));
    match path.filter(|p| p.is_file()) {
        Some(path) => check(&Fixture::read(path)),
        None => println!("skipped: the official frames of 10_franka are not here"),
    }
}

#[test]
fn parity_10_franka_trajectory() {
    let Some(dir) = support::find("10_franka") else {
        println!("skipped: the official frames of 10_franka are not here");
        return;
    };
    let (description, npz) = (dir.join("franka.json"), dir.join("franka_example_traj.npz"));
    if !description.is_file() || !npz.is_file() {
        println!("skipped: the official trajectory is not here");
        return;
    }
    let description: Value = serde_json::from_slice(&std::fs::read(&description).unwrap()).unwrap();
    let trajectory = Trajectory::read(&npz).unwrap();
    let states: Vec<[f64; 7]> = serde_json::from_value(description["states"].clone()).unwrap();
    assert_eq!(trajectory.frames.len(), states.len());
    for (found, expected) in trajectory.states.iter().zip(&states) {
        for (f, e) in found.to_array().into_iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{f} {e}");
        }
    }
    for (frame, first) in trajectory
        .frames
        .iter()
        .zip(description["first_pixels_rgb"].as_array().unwrap())
    {
        for (x, pixel) in first.as_array().unwrap().iter().enumerate() {
            let expected: [u8; 3] = serde_json::from_value(pixel.clone()).unwrap();
            assert_eq!(frame.get_pixel(x as u32, 0).0, expected);
        }
    }
}
