//! How fast the CPU kernels are on this machine: rollouts and training steps of a small model.
//!
//! `cargo run --release -p foresight-training --example speed`

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::time::Instant;

use candle_core::{Device, Tensor};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::backend::{Backend, CpuBackend};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, RolloutStart};
use foresight_predictor::transform::normalised_pixels;
use foresight_predictor::{layout, EncoderConfig, Precision, PredictorConfig, Stem};
use foresight_training::encoder_trainer::layout_with_heads;
use foresight_training::{
    EncoderBatch, EncoderTrainer, Objectives, PredictorBatch, PredictorTrainer,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let encoder = EncoderConfig {
        img_size: [64, 64],
        patch_size: 16,
        num_frames: 2,
        tubelet_size: 2,
        embed_dim: 128,
        depth: 3,
        num_heads: 4,
        mlp_ratio: 4.0,
        rope: Default::default(),
        stem: Stem::TwoLevel,
        vjepa2_1: None,
        level: Default::default(),
        views: None,
    };
    let predictor = PredictorConfig {
        img_size: encoder.img_size,
        patch_size: encoder.patch_size,
        num_frames: 8,
        tubelet_size: 2,
        embed_dim: 128,
        predictor_embed_dim: 128,
        depth: 4,
        num_heads: 4,
        use_extrinsics: false,
        mlp_ratio: 4.0,
        rope: Default::default(),
        euler_around_rad: None,
        context_steps: None,
    };
    let mut parameters = Parameters::zeros(layout::predictor(&predictor));
    initialise(&mut parameters, Part::AcPredictor, 1);
    println!("predictor: {} parameters", parameters.values().len());
    let latent: Vec<f32> = (0..16 * 128).map(|i| (i as f32 * 0.37).sin()).collect();
    let weights = parameters.to_tensors()?;
    let start = RolloutStart {
        latent: &latent,
        pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
        extrinsics: None,
    };
    for (horizon, precision) in [
        (1, Precision::F32),
        (1, Precision::Bf16),
        (2, Precision::F32),
        (2, Precision::Bf16),
    ] {
        let backend = CpuBackend::new(precision);
        let packed = backend.predictor(&predictor, &weights)?;
        let sequences = ActionSequences::zeros(800, horizon);
        for round in 0..3 {
            let clock = Instant::now();
            let budget = Budget::default();
            let to_start = GoalDistance::plain(&latent);
            let energies =
                packed.energies(&start, &sequences, predictor.depth, &to_start, budget)?;
            println!(
                "800 samples, horizon {horizon}, {} on {}, round {round}: {:.1} ms (check {:.3})",
                backend.precision(),
                backend.place(),
                clock.elapsed().as_secs_f64() * 1e3,
                energies.iter().sum::<f32>(),
            );
        }
    }

    let (b, t, n) = (64, 3, 16);
    let noise = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, &Device::Cpu);
    let batch = PredictorBatch {
        latents: noise(&[b, t * n, 128])?,
        actions: noise(&[b, t - 1, 7])?,
        states: noise(&[b, t, 7])?,
        extrinsics: None,
        weights: None,
    };
    let mut trainer = PredictorTrainer::new(predictor, parameters, Default::default());
    for round in 0..3 {
        let clock = Instant::now();
        trainer.compute_gradients(&batch)?;
        trainer.state_mut().update(1e-4, 0.04, Some(1.0))?;
        println!(
            "predictor step, 64 clips of 3 frames, round {round}: {:.0} ms",
            clock.elapsed().as_secs_f64() * 1e3
        );
    }

    let mut parameters = Parameters::zeros(layout_with_heads(&encoder, &Objectives::default()));
    initialise(&mut parameters, Part::Encoder, 1);
    let mut trainer = EncoderTrainer::new(encoder, parameters, Objectives::default())?;
    let frames: Vec<u8> = (0..128 * 64 * 64 * 3)
        .map(|i| (i * 7919 % 251) as u8)
        .collect();
    let batch = EncoderBatch {
        pixels: normalised_pixels(&frames, [64, 64]),
        states: vec![[0.1; 7]; 128],
        actions: Vec::new(),
        objects: Vec::new(),
        seed: 1,
    };
    for round in 0..3 {
        let clock = Instant::now();
        trainer.compute_gradients(&batch)?;
        trainer.state_mut().update(1e-4, 0.04, Some(1.0))?;
        println!(
            "encoder step, 128 frames, round {round}: {:.0} ms",
            clock.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}
