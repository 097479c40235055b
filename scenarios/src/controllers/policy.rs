//! A cloned policy: acts at once, without a cost model or a search. A baseline.

use foresight_planner::{Constraints, Controller, Decision, Plan, Pursuit, SubGoal};
use foresight_predictor::policy::Policy;
use foresight_predictor::{Latent, WorldModel};
use foresight_robot::Observation;

use super::encode::EncodedObservation;
use crate::error::{RunError, RunResult};

/// A policy with an episode's goals encoded.
#[derive(Debug)]
pub struct PolicyController<'a> {
    /// The model: its encoder tells how far goals are.
    model: &'a WorldModel,
    policy: &'a Policy,
    /// The latents of the goal images, and what the policy sees of them.
    goals: Vec<(Latent, Vec<f32>)>,
    pursuit: Pursuit,
}

impl<'a> PolicyController<'a> {
    /// Acts by `policy` towards `goals`, each with its picture as `model` sees it.
    pub fn new(model: &'a WorldModel, policy: &'a Policy, goals: Vec<(Latent, Vec<f32>)>) -> Self {
        PolicyController {
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
    ) -> RunResult<Decision> {
        let seen = EncodedObservation::new(self.model, observation)?;
        let (goal, aim) = &self.goals[self.pursuit.goal];
        let distance = seen.latent.distance(goal);
        if self.pursuit.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let pixels = self.model.pixels(&observation.frame.image)?;
        let committed = constraints.committed.as_ref();
        let action = self.policy.act(&pixels, &seen.pose, aim, committed)?;
        let plan = Plan::unsearched(action, constraints);
        Ok(Decision::Act { distance, plan })
    }

    fn distance(&mut self, observation: &Observation) -> RunResult<f32> {
        let seen = EncodedObservation::new(self.model, observation)?;
        Ok(seen.latent.distance(&self.goals[self.pursuit.goal].0))
    }
}
