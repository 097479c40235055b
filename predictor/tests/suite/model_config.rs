//! What a model folder's `config.json` may say.

use foresight_predictor::checkpoint::preset;
use foresight_predictor::config::ActionSpace;

#[test]
fn a_model_in_other_units_is_refused_by_the_field() {
    let tiny = preset("tiny").unwrap();
    tiny.validate().unwrap();
    let acting = |fps: f64, max_translation_m: f64, max_rotation_rad: f64| {
        let mut model = tiny.clone();
        model.action_space = ActionSpace {
            fps,
            max_translation_m,
            max_rotation_rad,
        };
        model.validate()
    };
    acting(4.0, 0.2, 1.0).unwrap();
    acting(1000.0, 1.0, 0.0).unwrap();
    for (wrong, named) in [
        (acting(0.0, 0.075, 0.0), "action_space.fps = 0"),
        (acting(-4.0, 0.075, 0.0), "action_space.fps = -4"),
        (acting(f64::NAN, 0.075, 0.0), "action_space.fps = NaN"),
        (acting(4.0, 75.0, 0.0), "max_translation_m = 75"),
        (acting(4.0, -0.075, 0.0), "max_translation_m = -0.075"),
        (acting(4.0, f64::INFINITY, 0.0), "max_translation_m"),
        (acting(4.0, 0.075, 57.0), "max_rotation_rad = 57"),
    ] {
        let error = wrong.unwrap_err();
        assert!(error.contains(named), "{error}");
    }
    let mut degrees = tiny.clone();
    if let Some(predictor) = &mut degrees.predictor {
        predictor.euler_around_rad = Some([180.0, 0.0, 0.0]);
    }
    let error = degrees.validate().unwrap_err();
    assert!(error.contains("euler_around_rad = 180"), "{error}");
    for (ratio, side) in [(0.0, 64), (-4.0, 64), (1e300, 64), (4.0, 1 << 40)] {
        let mut slip = tiny.clone();
        (slip.encoder.mlp_ratio, slip.encoder.img_size) = (ratio, [side; 2]);
        let error = slip.validate().unwrap_err();
        let named = ["encoder.mlp_ratio", "encoder.img_size"];
        assert!(error.contains(named[usize::from(ratio == 4.0)]), "{error}");
    }
    let mut empty = tiny.clone();
    if let Some(predictor) = &mut empty.predictor {
        predictor.depth = 0;
    }
    assert!(empty.validate().unwrap_err().contains("predictor.depth"));
}
