//! The official code's numbers.

use super::*;

/// Fixture 01: frames as the official code encodes them.
#[test]
fn golden_latents() {
    for fixture in of_kind("01_encoder", "encoder") {
        let config: EncoderConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let cases = fixture.json["cases"].as_array().unwrap();
        for case in cases.iter().filter(|c| c["kind"] == "frames_as_images") {
            let count = case["frames"].as_u64().unwrap() as usize;
            let clip = fixture.get("in.clip.x");
            let (_, _, _, h, w) = clip.dims5().unwrap();
            let frames = clip.narrow(2, 0, count).unwrap().transpose(1, 2).unwrap();
            let expected = fixture.vec(&format!("out.{}.out_norm", case["name"].as_str().unwrap()));
            for (backend, bound) in backends() {
                let Some(bound) = bound.golden else { continue };
                let encoder = backend.encoder(&config, &weights).unwrap();
                let got = encoder.encode(&values(&frames), [h, w]).unwrap();
                close(&name(backend.as_ref()), &got, &expected, bound);
            }
        }
    }
}

fn pose_of(values: &[f32]) -> Pose {
    Pose::from_array(std::array::from_fn(|i| f64::from(values[i])))
}

/// Fixture 02: one step is the official one-step output, layer-normalised.
#[test]
fn golden_steps() {
    for fixture in of_kind("02_ac_predictor", "predictor") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let size = config.tokens_per_frame() * config.embed_dim;
        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let [z, actions, states] =
            ["in.z", "in.actions", "in.states"].map(|name| fixture.vec(name));
        let mut expected = fixture.vec("out.out.T1");
        normalise_rows(&mut expected, config.embed_dim, LATENT_EPS as f32);
        for (backend, bound) in backends() {
            let Some(bound) = bound.golden else { continue };
            let predictor = backend.predictor(&config, &weights).unwrap();
            for sample in 0..batch {
                let first = sample * steps * 7;
                let mut sequences = ActionSequences::zeros(1, 1);
                let action = sequences.action_mut(0, 0);
                action.copy_from_slice(&actions[first..first + 7]);
                let start = RolloutStart {
                    latent: &z[sample * steps * size..][..size],
                    pose: pose_of(&states[first..]),
                    extrinsics: config.use_extrinsics.then(|| {
                        let all = fixture.vec("in.extrinsics");
                        std::array::from_fn(|i| all[sample * steps * 6 + i])
                    }),
                };
                let out = predictor.final_latents(&start, &sequences, Budget::default());
                let expected = &expected[sample * size..][..size];
                close(&name(backend.as_ref()), &out.unwrap()[0], expected, bound);
            }
        }
    }
}

/// Fixture 03: rollouts with cached keys and values are the official step-by-step ones.
#[test]
fn golden_rollouts() {
    for fixture in of_kind("03_rollout", "rollout") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let rep0 = values(&normalise_latent(fixture.get("in.rep0_raw")).unwrap());
        close("rep0", &rep0, &fixture.vec("out.rep0"), 5e-5);
        let small = normalise_latent(fixture.get("in.small_raw")).unwrap();
        let expected = fixture.vec("out.small_norm");
        close("small_norm", &values(&small), &expected, 5e-5);
        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let size = config.tokens_per_frame() * config.embed_dim;
        let (poses, actions) = (fixture.vec("in.pose0"), fixture.vec("in.actions"));
        for (backend, bound) in backends() {
            let Some(bound) = bound.golden else { continue };
            let predictor = backend.predictor(&config, &weights).unwrap();
            for sample in 0..batch {
                let mut sequences = ActionSequences::zeros(1, steps);
                for step in 0..steps {
                    let at = (sample * steps + step) * 7;
                    let action = sequences.action_mut(0, step);
                    action.copy_from_slice(&actions[at..at + 7]);
                }
                let start = RolloutStart {
                    latent: &rep0[sample * size..(sample + 1) * size],
                    pose: pose_of(&poses[sample * 7..]),
                    extrinsics: None,
                };
                let rollout = predictor.rollout(&start, &sequences, 0).unwrap();
                for step in 0..steps {
                    let what = format!("{}, step {}", name(backend.as_ref()), step + 1);
                    let expected = fixture.vec(&format!("out.rep{}", step + 1));
                    let expected = &expected[sample * size..(sample + 1) * size];
                    close(&what, &rollout.latents[step], expected, bound);
                    let pose = rollout.poses[step].to_array().map(|v| v as f32);
                    let expected = fixture.vec(&format!("out.pose{}", step + 1));
                    close(&what, &pose, &expected[sample * 7..(sample + 1) * 7], bound);
                }
            }
        }
    }
}
