//! Fixture 08: losses, gradients and AdamW steps of the official training recipe.

use crate::support::{close, of_kind, values, Fixture};
use candle_core::{Device, Tensor};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{
    backend, layout, ComputeDevice, EncoderConfig, Precision, PredictorConfig,
};
use foresight_training::change_directions::{ChangeDirections, Changes};
use foresight_training::schedule::CosineSchedule;
use foresight_training::{
    LatentMetric, PredictorBatch, PredictorLossOptions, PredictorTrainer, TrainState,
    TrainingDevice, WsdSchedule,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn options(variant: &Value) -> PredictorLossOptions {
    PredictorLossOptions {
        auto_steps: variant["auto_steps"].as_u64().unwrap() as usize,
        loss_exp: variant["loss_exp"].as_f64().unwrap(),
        ..PredictorLossOptions::default()
    }
}

fn trainer(fixture: &Fixture, variant: &Value) -> PredictorTrainer {
    let config: PredictorConfig = fixture.parse("predictor_config");
    let weights = fixture.weights("predictor_weights");
    let parameters = Parameters::from_tensors(layout::predictor(&config), &weights).unwrap();
    PredictorTrainer::new(config, parameters, options(variant))
}

fn batch(fixture: &Fixture) -> PredictorBatch {
    let config: PredictorConfig = fixture.parse("predictor_config");
    PredictorBatch {
        latents: fixture.get("out.h").clone(),
        actions: fixture.get("in.actions").clone(),
        states: fixture.get("in.states").clone(),
        extrinsics: config
            .use_extrinsics
            .then(|| fixture.get("in.extrinsics").clone()),
        weights: None,
    }
}

fn schedule(opt: &Value) -> WsdSchedule {
    let number = |key: &str| opt[key].as_f64().unwrap();
    let steps = |key: &str| (number(key) * number("iterations_per_epoch")) as usize;
    WsdSchedule {
        start: number("start_lr"),
        reference: number("ref_lr"),
        last: number("final_lr"),
        warmup_steps: steps("warmup"),
        anneal_steps: steps("anneal"),
        total_steps: steps("num_epochs"),
    }
}

fn decay_schedule(opt: &Value) -> CosineSchedule {
    CosineSchedule {
        reference: opt["wd"].as_f64().unwrap(),
        last: opt["final_wd"].as_f64().unwrap(),
        total_steps: schedule(opt).total_steps,
    }
}

/// The named metrics: with no weight for the directions the whitened one is the official loss, and
/// without directions it is refused.
#[test]
fn the_whitened_metric_adds_to_the_official_one() {
    for fixture in of_kind("08_train", "train") {
        let variant = &fixture.json["variants"][0];
        let batch = batch(&fixture);
        let official = trainer(&fixture, variant).evaluate(&batch).unwrap();
        let mut changes = Changes::default();
        let clips_of_frames = batch.states.dim(0).unwrap() * batch.states.dim(1).unwrap();
        let frame = batch.latents.elem_count() / clips_of_frames;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        changes
            .latents
            .extend((0..400 * frame).map(|_| rng.random_range(-1f32..1.0)));
        changes
            .poses
            .extend((0..400 * 14).map(|_| rng.random_range(-1f32..1.0)));
        let directions = ChangeDirections::fit(&changes, 5, 1).unwrap();
        let with = |whitened_weight, directions| {
            let options = PredictorLossOptions {
                metric: LatentMetric::Whitened,
                whitened_weight,
                ..options(variant)
            };
            let config: PredictorConfig = fixture.parse("predictor_config");
            let weights = fixture.weights("predictor_weights");
            let layout = layout::predictor(&config);
            let parameters = Parameters::from_tensors(layout, &weights).unwrap();
            let trainer = PredictorTrainer::new(config, parameters, options).along(directions);
            trainer.evaluate(&batch)
        };
        let unweighted = with(0.0, Some(directions.clone())).unwrap();
        assert_eq!(unweighted.total, official.total);
        assert!(unweighted.whitened > 0.0 && official.whitened == 0.0);
        let weighted = with(0.5, Some(directions)).unwrap();
        let expected = official.total + 0.5 * weighted.whitened;
        assert!((weighted.total - expected).abs() < 1e-4 * expected);
        let error = with(1.0, None).unwrap_err().to_string();
        assert!(error.contains("directions"), "{error}");
    }
}

/// The target latents, from the clips.
#[test]
fn parity_train_latents() {
    for fixture in of_kind("08_train", "train") {
        let config: EncoderConfig = fixture.parse("encoder_config");
        let weights = fixture.weights("encoder_weights");
        let parameters = Parameters::from_tensors(layout::encoder(&config), &weights).unwrap();
        let clips = fixture.get("in.clips");
        let (_, _, _, height, width) = clips.dims5().unwrap();
        // [B, 3, T, H, W] to [B·T, 3, H, W]: every frame is a clip of its own.
        let frames = clips.transpose(1, 2).unwrap().contiguous().unwrap();
        let h = backend::encode(&config, &parameters, &values(&frames), [height, width]).unwrap();
        close("h", &h, &fixture.vec("out.h"), 5e-5);
    }
}

#[test]
fn parity_train_losses_and_gradients() {
    for fixture in of_kind("08_train", "train") {
        let mut main = trainer(&fixture, &fixture.json["main"]);
        let (losses, predictions) = main.compute_gradients(&batch(&fixture)).unwrap();
        let got = [losses.teacher_forced, losses.rollout, losses.total].map(|v| v as f32);
        close("losses", &got, &fixture.vec("out.step1.losses"), 5e-6);
        let z_tf = values(&predictions.teacher_forced);
        close("z_tf", &z_tf, &fixture.vec("out.z_tf"), 5e-5);
        close(
            "z_ar",
            &values(&predictions.rollout),
            &fixture.vec("out.z_ar"),
            5e-5,
        );
        let parameters = main.state().parameters().unwrap();
        let gradients = main.state().gradients().unwrap();
        for (name, _) in parameters.entries() {
            let got = &gradients[parameters.range(name)];
            close(name, got, &fixture.vec(&format!("out.grad.{name}")), 1e-6);
        }
        for variant in fixture.json["variants"].as_array().unwrap() {
            let name = variant["name"].as_str().unwrap();
            let mut trainer = trainer(&fixture, variant);
            let (losses, _) = trainer.compute_gradients(&batch(&fixture)).unwrap();
            let got = [losses.teacher_forced, losses.rollout, losses.total].map(|v| v as f32);
            close(
                name,
                &got,
                &fixture.vec(&format!("out.{name}.losses")),
                5e-6,
            );
            let parameters = trainer.state().parameters().unwrap();
            let gradients = trainer.state().gradients().unwrap();
            let norms = fixture.vec(&format!("out.{name}.grad_norms"));
            let order: Vec<String> = fixture.parse("grad_norm_order");
            for (parameter, expected) in order.iter().zip(norms) {
                if !parameters.entries().iter().any(|(n, _)| n == parameter) {
                    continue; // An extrinsics encoder the model doesn't use.
                }
                let squares: f64 = gradients[parameters.range(parameter)]
                    .iter()
                    .map(|g| f64::from(*g).powi(2))
                    .sum();
                let bound = 1e-6 + 1e-4 * expected;
                close(parameter, &[squares.sqrt() as f32], &[expected], bound);
            }
        }
    }
}

#[test]
fn parity_train_adamw_steps() {
    for fixture in of_kind("08_train", "train") {
        let opt = &fixture.json["opt"];
        let schedule = schedule(opt);
        let decay = decay_schedule(opt);
        let mut trainer = trainer(&fixture, &fixture.json["main"]);
        let mut first_gradients = Vec::new();
        for step in 1..=fixture.json["n_steps"].as_u64().unwrap() as usize {
            let (rate, decay) = (schedule.rate(step - 1), decay.value(step - 1));
            let expected = fixture.vec(&format!("out.step{step}.lr_wd"));
            close(
                "rate and decay",
                &[rate as f32, decay as f32],
                &expected,
                1e-9,
            );
            trainer.compute_gradients(&batch(&fixture)).unwrap();
            if step == 1 {
                first_gradients = trainer.state().gradients().unwrap().clone();
            }
            trainer.state_mut().update(rate, decay, None).unwrap();
            let bound = match step {
                1 => 1e-6,
                3 => 1e-5,
                _ => continue,
            };
            let parameters = trainer.state().parameters().unwrap();
            for (name, _) in parameters.entries() {
                let expected = fixture.vec(&format!("out.p{step}.{name}"));
                let range = parameters.range(name);
                // AdamW turns rounding of a vanishing gradient into a full step of either sign.
                let (mut got, mut wanted) = (Vec::new(), Vec::new());
                for (i, at) in range.enumerate() {
                    if first_gradients[at].abs() >= 1e-7 {
                        got.push(parameters.values()[at]);
                        wanted.push(expected[i]);
                    }
                }
                close(&format!("{name} after {step}"), &got, &wanted, bound);
            }
        }
    }
}

#[test]
fn parity_train_schedules() {
    for fixture in of_kind("08_train", "schedule") {
        let n = fixture.json["n"].as_u64().unwrap() as usize;
        let columns: Vec<String> = fixture.parse("columns");
        let column = |name: &str| columns.iter().position(|c| c == name).unwrap();
        let (lr, wd) = (column("lr"), column("wd"));
        for (name, opt) in fixture.json["opts"].as_object().unwrap() {
            let (schedule, decay) = (schedule(opt), decay_schedule(opt));
            let table = fixture
                .get(&format!("out.{name}"))
                .to_dtype(candle_core::DType::F64)
                .unwrap()
                .to_vec2::<f64>()
                .unwrap();
            for (iteration, row) in table.iter().take(n).enumerate() {
                // Past the end the official schedules go on: rates below zero, decay back up.
                if iteration + 1 > schedule.total_steps {
                    continue;
                }
                let got = [schedule.rate(iteration), decay.value(iteration)];
                let expected = [row[lr], row[wd]];
                for (got, expected) in got.into_iter().zip(expected) {
                    assert!(
                        (got - expected).abs() <= 1e-15,
                        "{name} iteration {iteration}: {got} but {expected} expected"
                    );
                }
            }
        }
    }
}

fn gradients_of(trainer: &PredictorTrainer) -> Vec<f32> {
    trainer.state().gradients().unwrap().clone()
}

/// What saves memory changes no bit: blocks computed again, a batch taken in parts.
#[test]
fn parity_train_recomputation_and_accumulation() {
    for fixture in of_kind("08_train", "train") {
        let whole = batch(&fixture);
        let mut plain = trainer(&fixture, &fixture.json["main"]);
        let (losses, _) = plain.compute_gradients(&whole).unwrap();
        let expected = gradients_of(&plain);

        let config: PredictorConfig = fixture.parse("predictor_config");
        let parameters = plain.state().parameters().unwrap().clone();
        let state = TrainState::new(parameters).with_recomputation(true);
        let options = options(&fixture.json["main"]);
        let mut frugal = PredictorTrainer::with_state(config, state, options);
        assert_eq!(frugal.compute_gradients(&whole).unwrap().0, losses);
        assert_eq!(gradients_of(&frugal), expected);

        let clips = whole.states.dim(0).unwrap();
        frugal.state().clear().unwrap();
        for i in 0..clips {
            let one = |t: &Tensor| t.narrow(0, i, 1).unwrap();
            let part = PredictorBatch {
                latents: one(&whole.latents),
                actions: one(&whole.actions),
                states: one(&whole.states),
                extrinsics: whole.extrinsics.as_ref().map(one),
                weights: None,
            };
            let share = 1.0 / clips as f64;
            frugal.accumulate_gradients(&part, share).unwrap();
        }
        close("accumulated", &gradients_of(&frugal), &expected, 1e-6);
    }
}

/// What a GPU does, on the CPU: the same losses and gradients, to the official numbers.
#[test]
fn parity_train_through_candle() {
    for fixture in of_kind("08_train", "train") {
        let place = TrainingDevice::open(ComputeDevice::CandleCpu, Precision::F32).unwrap();
        let mut main = trainer(&fixture, &fixture.json["main"]).on(place);
        let (losses, predictions) = main.compute_gradients(&batch(&fixture)).unwrap();
        let got = [losses.teacher_forced, losses.rollout, losses.total].map(|v| v as f32);
        close("losses", &got, &fixture.vec("out.step1.losses"), 5e-6);
        let z_ar = values(&predictions.rollout);
        close("z_ar", &z_ar, &fixture.vec("out.z_ar"), 5e-5);
        assert_eq!(main.evaluate(&batch(&fixture)).unwrap(), losses);
        let parameters = main.state().parameters().unwrap();
        let gradients = main.state().gradients().unwrap();
        for (name, _) in parameters.entries() {
            let got = &gradients[parameters.range(name)];
            close(name, got, &fixture.vec(&format!("out.grad.{name}")), 1e-6);
        }
    }
}

/// Steps seen through their keys and values give the gradients of steps taken through again, for
/// rollouts of any length.
#[test]
fn long_rollouts_learn_as_through_candle() {
    for fixture in of_kind("08_train", "train") {
        for variant in fixture.json["variants"].as_array().unwrap() {
            let place = TrainingDevice::open(ComputeDevice::CandleCpu, Precision::F32).unwrap();
            let mut candle = trainer(&fixture, variant).on(place);
            let mut kernels = trainer(&fixture, variant);
            candle.compute_gradients(&batch(&fixture)).unwrap();
            kernels.compute_gradients(&batch(&fixture)).unwrap();
            let label = format!("{} steps", variant["auto_steps"]);
            close(
                &label,
                &gradients_of(&kernels),
                &gradients_of(&candle),
                1e-6,
            );
        }
    }
}

/// In bf16 gradients point where they point in f32, and frozen parameters have none.
#[test]
fn rounded_gradients_point_the_same_way() {
    let fixture = of_kind("08_train", "train").remove(0);
    let mut exact = trainer(&fixture, &fixture.json["main"]);
    let (losses, _) = exact.compute_gradients(&batch(&fixture)).unwrap();
    let parameters = exact.state().parameters().unwrap().clone();
    let names = parameters.entries().iter().map(|(name, _)| name.clone());
    let frozen = names.filter(|name| name.starts_with("predictor_blocks.0."));
    let state = TrainState::new(parameters.clone())
        .with_frozen(frozen.collect())
        .unwrap();
    let place = TrainingDevice::open(ComputeDevice::CandleCpu, Precision::Bf16).unwrap();
    let config: PredictorConfig = fixture.parse("predictor_config");
    let options = options(&fixture.json["main"]);
    let mut rounded = PredictorTrainer::with_state(config, state, options).on(place);
    let (near, _) = rounded.compute_gradients(&batch(&fixture)).unwrap();
    assert_ne!(near, losses);
    assert!(
        (near.total / losses.total - 1.0).abs() < 0.02,
        "{near:?} {losses:?}"
    );
    let (a, b) = (gradients_of(&exact), gradients_of(&rounded));
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (name, _) in parameters.entries() {
        let range = parameters.range(name);
        if name.starts_with("predictor_blocks.0.") {
            assert!(b[range].iter().all(|g| *g == 0.0), "{name}");
            continue;
        }
        for (x, y) in a[range.clone()].iter().zip(&b[range]) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            dot += x * y;
            aa += x * x;
            bb += y * y;
        }
    }
    let cosine = dot / (aa * bb).sqrt();
    assert!(cosine > 0.99, "cosine {cosine}");
}

