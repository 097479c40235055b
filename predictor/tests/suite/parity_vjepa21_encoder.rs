//! Fixture 12: the V-JEPA 2.1 encoder against the official code; and what it refuses.

use crate::support::{
    builder, close, listed_as_official, of_kind, values, vjepa21_encoder as config_of, Fixture,
};
use candle_core::{DType, Device, Tensor};
use foresight_predictor::checkpoint;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::vjepa21_encoder::{Modality, Vjepa21Encoder};
use foresight_predictor::{layout, EncoderConfig, EncoderLevel};
use serde_json::Value;

const BOUND: f32 = 5e-5;

/// The input of a case, which may be that of another one.
fn input<'a>(fixture: &'a Fixture, case: &'a Value) -> &'a Tensor {
    let of = case.get("of").unwrap_or(&case["name"]).as_str().unwrap();
    fixture.get(&format!("in.{of}.x"))
}

#[test]
fn parity_vjepa21_encoder() {
    for fixture in of_kind("12_encoder_2_1", "encoder_2_1") {
        let config = config_of(&fixture.json["config"]);
        assert_eq!(
            config.level_blocks().unwrap().to_vec(),
            fixture.parse::<Vec<usize>>("hierarchical_layers")
        );
        let weights = fixture.weights("weights");
        let encoder = Vjepa21Encoder::new(&config, builder(&weights)).unwrap();
        for case in fixture.json["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let what = format!("{} {name}", fixture.path.display());
            let expected = |suffix: &str| fixture.vec(&format!("out.{name}.{suffix}"));
            let x = input(&fixture, case);
            let check = |suffix: &str, out: &Tensor| {
                let shape = fixture.get(&format!("out.{name}.{suffix}")).dims();
                assert_eq!(out.dims(), shape, "{what}");
                close(&what, &values(out), &expected(suffix), BOUND);
            };
            match case["kind"].as_str().unwrap() {
                kind @ ("video" | "image") => {
                    let modality = encoder.modality(x.dim(2).unwrap());
                    assert_eq!(modality == Modality::Image, kind == "image", "{what}");
                    check("out", &encoder.forward(x).unwrap());
                }
                "masked" => {
                    let mask = fixture.get(&format!("in.{name}.mask"));
                    check("out", &encoder.forward_masked(x, mask).unwrap());
                }
                "levels" => check("concat", &encoder.forward_training(x, None).unwrap()),
                "out_layers" => {
                    let layers: Vec<usize> =
                        serde_json::from_value(case["out_layers"].clone()).unwrap();
                    let outs = encoder.forward_layers(x, &layers).unwrap();
                    let mut sorted = layers;
                    sorted.sort_unstable();
                    assert_eq!(outs.len(), sorted.len());
                    for (layer, out) in sorted.iter().zip(&outs) {
                        check(&format!("out{layer}"), out);
                    }
                }
                "tiny_embed" => {
                    let scale = case["scale"].as_f64().unwrap();
                    let mut small = weights.clone();
                    for (name, value) in &mut small {
                        if name.starts_with("patch_embed") || name.ends_with("_mod_embed") {
                            *value = (&*value * scale).unwrap();
                        }
                    }
                    let encoder = Vjepa21Encoder::new(&config, builder(&small)).unwrap();
                    check("out", &encoder.forward(x).unwrap());
                }
                other => panic!("{what}: unknown case kind {other}"),
            }
        }
    }
}

/// The parameters are listed as the official state dict has them.
#[test]
fn parity_vjepa21_encoder_names() {
    for fixture in of_kind("12_encoder_2_1", "encoder_2_1") {
        listed_as_official(
            layout::encoder(&config_of(&fixture.json["config"])),
            &fixture,
        );
    }
}

/// A level of the folder's configuration is a part of all of them.
#[test]
fn parity_vjepa21_encoder_levels() {
    for fixture in of_kind("12_encoder_2_1", "encoder_2_1") {
        let config = config_of(&fixture.json["config"]);
        let weights = fixture.weights("weights");
        let x = input(&fixture, &fixture.json["cases"][0]);
        let latents = |level| {
            let config = EncoderConfig {
                level,
                ..config.clone()
            };
            let encoder = Vjepa21Encoder::new(&config, builder(&weights)).unwrap();
            let out = encoder.forward_latents(x).unwrap();
            assert_eq!(out.dim(2).unwrap(), config.latent_dim());
            out
        };
        let all = latents(EncoderLevel::All);
        let d = config.embed_dim;
        for level in 0..4 {
            let part = all.narrow(2, level * d, d).unwrap();
            assert_eq!(values(&part), values(&latents(EncoderLevel::One(level))));
        }
        let last = all.narrow(2, 3 * d, d).unwrap();
        assert_eq!(values(&last), values(&latents(EncoderLevel::Last)));
    }
}

/// What the official code drops, crops or turns into NaN is refused with the reason.
#[test]
fn what_does_not_fit_is_refused() {
    let config = EncoderConfig {
        img_size: [56, 56],
        patch_size: 14,
        embed_dim: 12,
        num_heads: 1,
        ..checkpoint::preset("vjepa2_1_vit_base_384").unwrap().encoder
    };
    let weights = Parameters::zeros(layout::encoder(&config));
    let weights = weights.to_tensors().unwrap();
    let encoder = Vjepa21Encoder::new(&config, builder(&weights)).unwrap();
    let p = config.patch_size;
    let t = config.tubelet_size;
    let refusal = |frames: usize, height: usize, width: usize| {
        let x = Tensor::zeros((1, 3, frames, height, width), DType::F32, &Device::Cpu).unwrap();
        encoder.forward(&x).unwrap_err().to_string()
    };
    assert!(refusal(t + 1, 2 * p, 2 * p).contains("doesn't divide"));
    assert!(refusal(t, 2 * p + 1, 2 * p).contains("doesn't divide"));
    assert!(refusal(t, 2 * p, 3 * p - 1).contains("doesn't divide"));
    assert!(refusal(t, p, 4 * p).contains("at least two rows"));
    assert!(refusal(1, 4 * p, p).contains("at least two rows"));
    let clip = Tensor::zeros((1, 3, t, 2 * p, 2 * p), DType::F32, &Device::Cpu).unwrap();
    let beyond = Tensor::new(&[[0u32, 4]], &Device::Cpu).unwrap();
    let error = encoder.forward_masked(&clip, &beyond).unwrap_err();
    assert!(error.to_string().contains("no token 4"), "{error}");
    assert!(encoder.forward_layers(&clip, &[1]).is_err());
    let deep = EncoderConfig {
        depth: 32,
        ..config
    };
    let error = Vjepa21Encoder::new(&deep, builder(&weights)).unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(deep.level_blocks().unwrap_err().contains("not for 32"));
}
