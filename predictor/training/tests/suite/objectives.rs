//! Gradients of the encoder's objectives against finite differences, and what they are for.

use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::config::{EncoderConfig, RopeVariant, Stem};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::transform::normalised_pixels;
use foresight_training::encoder_trainer::layout_with_heads;
use foresight_training::objectives::HandCamera;
use foresight_training::{EncoderBatch, EncoderTrainer, Objectives};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 32;
const FRAMES: usize = 8;

fn config() -> EncoderConfig {
    EncoderConfig {
        img_size: [SIDE, SIDE],
        patch_size: 8,
        num_frames: 2,
        tubelet_size: 2,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        mlp_ratio: 2.0,
        rope: RopeVariant::Tiled,
        stem: Stem::TwoLevel,
        vjepa2_1: None,
        level: Default::default(),
        views: None,
    }
}

fn batch(seed: u64) -> EncoderBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let frames: Vec<u8> = (0..FRAMES * SIDE * SIDE * 3)
        .map(|_| rng.random())
        .collect();
    EncoderBatch {
        pixels: normalised_pixels(&frames, [SIDE, SIDE]),
        states: (0..FRAMES)
            .map(|_| std::array::from_fn(|_| rng.random_range(-0.5..0.5)))
            .collect(),
        actions: (0..FRAMES / 2)
            .map(|_| std::array::from_fn(|_| rng.random_range(-0.1..0.1)))
            .collect(),
        objects: (0..FRAMES)
            .map(|_| std::array::from_fn(|_| rng.random_range(-0.3..0.3)))
            .collect(),
        seed,
    }
}

fn trainer(objectives: Objectives) -> EncoderTrainer {
    let mut parameters = Parameters::zeros(layout_with_heads(&config(), &objectives));
    initialise(&mut parameters, Part::Encoder, 3);
    // Larger than at the official start, so that gradients stand out from rounding.
    parameters.values_mut().iter_mut().for_each(|v| *v *= 3.0);
    EncoderTrainer::new(config(), parameters, objectives).unwrap()
}

fn all() -> Vec<(&'static str, Objectives)> {
    let off = Objectives::default();
    let next_latent = Objectives {
        next_latent: 1.0,
        ..off.clone()
    };
    vec![
        (
            "proprioception",
            Objectives {
                proprioception: 1.0,
                ..off.clone()
            },
        ),
        ("next_latent", next_latent.clone()),
        (
            "sigreg",
            Objectives {
                sigreg: 1.0,
                ..off.clone()
            },
        ),
        (
            "inverse_dynamics",
            Objectives {
                inverse_dynamics: 1.0,
                ..off.clone()
            },
        ),
        (
            "masked",
            Objectives {
                masked: 1.0,
                ..off.clone()
            },
        ),
        (
            "object",
            Objectives {
                object: 1.0,
                ..off.clone()
            },
        ),
        (
            "hand",
            Objectives {
                hand: 1.0,
                hand_camera: Some(HandCamera {
                    eye_m: [1.5, 0.2, 0.4],
                    look_at_m: [0.0, 0.0, 0.0],
                    fov_rad: 0.8,
                }),
                ..off.clone()
            },
        ),
        (
            "hand without a camera",
            Objectives {
                hand: 1.0,
                ..off.clone()
            },
        ),
        (
            "several",
            Objectives {
                proprioception: 0.5,
                sigreg: 0.3,
                inverse_dynamics: 0.2,
                ..next_latent
            },
        ),
    ]
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (name, objectives) in all() {
        let mut trainer = trainer(objectives);
        let batch = batch(1);
        trainer.compute_gradients(&batch).unwrap();
        let gradients = trainer.state().gradients().unwrap().clone();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let direction: Vec<f32> = gradients
            .iter()
            .map(|g| {
                if rng.random_bool(0.5) {
                    g.signum()
                } else {
                    0.0
                }
            })
            .collect();
        let expected: f64 = gradients
            .iter()
            .zip(&direction)
            .map(|(g, d)| f64::from(*g) * f64::from(*d))
            .sum();
        assert!(expected.abs() > 1e-4, "{name}: no gradient");
        let loss = |step: f32| {
            let shared = trainer.state().shared().clone();
            let before = shared.parameters.read().unwrap().values().to_vec();
            {
                let mut parameters = shared.parameters.write().unwrap();
                for (v, d) in parameters.values_mut().iter_mut().zip(&direction) {
                    *v += step * d;
                }
            }
            let loss = trainer.evaluate(&batch).unwrap().total;
            let mut parameters = shared.parameters.write().unwrap();
            parameters.values_mut().copy_from_slice(&before);
            loss
        };
        let step = 2e-5;
        let found = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
        let off = (found - expected).abs() / expected.abs();
        assert!(
            off < 0.03,
            "{name}: {found} by differences, {expected} by backward"
        );
    }
}

