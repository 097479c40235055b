//! Two levels: macro-actions are searched for that lead to the goal, and the latent that the first of
//! them is foreseen to end in is the first level's goal.
//!
//! One goal image is enough then: where to go meanwhile, when to close the fingers and when to open
//! them is what the second level plans. Whatever it plans is only ever a picture to the first level,
//! which looks again after every action; the plan is made anew when its first waypoint is due, or
//! when going there no longer brings it nearer.

use foresight_planner::{
    solve, Action, ActionSequences, Component, Constraints, Controller, CostModel, Decision,
    LevelTwoSearch, MacroRange, MacroSearch, Plan, Pursuit, RelativeBounds, SearchMethod,
    SeededNoise, SubGoal,
};
use foresight_predictor::goal_distance::{GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, LevelTwo};
use foresight_robot::Observation;

use super::encode::EncodedObservation;
use super::latent::LatentModel;
use crate::error::RunError;

/// Keeps the second level's noise apart from the first's.
const LEVEL_TWO: u64 = 0x6c65_7665_6c32;
/// A change of closedness below this is none: the fingers are held on the way to a waypoint that asks
/// for no more.
const GRIPPER_MOVES: f64 = 0.1;
/// A macro-action shorter than this that leaves the fingers alone stays where it is, m.
const STAYS_M: f64 = 0.005;

/// Where the first level is led.
#[derive(Debug)]
struct Waypoint {
    latent: Latent,
    weights: GoalWeights,
    /// The macro-actions that are still to come, this waypoint's first, from where the hand was.
    way: Vec<Action>,
    /// Steps before the second level plans anew.
    steps_left: u32,
    /// The distance to it at the last decision.
    distance: f32,
}

/// What is fixed when the pursuit of a goal begins.
#[derive(Debug)]
struct GoalPursuit {
    /// What differences to the goal count at the second level.
    weights: GoalWeights,
    waypoint: Option<Waypoint>,
}

/// A controller with an episode's goals that plans at two levels.
pub struct Hierarchy<'a> {
    first: LatentModel<'a>,
    second: &'a LevelTwo,
    method: Box<dyn SearchMethod>,
    search: LevelTwoSearch,
    /// Longest translation of an action of the first level along an axis, m.
    box_m: f64,
    seed: u64,
    pursuit: Pursuit,
    goal: Option<GoalPursuit>,
}

impl<'a> Hierarchy<'a> {
    /// Leads the search `method` through `first`, whose actions go `box_m` at most along an axis, by
    /// the `search` through `second`.
    pub fn new(
        first: LatentModel<'a>,
        second: &'a LevelTwo,
        method: Box<dyn SearchMethod>,
        search: LevelTwoSearch,
        box_m: f64,
        seed: u64,
    ) -> Self {
        Hierarchy {
            first,
            second,
            method,
            search,
            box_m,
            seed,
            pursuit: Pursuit::default(),
            goal: None,
        }
    }

    fn weighting(&self) -> GoalWeighting {
        GoalWeighting::residual(self.search.residual_power).unwrap_or(GoalWeighting::UNIFORM)
    }

    /// The macro-actions that lead to the goal from what is seen, with what finding them took.
    fn plan_macro_actions(
        &self,
        seen: &EncodedObservation,
        weights: &GoalWeights,
        constraints: &Constraints,
        step: u32,
    ) -> Result<Plan, RunError> {
        let goal = self.first.goal(self.pursuit.goal);
        let proposals = match self.search.proposals {
            true => {
                let proposal = self.second.proposal(&seen.latent, &seen.pose, goal)?;
                proposal.into_iter().collect::<Vec<_>>()
            }
            false => Vec::new(),
        };
        let range = self.second.config.macro_actions;
        let range = MacroRange {
            low: range.low.map(|v| v as f32),
            high: range.high.map(|v| v as f32),
        };
        let model = &self.second.model;
        let energy = model.energy(&seen.latent, &seen.pose, goal, model.budget());
        let energy = energy
            .with_extrinsics(self.first.extrinsics())
            .with_weights(weights);
        let mut search = MacroSearch::new(self.search, range, constraints, &proposals);
        let mut noise = SeededNoise::new(self.seed ^ LEVEL_TWO, u64::from(step));
        Ok(solve(&mut search, &energy, &mut noise)?)
    }

