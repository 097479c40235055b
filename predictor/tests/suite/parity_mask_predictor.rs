//! Fixtures 13 and 14: the mask predictors of V-JEPA 2 and 2.1 against the official code.

use std::collections::BTreeMap;

use crate::support::{
    builder, close, listed_as_official, of_kind, values, vjepa21_predictor, Fixture,
};
use candle_core::Tensor;
use foresight_predictor::layout;
use foresight_predictor::mask_predictor::{MaskPredictor, MaskPredictorConfig};
use foresight_predictor::vjepa21_encoder::Modality;
use serde_json::Value;

const BOUND: f32 = 5e-5;

/// What a case gives to the predictor.
struct Case<'a> {
    what: String,
    name: &'a str,
    context: &'a Tensor,
    seen: &'a Tensor,
    masked: &'a Tensor,
    mask: usize,
}

fn case<'a>(fixture: &'a Fixture, case: &'a Value) -> Case<'a> {
    let name = case["name"].as_str().unwrap();
    let of = case.get("of").unwrap_or(&case["name"]).as_str().unwrap();
    Case {
        what: format!("{} {name}", fixture.path.display()),
        name,
        context: fixture.get(&format!("in.{of}.x")),
        seen: fixture.get(&format!("in.{of}.masks_x")),
        masked: fixture.get(&format!("in.{of}.masks_y")),
        mask: case["mask_index"].as_u64().unwrap_or(1) as usize,
    }
}

/// The case's weights: `tiny_embed` scales what comes before the blocks.
fn weights(fixture: &Fixture, case: &Value) -> BTreeMap<String, Tensor> {
    let mut weights = fixture.weights("weights");
    if case["kind"] == "tiny_embed" {
        let scale = case["scale"].as_f64().unwrap();
        for (name, value) in &mut weights {
            let before = ["predictor_embed.", "mask_tokens."];
            if before.iter().any(|b| name.starts_with(b)) || name.ends_with("_mod_embed") {
                *value = (&*value * scale).unwrap();
            }
        }
    }
    weights
}

fn check(fixture: &Fixture, case: &Case, suffix: &str, out: &Tensor) {
    let key = format!("out.{}.{suffix}", case.name);
    assert_eq!(out.dims(), fixture.get(&key).dims(), "{}", case.what);
    let what = format!("{} {suffix}", case.what);
    close(&what, &values(out), &fixture.vec(&key), BOUND);
}

#[test]
fn parity_mask_predictor() {
    for fixture in of_kind("13_mask_predictor", "mask_predictor") {
        let config: MaskPredictorConfig = fixture.parse("config");
        for json in fixture.json["cases"].as_array().unwrap() {
            let case = case(&fixture, json);
            let weights = weights(&fixture, json);
            let predictor = MaskPredictor::new(&config, builder(&weights)).unwrap();
            let (x, seen, masked) = (case.context, case.seen, case.masked);
            let out = if json["return_all_tokens"] == true {
                predictor.forward_by_place(x, seen, masked, case.mask)
            } else {
                predictor.forward(x, seen, masked, case.mask)
            };
            check(&fixture, &case, "out", &out.unwrap());
        }
    }
}

#[test]
fn parity_vjepa21_predictor() {
    for fixture in of_kind("14_predictor_2_1", "predictor_2_1") {
        for json in fixture.json["cases"].as_array().unwrap() {
            let mut config = fixture.json["config"].clone();
            if let Some(interpolate) = json.get("interpolate_rope") {
                config["interpolate_rope"] = interpolate.clone();
            }
            let config = vjepa21_predictor(&config);
            assert_eq!(
                config.out_dim() as u64,
                fixture.json["out_dim"].as_u64().unwrap()
            );
            assert_eq!(
                config.levels() as u64,
                fixture.json["levels"].as_u64().unwrap()
            );
            let case = case(&fixture, json);
            let weights = weights(&fixture, json);
            let predictor = MaskPredictor::new(&config, builder(&weights)).unwrap();
            let modality = match json["mod"].as_str().unwrap() {
                "image" => Modality::Image,
                _ => Modality::Video,
            };
            let (x, seen, masked) = (case.context, case.seen, case.masked);
            let out = predictor
                .predict(x, seen, masked, case.mask, modality)
                .unwrap();
            check(&fixture, &case, "pred", &out.masked);
            let predicts_context = config.vjepa2_1.as_ref().unwrap().return_all_tokens;
            assert_eq!(out.context.is_some(), predicts_context);
            if let Some(context) = &out.context {
                check(&fixture, &case, "context", context);
            }
        }
    }
}

/// The parameters are listed as the official state dicts have them.
#[test]
fn parity_mask_predictor_names() {
    let v2 = of_kind("13_mask_predictor", "mask_predictor")
        .into_iter()
        .map(|f| (f.parse("config"), f));
    let v21 = of_kind("14_predictor_2_1", "predictor_2_1")
        .into_iter()
        .map(|f| (vjepa21_predictor(&f.json["config"]), f));
    for (config, fixture) in v2.chain(v21) {
        listed_as_official(layout::mask_predictor(&config), &fixture);
    }
}

/// Depths that the official constructor has no table for, and grids that can't be stretched.
#[test]
fn predictors_that_cannot_be_built_are_refused() {
    let fixture = of_kind("14_predictor_2_1", "predictor_2_1").remove(0);
    let weights = fixture.weights("weights");
    let built = |change: &dyn Fn(&mut Value)| {
        let mut config = fixture.json["config"].clone();
        config["interpolate_rope"] = true.into();
        config["patch_size"] = 16.into();
        config["img_size"] = [64, 64].into();
        change(&mut config);
        let config = vjepa21_predictor(&config);
        MaskPredictor::new(&config, builder(&weights))
    };
    let refusal = |change: &dyn Fn(&mut Value)| built(change).unwrap_err().to_string();
    assert!(refusal(&|c| c["depth"] = 6.into()).contains("not of 6"));
    assert!(refusal(&|c| c["img_size"] = [16, 16].into()).contains("at least two rows"));
    assert!(refusal(&|c| c["patch_size"] = 8.into()).contains("not of 8"));
    assert!(built(&|_| ()).is_ok());
}
