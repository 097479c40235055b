//! Predictors that take samples through the horizon step by step, and what is asked of every one of them.

use std::fmt;

use foresight_planner::ActionSequences;

use super::LatentPredictor;
use crate::config::PredictorConfig;
use crate::error::Result;
use crate::goal_distance::GoalDistance;
use crate::rollout::{next_pose, Budget, Rollout, RolloutStart};

/// A predictor packed for this machine's kernels.
pub(crate) trait StepwisePredictor: fmt::Debug + Send + Sync {
    /// The architecture.
    fn architecture(&self) -> &PredictorConfig;

    /// How far `latent` `[N, D]` is from a goal, as these models are trained to measure.
    fn apart(distance: &GoalDistance, latent: &[f32]) -> f32;

    /// Rolls every sequence from `start` through the first `depth` blocks and hands each sample's
    /// latent of every step, counted from 0, to `see` with what it keeps of the sample; returns
    /// that in sample order.
    fn roll_out<R: Send + Default>(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        budget: Budget,
        see: impl Fn(&mut R, usize, &[f32]) + Sync,
    ) -> Vec<R>;
}

impl<P: StepwisePredictor> LatentPredictor for P {
    fn config(&self) -> &PredictorConfig {
        self.architecture()
    }

    fn rollout(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Rollout> {
        start.check(self.architecture())?;
        let one = sequences.select(&[sample]);
        let keep = |latents: &mut Vec<Vec<f32>>, _: usize, latent: &[f32]| {
            latents.push(latent.to_vec());
        };
        let kept = self.roll_out(start, &one, usize::MAX, Budget::default(), keep);
        let mut pose = start.pose;
        let poses = (0..one.horizon()).map(|step| {
            pose = next_pose(&pose, one.action(0, step));
            pose
        });
        Ok(Rollout {
            poses: poses.collect(),
            latents: kept.into_iter().flatten().collect(),
        })
    }

    fn final_latents(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        budget: Budget,
    ) -> Result<Vec<Vec<f32>>> {
        start.check(self.architecture())?;
        let last = sequences.horizon().wrapping_sub(1);
        let keep = |kept: &mut Vec<f32>, step: usize, latent: &[f32]| {
            if step == last {
                *kept = latent.to_vec();
            }
        };
        Ok(self.roll_out(start, sequences, usize::MAX, budget, keep))
    }

    fn energies(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
        budget: Budget,
    ) -> Result<Vec<f32>> {
        start.check(self.architecture())?;
        let horizon = sequences.horizon();
        let add = |energy: &mut f32, step: usize, latent: &[f32]| {
            let weight = distance.step_weight(step, horizon);
            if weight > 0.0 {
                *energy += weight * P::apart(distance, latent);
            }
        };
        Ok(self.roll_out(start, sequences, depth, budget, add))
    }
}