#[test]
fn the_kernels_train_in_f32_only() {
    let error = TrainingDevice::open(ComputeDevice::Cpu, Precision::Bf16).unwrap_err();
    assert!(error.to_string().contains("GPUs only"), "{error}");
}

/// Frozen parameters stay, the others get the very gradients they get in a whole training.
#[test]
fn frozen_parameters_stay_and_the_others_learn_as_ever() {
    let fixture = of_kind("08_train", "train").remove(0);
    let config: PredictorConfig = fixture.parse("predictor_config");
    let mut plain = trainer(&fixture, &fixture.json["main"]);
    plain.compute_gradients(&batch(&fixture)).unwrap();
    let everything = gradients_of(&plain);
    let last = format!("predictor_blocks.{}.", config.depth - 1);
    let cases: [&dyn Fn(&str) -> bool; 3] = [
        &|name| name.starts_with(&last),
        &|name| !name.starts_with("predictor_blocks."),
        &|name| name.starts_with("predictor_embed.") || name.starts_with("predictor_proj."),
    ];
    for (case, trained) in cases.into_iter().enumerate() {
        let parameters = plain.state().parameters().unwrap().clone();
        let entries = parameters.entries().to_vec();
        let names = entries.iter().map(|(name, _)| name.clone());
        let state = TrainState::new(parameters.clone())
            .with_frozen(names.filter(|name| !trained(name)).collect())
            .unwrap();
        let options = options(&fixture.json["main"]);
        let mut some = PredictorTrainer::with_state(config.clone(), state, options);
        some.compute_gradients(&batch(&fixture)).unwrap();
        let gradients = gradients_of(&some);
        some.state_mut().update(1e-3, 0.04, None).unwrap();
        let after = some.state().parameters().unwrap();
        for (name, _) in &entries {
            let range = parameters.range(name);
            if trained(name) {
                assert_eq!(
                    gradients[range.clone()],
                    everything[range.clone()],
                    "{case} {name}"
                );
                assert_ne!(after.slice(name), parameters.slice(name), "{case} {name}");
            } else {
                assert!(gradients[range].iter().all(|g| *g == 0.0), "{case} {name}");
                assert_eq!(after.slice(name), parameters.slice(name), "{case} {name}");
            }
        }
        let (first, _, _) = some.state().optimiser().moments();
        let sizes = entries.iter().filter(|(name, _)| trained(name));
        let moved: usize = sizes
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(first.len(), moved);
    }
}

/// Another number of threads, another piece of work per thread: the same gradients, bit for bit.
#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let fixture = of_kind("08_train", "train").remove(0);
    let one = batch(&fixture);
    let twice = |t: &Tensor| Tensor::cat(&[t, &(t * 0.5).unwrap(), t], 0).unwrap();
    let batch = PredictorBatch {
        latents: twice(&one.latents),
        actions: twice(&one.actions),
        states: twice(&one.states),
        extrinsics: None,
        weights: Some(Tensor::new(&[1f32, 2.0, 1.0, 0.5, 1.0, 1.0], &Device::Cpu).unwrap()),
    };
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut trainer = trainer(&fixture, &fixture.json["main"]);
            trainer.compute_gradients(&batch).unwrap();
            let gradients = trainer.state().gradients().unwrap();
            gradients.clone()
        })
    };
    let single = with_threads(1);
    assert!(single.iter().any(|g| *g != 0.0));
    assert_eq!(single, with_threads(3));
}
