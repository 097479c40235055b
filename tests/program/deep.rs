//! `dataset validate --deep` finds extrinsics that are wrong by 5° and pictures that lag by two frames,
//! planted in recordings of ours, and passes clean ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foresight_datasets::{extrinsics, layout, FrameStack, Split, Trajectory};
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_planner::euler;
use nalgebra::{Rotation3, Unit, Vector3};
use serde_json::Value;

fn record(root: &Path) -> Vec<PathBuf> {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/pick_and_place.toml");
    let mut plan = RecordingPlan::from_scenario(&scenario).unwrap();
    plan.date = "2026-01-01".into();
    let seeds = Split::Train.recording_seeds(700_000, 8).unwrap();
    record_all(&plan, seeds, root, 2, |_| {}).unwrap();
    layout::episode_folders(root).unwrap()
}

/// What a deep look at a dataset says of its only camera, and the exit code.
fn looked(root: &Path) -> (Value, Option<i32>) {
    let pictures = root.with_extension("pictures");
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(["dataset", "validate", "--deep", "--json", "--pictures"])
        .arg(&pictures)
        .arg(root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let name = found["deep"]["cameras"][0]["camera"].as_str().unwrap();
    let picture = image::open(pictures.join(format!("{name}.png")))
        .unwrap()
        .to_rgb8();
    let yellow = picture.pixels().filter(|p| p.0 == [255, 220, 0]).count();
    assert!(yellow > 50, "the hand is drawn with {yellow} pixels");
    println!("{}", found["deep"]["cameras"][0]);
    (found["deep"].clone(), output.status.code())
}

/// The scene's own extrinsics, with the camera turned by 5° around an axis of its own.
fn turn(folder: &Path, axis: Vector3<f64>) {
    let file = folder.join(layout::TRAJECTORY);
    let trajectory = Trajectory::read(&file).unwrap();
    let scene = &trajectory.simulator.as_ref().unwrap().scene;
    let [x, y, z, a, b, c] = extrinsics::of_scene(scene).unwrap();
    let turned = Rotation3::from_axis_angle(&Unit::new_normalize(axis), 5_f64.to_radians());
    let [a, b, c] = euler::from_matrix(&(euler::to_matrix([a, b, c]) * turned.into_inner()));
    let rows = vec![[x, y, z, a, b, c]; trajectory.len()];
    let cameras = BTreeMap::from([("tabletop_left".to_owned(), rows)]);
    trajectory
        .write_with_cameras(&file, &cameras, &BTreeMap::new())
        .unwrap();
}

/// Every picture shows what was two states before.
fn delay(folder: &Path) {
    let file = folder.join("recordings/frames/tabletop.rgb8");
    let frames = FrameStack::read(&file).unwrap();
    let mut late = FrameStack::new(frames.width(), frames.height());
    for i in 0..frames.len() {
        late.push(frames.frame(i.saturating_sub(2))).unwrap();
    }
    late.write(&file).unwrap();
}

#[test]
fn planted_faults_are_found_and_clean_recordings_pass() {
    let work = tempfile::tempdir().unwrap();
    let clean = work.path().join("clean");
    record(&clean);
    let (found, code) = looked(&clean);
    let camera = &found["cameras"][0];
    assert_eq!(
        (code, &camera["lag_frames"]),
        (Some(0), &0.into()),
        "{camera}"
    );
    assert_eq!(camera["faults"].as_array().map(Vec::len), Some(0));
    assert!(camera["score"].as_f64() > Some(0.6), "{camera}");
    let off = |camera: &Value, at: usize| camera["off_deg"][at].as_f64().unwrap();
    assert!(
        off(camera, 0) < 2.0 && off(camera, 1).abs() < 1.5,
        "{camera}"
    );
    assert!(
        found["actions"]["steps"].as_u64() > Some(100),
        "{}",
        found["actions"]
    );

    // Where nobody knows the camera's angle of view.
    let elsewhere = |root: &Path| {
        let out = root.with_extension("lerobot");
        let mut convert = Command::new(env!("CARGO_BIN_EXE_foresight"));
        convert
            .args(["dataset", "convert", "--to", "lerobot"])
            .arg(root)
            .arg(&out);
        assert!(convert.output().unwrap().status.success());
        looked(&out)
    };
    let films = crate::require::ffmpeg();
    if films {
        let (found, code) = elsewhere(&clean);
        assert_eq!(code, Some(0), "{found}");
        let fov = found["cameras"][0]["fov_deg"][0].as_f64().unwrap();
        assert!(
            (24.0..33.0).contains(&fov),
            "the simulator's is 27.5: {fov}"
        );
    }

    for (name, axis) in [
        ("x", Vector3::x()),
        ("y", Vector3::y()),
        ("z", Vector3::z()),
    ] {
        let root = work.path().join(name);
        for folder in record(&root) {
            turn(&folder, axis);
        }
        let (found, code) = looked(&root);
        let camera = &found["cameras"][0];
        let wrong = camera["faults"].to_string();
        assert!(
            code == Some(2) && wrong.contains("extrinsics are off by"),
            "{name}: {camera}"
        );
        assert_eq!(camera["lag_frames"], 0);
        let seen = off(camera, 0).hypot(off(camera, 1));
        assert!((3.0..7.5).contains(&seen), "{name}: {camera}");
        if films {
            assert_eq!(elsewhere(&root).1, Some(2), "{name}");
        }
    }

    let root = work.path().join("late");
    for folder in record(&root) {
        delay(&folder);
    }
    let (found, code) = looked(&root);
    let camera = &found["cameras"][0];
    assert_eq!(
        (code, &camera["lag_frames"]),
        (Some(2), &2.into()),
        "{camera}"
    );
    assert!(
        camera["faults"].to_string().contains("2 frames later"),
        "{camera}"
    );
    // Told apart: the extrinsics are right.
    assert_eq!(camera["faults"].as_array().map(Vec::len), Some(1));
    fs::remove_dir_all(root).unwrap();
}