#[test]
fn the_hand_is_read_out_of_predicted_latents_by_a_head_that_stays() {
    let objectives = Objectives {
        hand: 1.0,
        ..Objectives::default()
    };
    let with = Objectives {
        next_latent: 1e-6,
        ..objectives.clone()
    };
    let of_head = |objectives: Objectives| -> Vec<f32> {
        let mut trainer = trainer(objectives.clone());
        let losses = trainer.compute_gradients(&batch(1)).unwrap();
        assert_eq!(losses.hand_predicted > 0.0, objectives.next_latent > 0.0);
        let state = trainer.state();
        let parameters = state.shared().parameters.read().unwrap();
        let range = parameters.range("head.hand.fc1.weight");
        let gradients = state.gradients().unwrap()[range].to_vec();
        gradients
    };
    let (alone, both) = (of_head(objectives), of_head(with));
    assert!(alone.iter().any(|g| *g != 0.0));
    let most = alone.iter().fold(0f32, |most, g| most.max(g.abs()));
    for (a, b) in alone.iter().zip(&both) {
        assert!((a - b).abs() < 1e-4 * most, "{a} {b}");
    }
}

#[test]
fn every_objective_falls_when_it_is_trained() {
    for (name, objectives) in all() {
        let mut trainer = trainer(objectives);
        let batch = batch(2);
        let first = trainer.evaluate(&batch).unwrap().total;
        for _ in 0..40 {
            trainer.compute_gradients(&batch).unwrap();
            trainer.state_mut().update(3e-3, 0.0, Some(1.0)).unwrap();
        }
        let last = trainer.evaluate(&batch).unwrap().total;
        assert!(last < 0.8 * first, "{name}: {first} to {last}");
    }
}

#[test]
fn the_moving_average_follows_slowly_and_survives_a_restart() {
    use foresight_training::state;
    let objectives = Objectives {
        masked: 1.0,
        ema_momentum: 0.9,
        ..Objectives::default()
    };
    let mut trained = trainer(objectives.clone());
    let start = trained.state().parameters().unwrap().values().to_vec();
    let step = |trainer: &mut EncoderTrainer, seed: u64| {
        trainer.compute_gradients(&batch(seed)).unwrap();
        trainer.state_mut().update(1e-2, 0.0, None).unwrap();
    };
    step(&mut trained, 1);
    let now = trained.state().parameters().unwrap().values().to_vec();
    let average = trained.state().average().unwrap().values().to_vec();
    for ((start, now), average) in start.iter().zip(&now).zip(&average) {
        assert!((average - (0.9 * start + 0.1 * now)).abs() < 1e-6);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.safetensors");
    let position = state::Position { step: 1, best: 0.5 };
    state::save(&file, trained.state(), position).unwrap();
    let mut resumed = trainer(objectives);
    let restored = state::restore(&file, resumed.state_mut()).unwrap();
    assert_eq!(restored, position);
    for trainer in [&mut trained, &mut resumed] {
        step(trainer, 2);
    }
    let values = |t: &EncoderTrainer| {
        let parameters = t.state().parameters().unwrap().values().to_vec();
        (parameters, t.state().average().unwrap().values().to_vec())
    };
    assert_eq!(values(&trained), values(&resumed));
}
