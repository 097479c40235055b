//! How fast a place rolls out.

use std::time::{Duration, Instant};

use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::backend::LatentPredictor;
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{Budget, PredictorError};

/// Candidates of a measurement.
const SAMPLES: usize = 32;
/// A single candidate that takes longer than this is measurement enough.
const LONG: Duration = Duration::from_millis(200);

/// Candidates of one step a second.
///
/// # Errors
/// When the predictor fails.
pub(crate) fn measure(
    predictor: &dyn LatentPredictor,
    budget: Budget,
) -> Result<f64, PredictorError> {
    let config = predictor.config();
    let latent = vec![0.1; config.tokens_per_frame() * config.embed_dim];
    let start = RolloutStart {
        latent: &latent,
        pose: Pose::from_array([0.5, 0.0, 0.3, std::f64::consts::PI, 0.0, 0.0, 0.0]),
        extrinsics: config.use_extrinsics.then_some([0.0; 6]),
    };
    let distance = GoalDistance::plain(&latent);
    let timed = |samples: usize| -> Result<Duration, PredictorError> {
        let sequences = ActionSequences::zeros(samples, 1);
        let began = Instant::now();
        predictor.energies(&start, &sequences, config.depth, &distance, budget)?;
        Ok(began.elapsed())
    };
    let one = timed(1)?;
    let (samples, took) = match one > LONG {
        true => (1, one),
        false => (SAMPLES, timed(SAMPLES)?),
    };
    Ok(samples as f64 / took.as_secs_f64().max(1e-6))
}
