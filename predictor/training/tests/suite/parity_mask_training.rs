//! Fixtures 13 (`train`) and 15: losses, gradients and one step of masked pre-training.

use std::collections::BTreeMap;

use crate::support::{close, of_kind, values, vjepa21_encoder, vjepa21_predictor, Fixture};
use candle_core::{DType, Tensor};
use foresight_predictor::mask_predictor::{MaskPrediction, MaskPredictorConfig};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{layout, EncoderConfig};
use foresight_training::mask_losses::distances;
use foresight_training::mask_trainer::{ENCODER, PREDICTOR};
use foresight_training::schedule::CosineSchedule;
use foresight_training::{BlockMasks, ClipGroup, MaskLossOptions, MaskTrainer};
use serde_json::Value;

/// Parameters after a step, where their gradient is no rounding.
const STEP: f32 = 1e-6;
/// Below this, AdamW turns rounding of a gradient into a full step of either sign.
const VANISHING: f32 = 1e-7;

fn both() -> Vec<Fixture> {
    let mut fixtures = of_kind("13_mask_predictor", "train_mask_predictor");
    fixtures.extend(of_kind("15_train_2_1", "train_2_1"));
    fixtures
}

fn is_vjepa21(fixture: &Fixture) -> bool {
    fixture.json["kind"] == "train_2_1"
}

fn configs(fixture: &Fixture) -> (EncoderConfig, MaskPredictorConfig) {
    if is_vjepa21(fixture) {
        let [encoder, predictor] = ["encoder_config", "predictor_config"];
        (
            vjepa21_encoder(&fixture.json[encoder]),
            vjepa21_predictor(&fixture.json[predictor]),
        )
    } else {
        (
            fixture.parse("encoder_config"),
            fixture.parse("predictor_config"),
        )
    }
}

/// Options of the fixture with those of a variant; and the iteration they stand for.
fn options(fixture: &Fixture, changed: Option<&Value>) -> (MaskLossOptions, u64) {
    let mut merged = fixture.json["options"].clone();
    for (key, value) in changed.into_iter().flat_map(|c| c.as_object().unwrap()) {
        merged[key.as_str()] = value.clone();
    }
    assert_ne!(merged["normalize_predictor"], true, "fails officially");
    let mut options = match is_vjepa21(fixture) {
        true => MaskLossOptions::default(),
        false => MaskLossOptions::vjepa2(),
    };
    options.loss_exp = merged["loss_exp"].as_f64().unwrap();
    if !is_vjepa21(fixture) {
        return (options, 0);
    }
    let flag = |key: &str| merged[key].as_bool().unwrap();
    options.levels_predictor = merged["levels_predictor"].as_u64().unwrap() as usize;
    options.predict_all = flag("predict_all");
    options.weight_distance_loss = flag("weight_distance_loss");
    options.offset_context_loss = flag("offset_context_loss");
    options.lambda_progressive = flag("lambda_progressive");
    options.lambda_value = merged["lambda_value"].as_f64().unwrap();
    let number = |key: &str| merged[key].as_u64().unwrap();
    let ipe = fixture.json["opt"]["ipe"].as_u64().unwrap();
    (options, number("epoch") * ipe + number("itr"))
}

fn trainer(fixture: &Fixture, options: MaskLossOptions) -> MaskTrainer {
    let (encoder, predictor) = configs(fixture);
    let parameters = |entries, key| Parameters::from_tensors(entries, &fixture.weights(key));
    let weights = parameters(layout::encoder(&encoder), "encoder_weights").unwrap();
    let target = parameters(layout::encoder(&encoder), "target_weights").unwrap();
    let guess = parameters(layout::mask_predictor(&predictor), "predictor_weights").unwrap();
    MaskTrainer::new((encoder, predictor), &weights, &guess, &target, options).unwrap()
}

fn ids(fixture: &Fixture, name: &str) -> Vec<Vec<u32>> {
    let tensor = fixture.get(name).to_dtype(DType::U32).unwrap();
    tensor.to_vec2().unwrap()
}

fn groups(fixture: &Fixture) -> Vec<ClipGroup> {
    let json = &fixture.json["groups"];
    let masks = json["masks"].as_array().unwrap().len();
    (0..json["fpcs"].as_array().unwrap().len())
        .map(|i| ClipGroup {
            clips: fixture.get(&format!("in.clips{i}")).clone(),
            masks: (0..masks)
                .map(|j| BlockMasks {
                    context: ids(fixture, &format!("in.masks_enc{i}.{j}")),
                    masked: ids(fixture, &format!("in.masks_pred{i}.{j}")),
                })
                .collect(),
        })
        .collect()
}

