//! Fixture 03: rollouts with cached keys and values against the official step-by-step ones.

use crate::support::{builder, close, of_kind, values};
use candle_core::{DType, Device, Tensor};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::encoder::normalise_latent;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, PackedPredictor, Start};
use foresight_predictor::{layout, Precision, PredictorConfig};

const BOUND: f32 = 5e-5;

fn pose_of(values: &[f32]) -> Pose {
    Pose::from_array(std::array::from_fn(|i| f64::from(values[i])))
}

#[test]
fn parity_rollout() {
    for fixture in of_kind("03_rollout", "rollout") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let parameters = Parameters::from_tensors(layout::predictor(&config), &weights).unwrap();
        let packed = PackedPredictor::new(&config, &parameters, Precision::F32);
        let raw = fixture.get("in.rep0_raw");
        let rep0 = values(&normalise_latent(raw).unwrap());
        close("rep0", &rep0, &fixture.vec("out.rep0"), BOUND);
        let small = normalise_latent(fixture.get("in.small_raw")).unwrap();
        close(
            "small_norm",
            &values(&small),
            &fixture.vec("out.small_norm"),
            BOUND,
        );

        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let size = config.tokens_per_frame() * config.embed_dim;
        let (poses, actions) = (fixture.vec("in.pose0"), fixture.vec("in.actions"));
        for sample in 0..batch {
            let mut sequences = ActionSequences::zeros(1, steps);
            for step in 0..steps {
                let at = (sample * steps + step) * 7;
                sequences
                    .action_mut(0, step)
                    .copy_from_slice(&actions[at..at + 7]);
            }
            let start = Start {
                latent: &rep0[sample * size..(sample + 1) * size],
                pose: pose_of(&poses[sample * 7..]),
                extrinsics: None,
            };
            let imagined = packed.imagine(&start, &sequences, 0);
            for step in 0..steps {
                let what = format!("sample {sample} step {}", step + 1);
                let expected = fixture.vec(&format!("out.rep{}", step + 1));
                let expected = &expected[sample * size..(sample + 1) * size];
                close(&what, &imagined.latents[step], expected, BOUND);
                let pose = imagined.poses[step].to_array().map(|v| v as f32);
                let expected = fixture.vec(&format!("out.pose{}", step + 1));
                close(&what, &pose, &expected[sample * 7..(sample + 1) * 7], BOUND);
            }
        }
    }
}

/// The cache changes nothing, and neither does how samples are cut into chunks.
#[test]
fn cached_rollouts_equal_recomputed_ones_whatever_the_chunks() {
    for fixture in of_kind("03_rollout", "rollout") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let parameters = Parameters::from_tensors(layout::predictor(&config), &weights).unwrap();
        let packed = PackedPredictor::new(&config, &parameters, Precision::F32);
        let reference = AcPredictor::new(&config, builder(&weights)).unwrap();
        let (n, d) = (config.tokens_per_frame(), config.embed_dim);
        let latent = fixture.vec("out.rep0")[..n * d].to_vec();
        let pose = pose_of(&fixture.vec("in.pose0"));
        let (samples, horizon) = (7, 3);
        let mut sequences = ActionSequences::zeros(samples, horizon);
        for sample in 0..samples {
            for step in 0..horizon {
                for (i, v) in sequences.action_mut(sample, step).iter_mut().enumerate() {
                    *v = ((sample * 31 + step * 7 + i) as f32).sin() * 0.05;
                }
            }
        }
        let start = Start {
            latent: &latent,
            pose,
            extrinsics: None,
        };
        let with_chunk = |max_chunk| {
            let budget = Budget {
                max_chunk,
                ..Budget::default()
            };
            packed.roll(&start, &sequences, config.depth, budget, |l| l.to_vec())
        };
        let cached = with_chunk(16);
        assert_eq!(cached, with_chunk(1), "chunks of one");
        assert_eq!(cached, with_chunk(3), "chunks of three");
        // The official way: the whole history through the predictor at every step.
        let device = Device::Cpu;
        for (sample, cached) in cached.iter().enumerate() {
            let mut poses = vec![pose];
            let mut reps = Tensor::from_slice(&latent, (1, n, d), &device).unwrap();
            for step in 0..horizon {
                let history = step + 1;
                let mut actions = Vec::new();
                for h in 0..history {
                    actions.extend_from_slice(sequences.action(sample, h));
                }
                let states: Vec<f32> = poses
                    .iter()
                    .flat_map(|p| p.to_array().map(|v| v as f32))
                    .collect();
                let shape = (1, history, 7);
                let out = reference
                    .forward(
                        &reps,
                        &Tensor::from_vec(actions, shape, &device).unwrap(),
                        &Tensor::from_vec(states, shape, &device).unwrap(),
                        None,
                    )
                    .unwrap();
                let next = normalise_latent(&out.narrow(1, step * n, n).unwrap()).unwrap();
                reps = Tensor::cat(&[&reps, &next], 1).unwrap();
                let action: [f64; 7] =
                    std::array::from_fn(|i| f64::from(sequences.action(sample, step)[i]));
                let last = poses[step].apply(&foresight_planner::Action::from_array(action));
                poses.push(last);
            }
            let last = reps.narrow(1, horizon * n, n).unwrap();
            assert_eq!(last.dtype(), DType::F32);
            close("cached against recomputed", cached, &values(&last), 2e-5);
        }
    }
}
