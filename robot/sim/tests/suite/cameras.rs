//! Scenes that several cameras film.

use foresight_sim::{Camera, Scene, SceneDistribution, Simulator};
use image::imageops::crop_imm;

fn two_cameras() -> SceneDistribution {
    SceneDistribution {
        other_cameras: vec![Camera {
            eye_m: [0.68, -0.67, 0.50],
            look_at_m: [0.5, 0.015, 0.10],
            fov_rad: 0.48,
        }],
        ..SceneDistribution::default()
    }
}

#[test]
fn a_second_camera_changes_nothing_else_and_has_a_jitter_of_its_own() {
    let mut offsets = Vec::new();
    for seed in 0..20 {
        let scene = two_cameras().sample(seed);
        let alone = SceneDistribution::default().sample(seed);
        let without = Scene {
            other_cameras: Vec::new(),
            ..scene.clone()
        };
        assert_eq!(without, alone);
        let read: Scene = serde_json::from_str(&serde_json::to_string(&scene).unwrap()).unwrap();
        assert_eq!(read, scene);
        let offset = scene.other_cameras[0].eye_m[0] - 0.68;
        assert!(offset.abs() <= 0.04, "{offset}");
        offsets.push(offset);
    }
    assert!(offsets.iter().any(|o| *o > 0.01) && offsets.iter().any(|o| *o < -0.01));
}

#[test]
fn a_frame_shows_every_camera_s_picture_side_by_side() {
    let scene = two_cameras().sample(3);
    let frame = Simulator::new(&scene).unwrap().render(128, 64);
    for (number, camera) in scene.cameras().enumerate() {
        let alone = Scene {
            camera: camera.clone(),
            other_cameras: Vec::new(),
            ..scene.clone()
        };
        let simulator = Simulator::new(&alone).unwrap();
        let part = crop_imm(&frame, number as u32 * 64, 0, 64, 64).to_image();
        assert!(part == simulator.render(64, 64), "camera {number}");
        let both = Simulator::new(&scene).unwrap().snapshot();
        assert!(both.render_camera(number, 64, 64) == part);
    }
}

#[test]
fn impossible_cameras_are_refused() {
    let mut scene = two_cameras().sample(3);
    scene.other_cameras[0].fov_rad = 0.0;
    let error = Simulator::new(&scene).err().expect("refused").to_string();
    assert!(error.contains("field of view"), "{error}");
}
