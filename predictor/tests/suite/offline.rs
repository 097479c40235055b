//! Scores of a model on recorded clips.

use foresight_predictor::offline::{action_score, deviation, COLLAPSED};
use foresight_predictor::Latent;

fn latent(values: [f32; 2]) -> Latent {
    Latent {
        values: values.to_vec(),
        tokens: 1,
    }
}

#[test]
fn the_score_is_80_for_perfect_plans_and_never_negative() {
    assert!((action_score(0.0) - 80.0).abs() < 1e-9);
    assert!((action_score(0.05) - 40.0).abs() < 1e-9);
    assert_eq!(action_score(0.3), 0.0);
}

#[test]
fn collapsed_features_are_noticed() {
    let same = [latent([0.3, 0.4]), latent([0.3, 0.4]), latent([0.3, 0.4])];
    assert!(deviation(&same) < COLLAPSED);
    // One feature deviates by 1, the other not at all.
    let half = [latent([1.0, 0.4]), latent([-1.0, 0.4])];
    assert!((deviation(&half) - 0.5).abs() < 1e-12);
}