/// The name of an official one in the trainer's state.
fn ours(official: &str) -> String {
    let (network, name) = official.split_once(".backbone.").unwrap();
    assert!([ENCODER, PREDICTOR].contains(&network), "{network}");
    format!("{network}.{name}")
}

fn gradient(trainer: &MaskTrainer, official: &str) -> Vec<f32> {
    let range = trainer.state().parameters().unwrap().range(&ours(official));
    trainer.state().gradients().unwrap()[range].to_vec()
}

fn norm(gradient: &[f32]) -> f32 {
    let squares: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
    squares.sqrt() as f32
}

fn named<'a>(fixture: &'a Fixture, prefix: &str) -> Vec<(&'a str, String)> {
    let tensors = fixture.json["tensors"].as_object().unwrap();
    let mut found: Vec<(&str, String)> = tensors
        .keys()
        .filter_map(|key| Some((key.as_str(), key.strip_prefix(prefix)?.to_owned())))
        .collect();
    found.sort();
    found
}

#[test]
fn parity_mask_training_losses_and_gradients() {
    for fixture in both() {
        let (options, iteration) = options(&fixture, None);
        let predict_all = options.predict_all;
        let mut trainer = trainer(&fixture, options);
        let groups = groups(&fixture);
        for (i, group) in groups.iter().enumerate() {
            let target = trainer.target_latents(&group.clips).unwrap();
            let key = format!("out.target{i}");
            close(&key, &values(&target), &fixture.vec(&key), 5e-5);
        }
        let mut predictions: BTreeMap<(usize, usize), MaskPrediction> = BTreeMap::new();
        let losses = trainer
            .compute_gradients(&groups, iteration, &mut |g, m, prediction| {
                predictions.insert((g, m), prediction.clone());
            })
            .unwrap();
        let loss = |key: &str, got: f64| {
            close(
                key,
                &[got as f32],
                &fixture.vec(&format!("out.{key}")),
                5e-6,
            );
        };
        loss("loss", losses.total);
        if predict_all {
            loss("loss_pred", losses.masked);
            loss("loss_context", losses.context);
            loss("lambda", losses.lambda);
        }
        for ((g, m), prediction) in &predictions {
            let check = |what: &str, got: &Tensor| {
                let key = format!("out.{what}{g}.{m}");
                close(&key, &values(got), &fixture.vec(&key), 5e-5);
            };
            check("z_pred", &prediction.masked);
            if let Some(context) = prediction.context.as_ref().filter(|_| predict_all) {
                check("z_context", context);
                let (_, config) = configs(&fixture);
                let masks = &groups[*g].masks[*m];
                let side = config.img_size[0] / config.patch_size;
                let found = distances(&masks.context, &masks.masked, side, false).unwrap();
                check("min_distance_sqrt", &found);
            }
        }
        for (key, official) in named(&fixture, "out.grad.") {
            let got = gradient(&trainer, &official);
            // 1e-6, and what 24-bit numbers leave of the larger gradients.
            let expected = fixture.vec(key);
            let largest = expected.iter().fold(0f32, |most, g| most.max(g.abs()));
            close(&official, &got, &expected, 1e-6 + 2e-5 * largest);
        }
        for (official, expected) in fixture.json["grad_norms_f64"].as_object().unwrap() {
            let expected = expected.as_f64().unwrap() as f32;
            let got = norm(&gradient(&trainer, official));
            close(official, &[got], &[expected], 1e-6 + 1e-4 * expected);
        }
        let untouched: Vec<String> = fixture.parse("no_grad_params");
        for official in &untouched {
            assert!(!trainer.reached().contains(&ours(official)), "{official}");
        }
    }
}

