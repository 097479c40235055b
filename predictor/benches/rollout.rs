//! 64 samples of the small architecture through one and two steps, in both precisions.

use criterion::{criterion_group, criterion_main, Criterion};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::checkpoint::{preset, Part};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, PackedPredictor, Start};
use foresight_predictor::train::init::initialise;
use foresight_predictor::{layout, Precision};

fn rollouts(criterion: &mut Criterion) {
    let Some(config) = preset("tiny").and_then(|model| model.predictor) else {
        return;
    };
    let mut parameters = Parameters::zeros(layout::predictor(&config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    let latent: Vec<f32> = (0..config.tokens_per_frame() * config.embed_dim)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let start = Start {
        latent: &latent,
        pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
        extrinsics: None,
    };
    for precision in [Precision::F32, Precision::Bf16] {
        let packed = PackedPredictor::new(&config, &parameters, precision);
        let (unit, precision) = packed.unit();
        for horizon in [1, 2] {
            let sequences = ActionSequences::zeros(64, horizon);
            let name = format!("64 samples, horizon {horizon}, {precision} on {unit}");
            criterion.bench_function(&name, |bencher| {
                bencher.iter(|| {
                    packed.roll(&start, &sequences, config.depth, Budget::default(), |l| {
                        l[0]
                    })
                });
            });
        }
    }
}

criterion_group!(benches, rollouts);
criterion_main!(benches);
