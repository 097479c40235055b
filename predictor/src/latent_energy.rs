//! The energy that plans are made by: how far from the goal a latent rollout ends.

use foresight_planner::{ActionSequences, Energy, EnergyError, Gradients, Pose, RelativeBounds};

use crate::error::PredictorError;
use crate::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use crate::gradient;
use crate::rollout::{Budget, RolloutStart};
use crate::world_model::{Latent, WorldModel};

/// [`Energy`] by latent rollout.
#[derive(Debug, Clone)]
pub struct LatentEnergy<'a> {
    model: &'a WorldModel,
    context: &'a Latent,
    pose: Pose,
    extrinsics: Option<[f32; 6]>,
    distance: GoalDistance<'a>,
    budget: Budget,
}

impl WorldModel {
    /// The energy of action sequences from `context`, where the robot is at `pose`, towards
    /// `goal`: the L1 distance of the last predicted latent.
    pub fn energy<'a>(
        &'a self,
        context: &'a Latent,
        pose: &Pose,
        goal: &'a Latent,
        budget: Budget,
    ) -> LatentEnergy<'a> {
        LatentEnergy {
            model: self,
            context,
            pose: *pose,
            extrinsics: None,
            distance: GoalDistance::plain(&goal.values),
            budget,
        }
    }
}

impl<'a> LatentEnergy<'a> {
    /// With the camera pose `[6]` for predictors that take one: x, y, z in m in the robot's base
    /// frame, extrinsic xyz Euler angles in rad.
    pub fn with_extrinsics(mut self, extrinsics: Option<[f32; 6]>) -> Self {
        self.extrinsics = extrinsics;
        self
    }

    /// With the latent's entries weighed; uniform when never said.
    pub fn with_weights(mut self, weights: &'a GoalWeights) -> Self {
        self.distance = GoalDistance::weighed(self.distance.goal(), weights);
        self
    }

    /// The weights for a pursuit of the goal that begins here, where the hand may go as far as
    /// `bounds` says: measured by imagined moves unless `weighting` is uniform.
    ///
    /// # Errors
    /// When the device fails, or the predictor takes camera extrinsics and has none.
    pub fn weights(
        &self,
        weighting: GoalWeighting,
        bounds: Option<&RelativeBounds>,
    ) -> Result<GoalWeights, EnergyError> {
        let latents = [&self.context.values[..], self.distance.goal()];
        let space = &self.model.config().action_space;
        GoalWeights::by_moving(weighting, latents, space, bounds, |moves| {
            let start = self.start();
            self.model
                .predictor
                .final_latents(&start, moves, self.budget)
        })
        .map_err(energy_error)
    }

    /// Where rollouts start.
    fn start(&self) -> RolloutStart<'_> {
        RolloutStart {
            latent: &self.context.values,
            pose: self.pose,
            extrinsics: self.extrinsics,
        }
    }

    /// Energies after rolling through the first `depth` blocks.
    fn rolled(
        &self,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
    ) -> Result<Vec<f32>, EnergyError> {
        self.model
            .predictor
            .energies(&self.start(), sequences, depth, distance, self.budget)
            .map_err(energy_error)
    }
}

fn energy_error(error: PredictorError) -> EnergyError {
    EnergyError(Box::new(error))
}

impl Energy for LatentEnergy<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let depth = self.model.predictor_config().depth;
        self.rolled(sequences, depth, &self.distance)
    }

    fn energies_along(
        &self,
        sequences: &ActionSequences,
        weights: &[f32],
    ) -> Result<Vec<f32>, EnergyError> {
        let depth = self.model.predictor_config().depth;
        self.rolled(sequences, depth, &self.distance.along(weights))
    }

    /// The energies of a predictor cut off after this share of its blocks.
    fn previews(&self, sequences: &ActionSequences, share: f64) -> Result<Vec<f32>, EnergyError> {
        let depth = self.model.predictor_config().depth;
        let part = (depth as f64 * share).round() as usize;
        self.rolled(sequences, part.clamp(1, depth.max(1)), &self.distance)
    }

    fn gradients(&self, sequences: &ActionSequences) -> Result<Gradients, EnergyError> {
        let start = self.start();
        start
            .check(self.model.predictor_config())
            .map_err(energy_error)?;
        let Some(reference) = &self.model.reference else {
            return Err(energy_error(PredictorError::Model(
                "a compact model has no gradients: plan without planner.refine".into(),
            )));
        };
        gradient::gradients(reference, &start, sequences, &self.distance)
            .map_err(|e| energy_error(e.into()))
    }
}
