//! Unit tests of `src/policy.rs`.

use super::*;
use crate::checkpoint::preset;

/// A network of zeros answers with its last bias.
fn answering(told: &[f32]) -> Policy {
    let encoder = preset("tiny").unwrap().encoder;
    let config = PolicyConfig {
        img_size: encoder.img_size,
        channels: vec![2],
        points: 3,
        hidden: 4,
        keyframes: told.len() / ANSWERS - 1,
        euler_around_rad: None,
    };
    let mut parameters = Parameters::zeros(layout(&config));
    parameters.slice_mut("head.bias").copy_from_slice(told);
    let folder = tempfile::tempdir().unwrap();
    let error = Policy::load(folder.path(), &encoder).unwrap_err();
    assert!(error.to_string().contains("no policy.json"), "{error}");
    save(folder.path(), &config, &parameters.to_tensors().unwrap()).unwrap();
    let read = weights(folder.path(), &config).unwrap();
    assert_eq!(read.slice("head.bias"), parameters.slice("head.bias"));
    let wider = PolicyConfig {
        hidden: 8,
        ..config.clone()
    };
    let error = weights(folder.path(), &wider).unwrap_err().to_string();
    assert!(error.contains("the recipe asks for"), "{error}");
    let mut other = encoder.clone();
    other.img_size = [320, 64];
    let error = Policy::load(folder.path(), &other).unwrap_err().to_string();
    assert!(error.contains("64×320 px"), "{error}");
    let loaded = Policy::load(folder.path(), &encoder).unwrap();
    // As older builds wrote them.
    let description = folder.path().join(DESCRIPTION);
    std::fs::write(&description, r#"{"network": {}, "actions": 1}"#).unwrap();
    let error = Policy::load(folder.path(), &encoder).unwrap_err();
    assert!(error.to_string().contains("cloned anew"), "{error}");
    loaded
}

fn way(told: &[f32], committed: Option<&Action>) -> Vec<([i32; 3], f64)> {
    let policy = answering(told);
    let picture = vec![0.3; 3 * policy.config.img_size.iter().product::<usize>()];
    let pose = Pose::from_array([0.5, 0.0, 0.1, 3.1, 0.0, 0.0, 0.0]);
    let way = policy.way(&picture, &pose, &picture, committed).unwrap();
    let millimetres = |a: &Action| a.translation_m.map(|t| (1e3 * t).round() as i32);
    way.iter().map(|a| (millimetres(a), a.gripper)).collect()
}

#[test]
fn the_way_leads_by_the_next_action_through_the_keyframes() {
    let keyframes = [0.8, 0.0, -0.4, 0.9, 0.0, 0.8, 0.0, -0.8];
    let rest = [([0, 60, 0], 0.0), ([0; 3], -1.0)];
    let approaching = [&[0.4, 0.0, 0.0, 0.2][..], &keyframes].concat();
    let approach = [([30, 0, 0], 0.0), ([30, 0, -30], 0.0), ([0; 3], 1.0)];
    assert_eq!(way(&approaching, None), [&approach[..], &rest].concat());
    // What is under way already is not done again.
    let committed = Action {
        translation_m: [0.02, 0.0, 0.0],
        ..Action::default()
    };
    let after = way(&approaching, Some(&committed));
    assert_eq!(after[0], ([10, 0, 0], 0.0));
    assert_eq!(after[1..], way(&approaching, None)[1..]);
    // The next action is the first keyframe itself.
    let closing = [&[0.1, 0.0, 0.0, 0.7][..], &keyframes].concat();
    assert_eq!(
        way(&closing, None),
        [&[([8, 0, 0], 1.0)][..], &rest].concat()
    );
    // Nothing but trembling.
    assert_eq!(way(&[0.05, 0.0, 0.0, -0.3], None), []);
}

#[test]
fn pictures_that_cannot_be_halved_are_named() {
    let config = PolicyConfig {
        img_size: [64, 96],
        channels: vec![8; 4],
        points: 0,
        hidden: 16,
        keyframes: 2,
        euler_around_rad: None,
    };
    config.check().expect("32 divides both");
    let error = PolicyConfig {
        channels: vec![8; 5],
        ..config
    };
    let error = error.check().expect_err("64 doesn't divide 96");
    assert!(
        error.contains("64×96 px can't be halved 6 times"),
        "{error}"
    );
}
