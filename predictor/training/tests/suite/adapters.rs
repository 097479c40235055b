//! Low-rank adapters: their gradients are those of the weights they are merged into, and nothing
//! else is moved.

use candle_core::{Device, Tensor};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{preset, Part};
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::layout;
use foresight_predictor::parameters::Parameters;
use foresight_training::adapters::{AdaptedLayer, AdapterConfig, Adapters};
use foresight_training::state::{self, Position};
use foresight_training::{PredictorBatch, PredictorLossOptions, PredictorTrainer, TrainState};

const RANK: usize = 3;

fn config() -> PredictorConfig {
    preset("tiny").unwrap().predictor.unwrap()
}

fn parameters(config: &PredictorConfig) -> Parameters {
    let mut parameters = Parameters::zeros(layout::predictor(config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    parameters
}

fn batch(config: &PredictorConfig) -> PredictorBatch {
    let wave = |dims: (usize, usize, usize), by: f32| {
        let count = dims.0 * dims.1 * dims.2;
        let values = (0..count).map(|i| (i as f32 * by).sin()).collect();
        Tensor::from_vec::<_, f32>(values, dims, &Device::Cpu).unwrap()
    };
    let (b, t) = (3, 3);
    PredictorBatch {
        latents: wave((b, t * config.tokens_per_frame(), config.embed_dim), 0.7),
        actions: (wave((b, t - 1, 7), 0.3) * 0.03).unwrap(),
        states: wave((b, t, 7), 0.11),
        extrinsics: config.use_extrinsics.then(|| wave((b, t, 6), 0.5)),
        weights: None,
    }
}

fn adapted(config: &PredictorConfig, blocks: usize) -> (AdapterConfig, TrainState) {
    let adapters = AdapterConfig {
        rank: RANK,
        alpha: 6.0,
        layers: vec![AdaptedLayer::Qkv, AdaptedLayer::Fc2],
    };
    let entries = adapters.entries(config, blocks);
    assert_eq!(entries.len(), 2 * 2 * blocks);
    let state = TrainState::new(parameters(config));
    let made = Adapters::new(&adapters, entries, 7);
    (adapters, state.with_adapters(made).unwrap())
}

#[test]
fn gradients_are_those_of_the_merged_weights_and_only_adapters_move() {
    let config = config();
    let options = PredictorLossOptions::default();
    let (adapters, state) = adapted(&config, 2);
    let mut small = PredictorTrainer::with_state(config.clone(), state, options);
    let batch = batch(&config);
    // Once moved, B is no longer zero, and A has gradients too.
    small.compute_gradients(&batch).unwrap();
    small.state_mut().update(1e-2, 0.0, None).unwrap();
    let (losses, _) = small.compute_gradients(&batch).unwrap();

    let merged = small.state().parameters().unwrap().clone();
    let mut whole = PredictorTrainer::new(config.clone(), merged.clone(), options);
    let (same, _) = whole.compute_gradients(&batch).unwrap();
    assert_eq!(losses, same);

    let scale = (adapters.alpha / RANK as f64) as f32;
    let values = small.state().adapters().unwrap().values().unwrap().clone();
    let gradients = small.state().gradients().unwrap().clone();
    let all = whole.state().gradients().unwrap().clone();
    assert_eq!(gradients.len(), values.values().len());
    let first = parameters(&config);
    let mut checked = 0;
    for (name, shape) in first.entries() {
        let changed = merged.slice(name) != first.slice(name);
        let a_name = format!("{name}.lora_A");
        let is_adapted = values.entries().iter().any(|(n, _)| *n == a_name);
        assert_eq!(changed, is_adapted, "{name}");
        if !is_adapted {
            continue;
        }
        checked += 1;
        let [out, input] = [shape[0], shape[1]];
        let b_name = format!("{name}.lora_B");
        let (a, b) = (values.slice(&a_name), values.slice(&b_name));
        let dw = &all[first.range(name)];
        let (da, db) = (
            &gradients[values.range(&a_name)],
            &gradients[values.range(&b_name)],
        );
        let near = |found: f32, wanted: f32| {
            assert!(
                (found - wanted).abs() <= 1e-6 + 1e-4 * wanted.abs(),
                "{name} {found} {wanted}"
            );
        };
        for k in 0..RANK {
            for i in (0..input).step_by(5) {
                let wanted: f32 = (0..out).map(|o| b[o * RANK + k] * dw[o * input + i]).sum();
                near(da[k * input + i], scale * wanted);
            }
            for o in (0..out).step_by(5) {
                let wanted: f32 = (0..input)
                    .map(|i| a[k * input + i] * dw[o * input + i])
                    .sum();
                near(db[o * RANK + k], scale * wanted);
            }
        }
        // What is merged is the weights with scale · B · A.
        for at in (0..out * input).step_by(7) {
            let (o, i) = (at / input, at % input);
            let product: f32 = (0..RANK).map(|k| b[o * RANK + k] * a[k * input + i]).sum();
            let wanted = first.slice(name)[at] + scale * product;
            assert!((merged.slice(name)[at] - wanted).abs() < 1e-6, "{name}");
        }
    }
    assert_eq!(checked, 4);
    let (moments, _, _) = small.state().optimiser().moments();
    assert_eq!(moments.len(), values.values().len());
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    let config = config();
    let options = PredictorLossOptions::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.safetensors");
    let batch = batch(&config);
    let step = |trainer: &mut PredictorTrainer| {
        trainer.compute_gradients(&batch).unwrap();
        trainer.state_mut().update(1e-3, 0.04, Some(1.0)).unwrap();
    };
    let fresh = || {
        let (_, state) = adapted(&config, 4);
        PredictorTrainer::with_state(config.clone(), state, options)
    };
    let mut whole = fresh();
    (0..2).for_each(|_| step(&mut whole));
    let at = Position { step: 2, best: 1.0 };
    state::save(&file, whole.state(), at).unwrap();
    step(&mut whole);
    let mut resumed = fresh();
    assert_eq!(state::restore(&file, resumed.state_mut()).unwrap(), at);
    step(&mut resumed);
    let values = |trainer: &PredictorTrainer| {
        let adapters = trainer
            .state()
            .adapters()
            .unwrap()
            .values()
            .unwrap()
            .values()
            .to_vec();
        (
            adapters,
            trainer.state().parameters().unwrap().values().to_vec(),
        )
    };
    assert!(values(&whole) == values(&resumed));

    // A run that trains the weights themselves doesn't go on from it.
    let mut other = PredictorTrainer::new(config.clone(), parameters(&config), options);
    assert!(state::restore(&file, other.state_mut()).is_err());
}
