//! A camera that was turned around the table, found and undone, with the bundled model in
//! virtual time.

use std::path::Path;

use foresight_scenarios::calibrate::{
    calibrate, Calibration, CalibrationOptions, FollowMoves, Move,
};
use foresight_scenarios::{LoadedScenario, ModelSource};

/// Seeds from here on are for development, not for evaluation.
const SEED: u64 = 900_040;

struct Quiet;
impl FollowMoves for Quiet {
    fn moved(&mut self, _: u32, _: &Move) {}
}

/// The bundled reach scenario, its camera turned around the point it looks at.
fn turned(degrees: f64) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reach.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    let scene = &mut loaded.scenario.scene;
    scene.camera_eye_jitter_m = 0.0;
    scene.camera_look_at_jitter_m = 0.0;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (eye, middle) = (scene.camera_eye_m, scene.camera_look_at_m);
    let (x, y) = (eye[0] - middle[0], eye[1] - middle[1]);
    scene.camera_eye_m[0] = middle[0] + cos * x - sin * y;
    scene.camera_eye_m[1] = middle[1] + sin * x + cos * y;
    loaded.scenario.planner.samples = 100;
    loaded.scenario.planner.iterations = 4;
    loaded
}

fn measure(loaded: &LoadedScenario, source: &ModelSource) -> Calibration {
    let options = CalibrationOptions {
        moves: 30,
        reach_m: 0.05,
        seed: SEED,
        virtual_time: true,
    };
    calibrate(loaded, source, &options, &mut Quiet).expect("calibrated")
}

#[test]
fn a_turned_camera_shows_up_as_a_rotation_and_its_map_undoes_it() {
    let straight = turned(0.0);
    let source = ModelSource::model(&straight.path(&straight.scenario.model.dir)).expect("a model");
    let mut angles = Vec::new();
    for degrees in [-15.0, 0.0, 15.0] {
        let fit = measure(&turned(degrees), &source).fit;
        println!(
            "camera at {degrees:+.0}°: rotation {:+.1}°, condition {:.2}, {:.1} mm off, {:.1} mm after the map",
            fit.rotation_error_rad.to_degrees(),
            fit.condition_number,
            fit.error_m * 1e3,
            fit.mapped_error_m * 1e3
        );
        assert!(fit.condition_number < 3.0, "{fit:?}");
        if degrees > 0.0 {
            assert!(fit.mapped_error_m < fit.error_m, "{fit:?}");
        }
        angles.push(fit.rotation_error_rad.to_degrees());
    }
    // The model takes the camera for standing where it always stood.
    let [left, straight, right] = angles[..] else {
        panic!("{angles:?}");
    };
    assert!(left < straight && straight < right, "{angles:?}");
    assert!(right - left > 15.0 && straight.abs() < 12.0, "{angles:?}");
}

#[test]
fn with_the_truth_for_a_model_nothing_is_turned() {
    let fit = measure(&turned(0.0), &ModelSource::Oracle).fit;
    assert!(fit.rotation_error_rad.abs() < 0.05, "{fit:?}");
    assert!(fit.condition_number < 1.1 && fit.error_m < 0.006, "{fit:?}");
}
