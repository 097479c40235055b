//! Gradients through candle's predictor against finite differences of the rollouts.

#[path = "support/loud.rs"]
mod loud;

use foresight_planner::{ActionSequences, Energy, Pose};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::{Budget, ComputeDevice, Latent, Precision};

#[test]
fn gradients_are_slopes_of_the_energies() {
    let model = loud::model(ComputeDevice::Cpu, Precision::F32);
    let [tokens, width] = model.latent_shape();
    let latent = |phase: f32| Latent {
        values: (0..tokens * width)
            .map(|i| 1.4 * (i as f32 * 0.7 + phase).sin())
            .collect(),
        tokens,
    };
    let (context, goal) = (latent(0.0), latent(2.0));
    let pose = Pose::from_array([0.4, 0.1, 0.2, 3.1, 0.0, 0.3, 0.5]);
    for (horizon, power) in [(1, 0.0), (2, 0.0), (1, 2.0), (2, 2.0)] {
        let weighting = GoalWeighting::unresolved(power).unwrap();
        let energy = model.energy(&context, &pose, &goal, Budget::default());
        let weights = energy.weights(weighting, None).unwrap();
        let energy = energy.with_weights(&weights);
        let mut sequences = ActionSequences::zeros(3, horizon);
        for sample in 0..3 {
            for step in 0..horizon {
                for i in [0, 1, 2, 6] {
                    sequences.action_mut(sample, step)[i] =
                        ((sample * 5 + step * 3 + i) as f32).sin() * 0.1;
                }
            }
        }
        let energies = energy.energies(&sequences).unwrap();
        let gradients = energy.gradients(&sequences).unwrap();
        for (a, b) in energies.iter().zip(&gradients.energies) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let largest = gradients.values.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(
            largest > 1e-3,
            "the energy hardly depends on the actions: {largest}"
        );
        for sample in 0..3 {
            for step in 0..horizon {
                for i in [0, 1, 2, 6] {
                    let slope = |delta: f32| {
                        let mut moved = sequences.clone();
                        moved.action_mut(sample, step)[i] += delta;
                        energy.energies(&moved).unwrap()[sample]
                    };
                    let delta = 4e-3;
                    let numeric = (slope(delta) - slope(-delta)) / (2.0 * delta);
                    let got = gradients.values[(sample * horizon + step) * 7 + i];
                    assert!(
                        (numeric - got).abs() < 0.05 * largest,
                        "horizon {horizon}, power {power}, sample {sample}, step {step}, component {i}: {got}, not {numeric}"
                    );
                }
            }
        }
    }
}
