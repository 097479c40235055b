//! Fixture 02: the action-conditioned predictor against the official code.

use crate::support::{builder, close, of_kind, values, Fixture};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::PredictorConfig;

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
