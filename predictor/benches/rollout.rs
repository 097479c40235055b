//! Rollouts of the small architecture through one and two steps, 64 samples, and of the full-size
//! one through one step, 4 samples, in both precisions.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::time::Duration;

use criterion::{criterion_group, criterion_main, Criterion};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::backend::{Backend, CpuBackend};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{preset, Part};
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, RolloutStart};
use foresight_predictor::{layout, Precision};

fn rollouts(criterion: &mut Criterion, architecture: &str, samples: usize, horizons: &[usize]) {
    let Some(config) = preset(architecture).and_then(|model| model.predictor) else {
        return;
    };
    let mut parameters = Parameters::zeros(layout::predictor(&config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    let latent: Vec<f32> = (0..config.tokens_per_frame() * config.embed_dim)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let Ok(weights) = parameters.to_tensors() else {
        return;
    };
    let to_start = GoalDistance::plain(&latent);
    let start = RolloutStart {
        latent: &latent,
        pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
        extrinsics: None,
    };
    for precision in [Precision::F32, Precision::Bf16] {
        let backend = CpuBackend::new(precision);
        let Ok(packed) = backend.predictor(&config, &weights) else {
            return;
        };
        let (place, precision) = (backend.place(), backend.precision());
        for horizon in horizons {
            let sequences = ActionSequences::zeros(samples, *horizon);
            let name = format!(
                "{architecture}, {samples} samples, horizon {horizon}, {precision} on {place}"
            );
            criterion.bench_function(&name, |bencher| {
                bencher.iter(|| {
                    packed.energies(
                        &start,
                        &sequences,
                        config.depth,
                        &to_start,
                        Budget::default(),
                    )
                });
            });
        }
    }
}

fn small(criterion: &mut Criterion) {
    rollouts(criterion, "tiny", 64, &[1, 2]);
}

fn full_size(criterion: &mut Criterion) {
    rollouts(criterion, "vitg-ac", 4, &[1]);
}

criterion_group!(benches, small);
criterion_group! {
    name = few;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(20));
    targets = full_size
}
criterion_main!(benches, few);