    /// Where the first of the macro-actions is foreseen to end.
    fn waypoint(
        &self,
        seen: &EncodedObservation,
        way: Vec<Action>,
        bounds: Option<&RelativeBounds>,
    ) -> Result<Waypoint, RunError> {
        let first = way.first().copied().unwrap_or_default();
        let mut sequences = ActionSequences::zeros(1, 1);
        let components = first.to_array().map(|v| v as f32);
        sequences.action_mut(0, 0).copy_from_slice(&components);
        let extrinsics = self.first.extrinsics();
        let model = &self.second.model;
        let mut rollout = model.rollout(&seen.latent, &seen.pose, extrinsics, &sequences, 0)?;
        let latent = Latent {
            values: rollout.latents.pop().unwrap_or_default(),
            tokens: seen.latent.tokens,
        };
        let farthest = first.translation_m.iter().fold(0.0f64, |m, t| m.max(t.abs()));
        let needed = (farthest / self.box_m - 1e-6).ceil().max(1.0) as u32;
        Ok(Waypoint {
            weights: self.first.weights_towards(
                seen,
                &latent,
                self.first.weighting(),
                bounds,
            )?,
            distance: f32::INFINITY,
            latent,
            way,
            steps_left: needed.min(self.search.replan_after),
        })
    }
}

/// Whether a macro-action asks the first level for nothing.
fn stays(action: &Action) -> bool {
    action.length_m() < STAYS_M && action.gripper.abs() < GRIPPER_MOVES
}

impl Controller<Observation> for Hierarchy<'_> {
    type Error = RunError;

    fn begin_goal(&mut self, goal: usize, subgoal: &SubGoal) {
        self.pursuit = Pursuit::of(goal, subgoal);
        self.goal = None;
    }

    fn decide(
        &mut self,
        observation: &Observation,
        constraints: &Constraints,
        step: u32,
    ) -> Result<Decision, RunError> {
        let seen = self.first.encode(observation)?;
        let distance = self.first.distance(&seen, self.pursuit.goal);
        if self.pursuit.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let seen = match &constraints.committed {
            Some(committed) => self.first.foresee(seen, committed)?,
            None => seen,
        };
        let mut goal = match self.goal.take() {
            Some(goal) => goal,
            None => GoalPursuit {
                weights: self.first.weights_towards(
                    &seen,
                    self.first.goal(self.pursuit.goal),
                    self.weighting(),
                    constraints.bounds.as_ref(),
                )?,
                waypoint: None,
            },
        };
        let due = goal.waypoint.as_ref().is_none_or(|waypoint| {
            let distance = seen.latent.distance(&waypoint.latent);
            waypoint.steps_left == 0 || distance >= waypoint.distance
        });
        let mut searched = None;
        if due {
            let plan = self.plan_macro_actions(&seen, &goal.weights, constraints, step)?;
            goal.waypoint = Some(self.waypoint(&seen, plan.actions.clone(), constraints.bounds.as_ref())?);
            searched = Some(plan);
        }
        let Some(waypoint) = &mut goal.waypoint else {
            return Err(RunError::Imagination("no waypoint was planned".into()));
        };
        waypoint.distance = seen.latent.distance(&waypoint.latent);
        waypoint.steps_left = waypoint.steps_left.saturating_sub(1);
        let next = waypoint.way.first().copied().unwrap_or_default();
        let mut plan = if stays(&next) {
            Plan::unsearched(Action::default(), constraints)
        } else {
            let mut within = *constraints;
            let gripper = Component::Gripper.index();
            if next.gripper.abs() < GRIPPER_MOVES {
                within.fixed[gripper] = within.fixed[gripper].or(Some(0.0));
            }
            let energy = self.first.energy_towards(&seen, &waypoint.latent);
            let energy = energy.with_weights(&waypoint.weights);
            let mut search = self.method.begin(&within);
            let mut noise = SeededNoise::new(self.seed, u64::from(step));
            solve(search.as_mut(), &energy, &mut noise)?
        };
        plan.macro_actions.clone_from(&waypoint.way);
        if let Some(searched) = searched {
            plan.evaluations += searched.evaluations;
            plan.cost += searched.cost * self.search.horizon as f64;
        }
        self.goal = Some(goal);
        Ok(Decision::Act { distance, plan })
    }

    fn distance(&mut self, observation: &Observation) -> Result<f32, RunError> {
        let seen = self.first.encode(observation)?;
        Ok(self.first.distance(&seen, self.pursuit.goal))
    }
}
