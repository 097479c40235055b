//! A cloned policy: acts at once, without a cost model or a search. A baseline.

use foresight_planner::{Constraints, Controller, Decision, Plan, Pursuit, SubGoal};
use foresight_predictor::policy::Policy;
use foresight_predictor::{Latent, WorldModel};
use foresight_robot::Observation;

use super::encode::EncodedObservation;
use crate::error::RunError;

/// A policy with an episode's goals encoded.
#[derive(Debug)]
pub struct PolicyController<'a> {
    /// The model, for its encoder; in motion for its predictor too.
    model: &'a WorldModel,
    policy: &'a Policy,
    /// The latents of the goal images.
    goals: Vec<Latent>,
    /// Where the camera stands, for predictors that take it.
    extrinsics: Option<[f32; 6]>,
    pursuit: Pursuit,
}

impl<'a> PolicyController<'a> {
    /// Looks through `model`'s encoder, acts towards `goals` by `policy`; `extrinsics` as in
    /// [`LatentModel::new`](super::LatentModel::new).
    pub fn new(
        model: &'a WorldModel,
        policy: &'a Policy,
        goals: Vec<Latent>,
        extrinsics: Option<[f64; 6]>,
    ) -> Self {
        PolicyController {
            extrinsics: extrinsics.map(|e| e.map(|v| v as f32)),
            model,
            policy,
            goals,
            pursuit: Pursuit::default(),
        }
    }
}

impl Controller<Observation> for PolicyController<'_> {
    type Error = RunError;

    fn begin_goal(&mut self, goal: usize, subgoal: &SubGoal) {
        self.pursuit = Pursuit::of(goal, subgoal);
    }

    fn decide(
        &mut self,
        observation: &Observation,
        constraints: &Constraints,
        _step: u32,
    ) -> Result<Decision, RunError> {
        let seen = EncodedObservation::new(self.model, observation)?;
        let goal = &self.goals[self.pursuit.goal];
        let distance = seen.latent.distance(goal);
        if self.pursuit.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let seen = match &constraints.committed {
            Some(committed) => seen.foresee(self.model, self.extrinsics, committed)?,
            None => seen,
        };
        let action = self.policy.act(&seen.latent, &seen.pose, goal)?;
        let plan = Plan::unsearched(action, constraints);
        Ok(Decision::Act { distance, plan })
    }

    fn distance(&mut self, observation: &Observation) -> Result<f32, RunError> {
        let seen = EncodedObservation::new(self.model, observation)?;
        Ok(seen.latent.distance(&self.goals[self.pursuit.goal]))
    }
}
