//! Fixture 08: losses, gradients and AdamW steps of the official training recipe.

mod support;

use candle_core::{Device, Tensor};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::train::{
    PredictorBatch, PredictorLossOptions, PredictorTrainer, WsdSchedule,
};
use foresight_predictor::{layout, PredictorConfig};
use serde_json::Value;
use support::{close, of_kind, values, Fixture};

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
        let parameters = main.learner().parameters().unwrap();
        let gradients = main.learner().gradients().unwrap();
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
            let parameters = trainer.learner().parameters().unwrap();
            let gradients = trainer.learner().gradients().unwrap();
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
        let decay = opt["wd"].as_f64().unwrap();
        let mut trainer = trainer(&fixture, &fixture.json["main"]);
        let mut first_gradients = Vec::new();
        for step in 1..=fixture.json["n_steps"].as_u64().unwrap() as usize {
            let rate = schedule.rate(step - 1);
            let expected = fixture.vec(&format!("out.step{step}.lr_wd"));
            close(
                "rate and decay",
                &[rate as f32, decay as f32],
                &expected,
                1e-9,
            );
            trainer.compute_gradients(&batch(&fixture)).unwrap();
            if step == 1 {
                first_gradients = trainer.learner().gradients().unwrap().clone();
            }
            trainer.learner_mut().update(rate, decay, None).unwrap();
            let bound = match step {
                1 => 1e-6,
                3 => 1e-5,
                _ => continue,
            };
            let parameters = trainer.learner().parameters().unwrap();
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
        for (name, opt) in fixture.json["opts"].as_object().unwrap() {
            let schedule = schedule(opt);
            let table = fixture
                .get(&format!("out.{name}"))
                .to_dtype(candle_core::DType::F64)
                .unwrap()
                .to_vec2::<f64>()
                .unwrap();
            for (iteration, row) in table.iter().take(n).enumerate() {
                let rate = schedule.rate(iteration);
                let past_the_end = iteration + 1 > schedule.total_steps;
                assert!(
                    past_the_end || (rate - row[0]).abs() < 1e-12,
                    "{name} iteration {iteration}: {rate} but {} expected",
                    row[0]
                );
            }
        }
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
            let gradients = trainer.learner().gradients().unwrap();
            gradients.clone()
        })
    };
    let single = with_threads(1);
    assert!(single.iter().any(|g| *g != 0.0));
    assert_eq!(single, with_threads(3));
}
