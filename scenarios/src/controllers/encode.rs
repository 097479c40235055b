//! What a model's encoder makes of camera frames.

use std::sync::{Arc, Mutex};

use foresight_planner::{Action, ActionSequences, Pose};
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

/// The last look and what the encoder made of it, so that whoever looks at the same frame again
/// finds it encoded. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastLook(Arc<Mutex<Option<(Observation, EncodedObservation)>>>);

impl LastLook {
    /// Encodes an observation's frame, once.
    ///
    /// # Errors
    /// When the model fails.
    pub fn encode(
        &self,
        model: &WorldModel,
        observation: &Observation,
    ) -> Result<EncodedObservation, PredictorError> {
        let mut last = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match &*last {
            Some((seen, encoded)) if seen == observation => Ok(encoded.clone()),
            _ => {
                let encoded = EncodedObservation::new(model, observation)?;
                *last = Some((observation.clone(), encoded.clone()));
                Ok(encoded)
            }
        }
    }
}

impl EncodedObservation {
    /// What the model expects to be seen after `action`; `extrinsics` is the camera's pose for
    /// predictors that take it.
    ///
    /// # Errors
    /// When the model fails.
    pub fn foresee(
        &self,
        model: &WorldModel,
        extrinsics: Option<[f32; 6]>,
        action: &Action,
    ) -> Result<Self, PredictorError> {
        let mut sequences = ActionSequences::zeros(1, 1);
        for (value, component) in sequences.action_mut(0, 0).iter_mut().zip(action.to_array()) {
            *value = component as f32;
        }
        let mut rollout = model.rollout(&self.latent, &self.pose, extrinsics, &sequences, 0)?;
        Ok(EncodedObservation {
            latent: Latent {
                values: rollout.latents.pop().unwrap_or_default(),
                tokens: self.latent.tokens,
            },
            pose: self.pose.apply(action),
        })
    }

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
