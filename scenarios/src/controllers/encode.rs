//! What a model's encoder makes of camera frames.

use foresight_planner::Pose;
use foresight_predictor::{Latent, PredictorError, WorldModel};
use foresight_robot::Observation;

/// An observation as a world model sees it.
#[derive(Debug, Clone)]
pub struct EncodedObservation {
    /// The frame's latent.
    pub latent: Latent,
    /// The pose measured with it.
    pub pose: Pose,
}

impl EncodedObservation {
    /// Encodes an observation's frame.
    ///
    /// # Errors
    /// When the model fails.
    pub fn new(model: &WorldModel, observation: &Observation) -> Result<Self, PredictorError> {
        let latent = model.encode(&[&observation.frame.image])?.pop();
        let missing = || PredictorError::Model("the encoder returned no latent".into());
        Ok(EncodedObservation {
            latent: latent.ok_or_else(missing)?,
            pose: observation.pose,
        })
    }
}
