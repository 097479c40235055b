//! Fixture 02: the action-conditioned predictor against the official code.

use crate::support::{builder, close, of_kind, values, Fixture};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::encoder::LATENT_EPS;
use foresight_predictor::kernels::elementwise::normalise_rows;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, PackedPredictor, Start};
use foresight_predictor::{layout, Precision, PredictorConfig};

const BOUND: f32 = 5e-5;

fn predict(fixture: &Fixture, predictor: &AcPredictor, steps: usize) -> Vec<f32> {
    let n = predictor.config().tokens_per_frame();
    let first = |name: &str, count: usize| fixture.get(name).narrow(1, 0, count).unwrap();
    let extrinsics = predictor
        .config()
        .use_extrinsics
        .then(|| first("in.extrinsics", steps));
    let out = predictor.forward(
        &first("in.z", steps * n),
        &first("in.actions", steps),
        &first("in.states", steps),
        extrinsics.as_ref(),
    );
    values(&out.unwrap())
}

#[test]
fn parity_predictor() {
    for fixture in of_kind("02_ac_predictor", "predictor") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let predictor = AcPredictor::new(&config, builder(&weights)).unwrap();
        let lengths: Vec<usize> = fixture.parse("T");
        for &steps in &lengths {
            let what = format!("{} T={steps}", fixture.path.display());
            let expected = fixture.vec(&format!("out.out.T{steps}"));
            close(
                &what,
                &predict(&fixture, &predictor, steps),
                &expected,
                BOUND,
            );
        }
        // Small inputs make the layer norm's eps visible.
        let scale = fixture.json["tiny_scale"].as_f64().unwrap();
        let steps = lengths.into_iter().max().unwrap();
        let mut small = weights.clone();
        for (name, tensor) in &weights {
            let encoders = [
                "predictor_embed.",
                "action_encoder.",
                "state_encoder.",
                "extrinsics_encoder.",
            ];
            if encoders.iter().any(|e| name.starts_with(e)) {
                small.insert(name.clone(), (tensor * scale).unwrap());
            }
        }
        let predictor = AcPredictor::new(&config, builder(&small)).unwrap();
        let what = format!("{} tiny", fixture.path.display());
        let expected = fixture.vec(&format!("out.out_tiny.T{steps}"));
        close(
            &what,
            &predict(&fixture, &predictor, steps),
            &expected,
            BOUND,
        );
    }
}

/// One step on the kernels is the official one-step output, layer-normalised.
#[test]
fn parity_predictor_kernels() {
    for fixture in of_kind("02_ac_predictor", "predictor") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let parameters = Parameters::from_tensors(layout::predictor(&config), &weights).unwrap();
        let packed = PackedPredictor::new(&config, &parameters, Precision::F32);
        let size = config.tokens_per_frame() * config.embed_dim;
        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let (z, actions, states) = (
            fixture.vec("in.z"),
            fixture.vec("in.actions"),
            fixture.vec("in.states"),
        );
        let mut expected = fixture.vec("out.out.T1");
        normalise_rows(&mut expected, config.embed_dim, LATENT_EPS as f32);
        for sample in 0..batch {
            let mut sequences = ActionSequences::zeros(1, 1);
            let first = sample * steps * 7;
            sequences
                .action_mut(0, 0)
                .copy_from_slice(&actions[first..first + 7]);
            let pose: [f64; 7] = std::array::from_fn(|i| f64::from(states[first + i]));
            let extrinsics = config.use_extrinsics.then(|| {
                let all = fixture.vec("in.extrinsics");
                std::array::from_fn(|i| all[sample * steps * 6 + i])
            });
            let start = Start {
                latent: &z[sample * steps * size..][..size],
                pose: Pose::from_array(pose),
                extrinsics,
            };
            let budget = Budget::default();
            let out = packed.roll(&start, &sequences, config.depth, budget, |l| l.to_vec());
            let what = format!("{} sample {sample}", fixture.path.display());
            close(&what, &out[0], &expected[sample * size..][..size], BOUND);
        }
    }
}
