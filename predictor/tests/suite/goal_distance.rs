//! The weighed distance to a goal's latent, on slices and on tensors.

use candle_core::{Device, Tensor};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::kernels::elementwise::mean_abs_difference;

fn weighting(power: f64) -> GoalWeighting {
    GoalWeighting::residual(power).expect("a power")
}

#[test]
fn power_zero_is_the_plain_distance() {
    let goal: Vec<f32> = (0..1500).map(|i| (i as f32 * 0.37).sin()).collect();
    let context = vec![0.25; 1500];
    let latent: Vec<f32> = goal.iter().map(|g| g * 0.5 - 0.1).collect();
    let zero = GoalWeights::measure(&context, &goal, &context, weighting(0.0));
    assert_eq!(zero, GoalWeights::uniform());
    for distance in [
        GoalDistance::plain(&goal),
        GoalDistance::weighed(&goal, &zero),
    ] {
        assert_eq!(distance.of(&latent), mean_abs_difference(&latent, &goal));
    }
}

#[test]
fn what_moving_does_not_explain_counts_more() {
    // Nine entries tell of the arm, the last of the object. All are far from the goal's.
    let context = [1.0; 10];
    let goal = [0.0; 10];
    let mut change = [0.8; 10];
    change[9] = 0.05;
    let mut pushed = [1.2; 10];
    pushed[9] = 0.0;
    let plain = GoalDistance::plain(&goal);
    let weights = GoalWeights::measure(&context, &goal, &change, weighting(2.0));
    let weighed = GoalDistance::weighed(&goal, &weights);
    assert!(plain.of(&pushed) > plain.of(&context));
    assert!(weighed.of(&pushed) < weighed.of(&context));
    let weights = weights.values().expect("weights");
    assert!((weights.iter().sum::<f32>() / 10.0 - 1.0).abs() < 1e-6);
    // By the formula: mean change 0.725, so (0.8725 / 0.1225)² apart.
    let ratio = weights[9] / weights[0];
    assert!(
        (ratio - (0.8725f32 / 0.1225).powi(2)).abs() < 1e-2,
        "{ratio}"
    );
}

#[test]
fn what_is_resolved_counts_less() {
    let (context, goal) = ([0.0, 0.0, 1.0], [0.0, 0.5, 0.0]);
    let weights = GoalWeights::measure(&context, &goal, &[0.3; 3], weighting(2.0));
    let weights = weights.values().expect("weights");
    assert_eq!(weights[0], 0.0);
    assert!((weights[2] / weights[1] - 4.0).abs() < 1e-4, "{weights:?}");
}

#[test]
fn where_moving_changes_nothing_differences_count_as_they_are() {
    let (context, goal) = ([0.0, 1.0], [0.0, 0.0]);
    let weights = GoalWeights::measure(&context, &goal, &[0.0; 2], weighting(1.0));
    assert_eq!(weights.values(), Some(&[0.0, 2.0][..]));
}

#[test]
fn tensors_say_the_same() {
    let at = |scale: f32| -> Vec<f32> { (0..24).map(|i| (i as f32 * scale).sin()).collect() };
    let (context, goal, latent) = (at(0.3), at(0.7), at(1.1));
    let change: Vec<f32> = at(0.2).iter().map(|c| c.abs()).collect();
    for power in [0.0, 2.0] {
        let weights = GoalWeights::measure(&context, &goal, &change, weighting(power));
        let distance = GoalDistance::weighed(&goal, &weights);
        let one = Tensor::from_slice(&latent, (1, 4, 6), &Device::Cpu).expect("a tensor");
        let two = Tensor::cat(&[&one, &one], 0).expect("two");
        let there = distance.on(&Device::Cpu, (1, 4, 6)).expect("uploaded");
        let both: Vec<f32> = there.of(&two).and_then(|d| d.to_vec1()).expect("distances");
        for d in both {
            assert!((d - distance.of(&latent)).abs() < 1e-6, "{power}: {d}");
        }
    }
}

#[test]
fn at_the_goal_every_entry_counts_the_same() {
    let goal = vec![0.5; 8];
    let there = GoalWeights::measure(&goal, &goal, &[0.1; 8], weighting(3.0));
    assert_eq!(there, GoalWeights::uniform());
}

#[test]
fn impossible_powers_are_refused() {
    for power in [-1.0, f64::NAN, f64::INFINITY, 9.0] {
        let error = GoalWeighting::residual(power).expect_err("refused");
        assert!(error.to_string().contains("from 0"), "{error}");
    }
}