#[test]
fn parity_mask_training_variants() {
    for fixture in of_kind("15_train_2_1", "train_2_1") {
        for variant in fixture.json["variants"].as_array().unwrap() {
            let name = variant["name"].as_str().unwrap();
            let (options, iteration) = options(&fixture, Some(&variant["changed"]));
            let mut trainer = trainer(&fixture, options);
            let losses = trainer
                .compute_gradients(&groups(&fixture), iteration, &mut |_, _, _| ())
                .unwrap();
            let check = |key: &str, got: f64| {
                if let Some(expected) = variant[key].as_f64() {
                    let what = format!("{name} {key}");
                    close(&what, &[got as f32], &[expected as f32], 5e-6);
                }
            };
            check("loss", losses.total);
            check("loss_pred", losses.masked);
            check("loss_context", losses.context);
            check("lambda", losses.lambda);
            for (official, expected) in variant["grad_norms"].as_object().unwrap() {
                let expected = expected.as_f64().unwrap() as f32;
                let got = norm(&gradient(&trainer, official));
                let what = format!("{name} {official}");
                close(&what, &[got], &[expected], 1e-6 + 1e-4 * expected);
            }
        }
    }
}

#[test]
fn parity_mask_training_step() {
    for fixture in both() {
        let opt = &fixture.json["opt"];
        let number = |key: &str| opt[key].as_f64().unwrap();
        let total_steps = (number("ipe_scale") * number("epochs") * number("ipe")) as usize;
        // The first step of the official `WarmupCosineSchedule`.
        let warmup_steps = number("warmup") * number("ipe");
        assert!(warmup_steps > 1.0, "{warmup_steps}");
        let rise = (number("lr") - number("start_lr")) / warmup_steps;
        let rate = number("start_lr") + rise;
        let decay = CosineSchedule {
            reference: number("wd"),
            last: number("final_wd"),
            total_steps,
        };
        let ema: [f64; 2] = serde_json::from_value(opt["ema"].clone()).unwrap();
        let (rate, decay, momentum) = (rate, decay.value(0), ema[0].min(ema[1]));
        let schedule = |key: &str, got: f64| {
            close(
                key,
                &[got as f32],
                &fixture.vec(&format!("out.{key}")),
                1e-9,
            );
        };
        schedule("lr", rate);
        schedule("wd", decay);
        schedule("ema_m", momentum);

        let (options, iteration) = options(&fixture, None);
        let mut trainer = trainer(&fixture, options);
        trainer
            .compute_gradients(&groups(&fixture), iteration, &mut |_, _, _| ())
            .unwrap();
        let before = trainer.state().gradients().unwrap().clone();
        trainer.update(rate, decay, momentum).unwrap();
        for (key, official) in named(&fixture, "out.after.") {
            let expected = fixture.vec(key);
            if let Some(name) = official.strip_prefix("target.backbone.") {
                let average = trainer.state().average().unwrap();
                let got = average.slice(&format!("{ENCODER}.{name}"));
                close(&official, got, &expected, STEP);
                continue;
            }
            let name = ours(&official);
            let parameters = trainer.state().parameters().unwrap();
            let gradients = &before[parameters.range(&name)];
            let untouched = !trainer.reached().contains(&name);
            let (mut got, mut wanted) = (Vec::new(), Vec::new());
            for ((value, gradient), expected) in
                parameters.slice(&name).iter().zip(gradients).zip(&expected)
            {
                if untouched || gradient.abs() >= VANISHING {
                    got.push(*value);
                    wanted.push(*expected);
                }
            }
            let bound = if untouched { 0.0 } else { STEP };
            close(&official, &got, &wanted, bound);
        }
    }
}

/// What a loss can't be computed from is refused.
#[test]
fn masks_and_grids_that_make_no_loss_are_refused() {
    let fixture = of_kind("15_train_2_1", "train_2_1").remove(0);
    let (options, _) = options(&fixture, None);
    let mut offset = trainer(
        &fixture,
        MaskLossOptions {
            offset_context_loss: true,
            ..options.clone()
        },
    );
    let mut see = |_: usize, _: usize, _: &MaskPrediction| ();
    let (_, predictor) = configs(&fixture);
    if predictor.img_size[0] / predictor.patch_size < 16 {
        let error = offset
            .compute_gradients(&groups(&fixture), 0, &mut see)
            .unwrap_err();
        assert!(error.to_string().contains("at least 16"), "{error}");
    }
    let mut empty = groups(&fixture);
    for ids in &mut empty[0].masks[0].masked {
        ids.clear();
    }
    let mut trainer = trainer(&fixture, options);
    let error = trainer.compute_gradients(&empty, 0, &mut see).unwrap_err();
    assert!(error.to_string().contains("must hold tokens"), "{error}");
}
