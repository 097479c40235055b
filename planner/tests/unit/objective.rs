//! Unit tests of `src/objective.rs`.

use super::*;

#[test]
fn sooner_steps_weigh_more_and_all_weigh_one_together() {
    assert_eq!(Objective::Last.weights(3), None);
    assert_eq!(Objective::All(0.5).weights(1), None);
    let weights = Objective::All(0.5).weights(3).expect("weights");
    let wanted = [4.0f32 / 7.0, 2.0 / 7.0, 1.0 / 7.0];
    for (got, wanted) in weights.iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-7, "{weights:?}");
    }
}
