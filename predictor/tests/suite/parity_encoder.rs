//! Fixture 01: the V-JEPA 2 encoder on candle against the official code.

use crate::support::{builder, close, of_kind, values};
use candle_core::DType;
use foresight_predictor::encoder::{normalise_latent, Encoder};
use foresight_predictor::EncoderConfig;

const BOUND: f32 = 5e-5;

#[test]
fn parity_encoder() {
    for fixture in of_kind("01_encoder", "encoder") {
        let config: EncoderConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let encoder = Encoder::new(&config, builder(&weights)).unwrap();
        let clip = fixture.get("in.clip.x");
        let label = |case: &str| format!("{} {case}", fixture.path.display());
        for case in fixture.json["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let expected = |suffix: &str| fixture.vec(&format!("out.{name}.{suffix}"));
            match case["kind"].as_str().unwrap() {
                "clip" => {
                    let x = fixture.get(&format!("in.{name}.x"));
                    let out = encoder.forward(x).unwrap();
                    close(&label(name), &values(&out), &expected("out"), BOUND);
                }
                "frames_as_images" => {
                    let count = case["frames"].as_u64().unwrap() as usize;
                    let (b, c, _, h, w) = clip.dims5().unwrap();
                    let frames = clip
                        .narrow(2, 0, count)
                        .unwrap()
                        .transpose(1, 2)
                        .unwrap()
                        .reshape((b * count, c, h, w))
                        .unwrap();
                    let raw = encoder.forward_frames(&frames).unwrap();
                    close(&label(name), &values(&raw), &expected("out_raw"), BOUND);
                    let normed = values(&normalise_latent(&raw).unwrap());
                    close(&label(name), &normed, &expected("out_norm"), BOUND);
                }
                "masked" => {
                    let mask = fixture.get(&format!("in.{name}.mask"));
                    let kept = mask.to_dtype(DType::U32).unwrap();
                    let out = encoder.forward_masked(clip, &kept).unwrap();
                    close(&label(name), &values(&out), &expected("out"), BOUND);
                }
                "out_layers" => {
                    let layers: Vec<usize> =
                        serde_json::from_value(case["out_layers"].clone()).unwrap();
                    let outs = encoder.forward_layers(clip, &layers).unwrap();
                    assert_eq!(outs.len(), layers.len());
                    for (layer, out) in layers.iter().zip(outs) {
                        let what = label(&format!("{name} {layer}"));
                        close(
                            &what,
                            &values(&out),
                            &expected(&format!("out{layer}")),
                            BOUND,
                        );
                    }
                }
                "tiny_embed" => {
                    let scale = case["scale"].as_f64().unwrap();
                    let mut small = weights.clone();
                    for part in ["patch_embed.proj.weight", "patch_embed.proj.bias"] {
                        let scaled = (&small[part] * scale).unwrap();
                        small.insert(part.into(), scaled);
                    }
                    let encoder = Encoder::new(&config, builder(&small)).unwrap();
                    let out = encoder.forward(clip).unwrap();
                    close(&label(name), &values(&out), &expected("out"), BOUND);
                }
                other => panic!("{}: unknown case kind {other}", fixture.path.display()),
            }
        }
    }
}
