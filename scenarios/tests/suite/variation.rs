//! Harder columns leave the training scenes in one respect.

use foresight_scenarios::{Scenario, Variation};
use foresight_sim::SceneDistribution;

#[test]
fn names_come_back_and_agree_with_serde() {
    for variation in Variation::ALL {
        assert_eq!(Variation::parse(variation.name()), Ok(variation));
        let json = serde_json::to_value(variation).expect("a name");
        assert_eq!(json, variation.name());
    }
    let error = Variation::parse("wide").expect_err("no such name");
    assert!(error.contains("wide_start"), "{error}");
}

#[test]
fn harder_scenes_leave_the_training_distribution() {
    let seen = SceneDistribution::default();
    let varied = |variation: Variation| {
        let mut scenario: Scenario = toml::from_str(
            "name = \"t\"\nmodel.dir = \"m\"\nsubgoal = []\n\
             safety.workspace = { min_m = [0, 0, 0], max_m = [1, 1, 1] }",
        )
        .expect("a scenario");
        variation.apply(&mut scenario);
        scenario
    };
    let apart = |a: [f64; 2], b: [f64; 2]| a[1] < b[0] || b[1] < a[0];
    let small = varied(Variation::SmallerObjects).scene;
    let large = varied(Variation::LargerObjects).scene;
    for other in [&small, &large] {
        assert!(apart(other.box_width_m, seen.box_width_m));
        assert!(apart(other.box_height_m, seen.box_height_m));
        assert!(apart(other.cup_diameter_m, seen.cup_diameter_m));
        assert!(apart(other.cup_height_m, seen.cup_height_m));
    }
    let colours = varied(Variation::UnseenColours).scene.object_hue;
    assert!(apart(colours, seen.object_hue));
    assert!(apart(colours, seen.object_hue.map(|h| h + 1.0)));
    let turned = varied(Variation::Camera10Deg).scene.camera_eye_m;
    let moved: f64 = (0..3)
        .map(|i| (turned[i] - seen.camera_eye_m[i]).powi(2))
        .sum::<f64>()
        .sqrt();
    // A chord of 10° at 0.71 m.
    assert!((0.11..0.14).contains(&moved), "{moved}");
    assert_eq!(
        varied(Variation::Displaced4Cm).displaced_after_goals_m,
        0.04
    );
    for variation in Variation::ALL {
        varied(variation).scene.validate().expect("possible scenes");
    }
}
