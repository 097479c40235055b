//! Unit tests of `src/goal_head/mod.rs`.

use super::*;
use crate::checkpoint::init::{initialise, preset};
use crate::checkpoint::Part;
use crate::parameters::Parameters;

fn config() -> GoalHeadConfig {
    let encoder = preset("tiny").expect("a preset").encoder;
    let stage = |name: &str| Stage {
        name: name.into(),
        steps: 3,
        gripper: GripperRule::Hold,
    };
    GoalHeadConfig {
        network: GoalHeadConfig::network(&encoder, [128, 4, 4]),
        vocabulary: ["put", "red", "cup"].map(String::from).to_vec(),
        most_words: 6,
        stages: vec![stage("hover"), stage("around")],
        least_fit: [0.5; 2],
        training: Training::default(),
    }
}

#[test]
fn a_head_of_the_bundled_size_has_less_than_a_million_parameters() {
    let mut config = config();
    config.vocabulary = (0..80).map(|i| format!("word{i}")).collect();
    config.most_words = 20;
    assert!(config.parameters() < 1_000_000, "{}", config.parameters());
}

#[test]
fn words_are_numbered_and_unknown_ones_named() {
    let config = config();
    let numbers = |sentence: &str| {
        let words = words(sentence);
        config.numbers(&words).map_err(|e| e.map(str::to_owned))
    };
    assert_eq!(numbers("Put  red, cup!"), Ok(vec![1, 2, 3, 0, 0, 0]));
    assert_eq!(numbers("put blue cup"), Err(Some("blue".into())));
    assert_eq!(numbers("put put put put put put put"), Err(None));
}

#[test]
fn a_saved_head_answers_as_before_and_not_behind_another_encoder() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config();
    let mut parameters = Parameters::zeros(network::layout(&config));
    initialise(&mut parameters, Part::AcPredictor, 3);
    let tensors = parameters.to_tensors().expect("tensors");
    save(folder.path(), &config, &tensors).expect("saved");
    let encoder = preset("tiny").expect("a preset").encoder;
    let head = GoalHead::load(folder.path(), &encoder).expect("loaded");
    assert_eq!(head.config(), &config);
    let tokens = config.network.tokens_per_frame();
    let now = Latent {
        values: (0..tokens * 128).map(|i| (i as f32 * 0.37).sin()).collect(),
        tokens,
    };
    let pose = Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]);
    let ask = |words: &[u32], stage| head.goal(&now, &pose, words, stage).expect("a goal");
    let (one, two) = (ask(&[1, 2, 3, 0, 0, 0], 0), ask(&[1, 2, 3, 0, 0, 0], 0));
    assert_eq!(one.latent.values, two.latent.values);
    assert_eq!(one.latent.values.len(), now.values.len());
    assert!(one.fit.iter().all(|p| (0.0..=1.0).contains(p)));
    let said = ask(&[1, 3, 2, 0, 0, 0], 0);
    assert_ne!(
        one.latent.values, said.latent.values,
        "the order of words counts"
    );
    assert_ne!(one.latent.values, ask(&[1, 2, 3, 0, 0, 0], 1).latent.values);
    let other = EncoderConfig {
        embed_dim: 256,
        ..encoder
    };
    let error = GoalHead::load(folder.path(), &other).expect_err("another encoder");
    assert!(error.to_string().contains("train-goals"), "{error}");
}
