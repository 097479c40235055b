//! Two levels: macro-actions are searched for that lead to the goal, and the latent that the first of
//! them is foreseen to end in is the first level's goal.
//!
//! One goal image is enough then: where to go meanwhile, when to close the fingers and when to open
//! them is what the second level plans. Where to go is only ever a picture to the first level, which
//! looks again after every action; what the fingers do is told, since they are little of a picture.
//! The plan is made anew when its first waypoint is due, or when going there no longer brings it
//! nearer.

use foresight_planner::{
    solve, Action, Component, Constraints, Controller, CostModel, Decision, FirstLevel,
    LevelTwoSearch, MacroRange, MacroSearch, Plan, PlannerConfig, Pose, Pursuit, RelativeBounds,
    SearchMethod, SeededNoise, SubGoal, WaypointSource,
};
use foresight_predictor::goal_distance::{GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, LevelTwo};
use foresight_robot::Observation;

use super::back_out::Trail;
use super::encode::EncodedObservation;
use super::latent::LatentModel;
use crate::anchors::{Anchors, GoalIndex};
use crate::error::{RunError, RunResult};

/// Keeps the second level's noise apart from the first's.
const LEVEL_TWO: u64 = 0x6c65_7665_6c32;
/// A change of closedness below this is none: the fingers are held on the way to a waypoint that asks
/// for no more.
const GRIPPER_MOVES: f64 = 0.15;
/// A waypoint is reached within this, m.
const REACHED_M: f64 = 0.015;
/// A macro-action shorter than this that leaves the fingers alone stays where it is, m.
const STAYS_M: f64 = 0.005;

/// Where the first level is led.
#[derive(Debug)]
struct Waypoint {
    latent: Latent,
    weights: GoalWeights,
    /// The macro-actions that are still to come, this waypoint's first, from where the hand was.
    way: Vec<Action>,
    /// The pose there.
    pose: Pose,
    /// Steps before the second level plans anew.
    steps_left: u32,
    /// The distance to it at the last decision.
    distance: f32,
}

impl Waypoint {
    /// What of its way is left for a hand at `pose`.
    fn rest(&self, pose: &Pose) -> Vec<Action> {
        let mut missing = pose.action_to(&self.pose);
        missing.rotation_rad = [0.0; 3];
        let reached = missing.length_m() < REACHED_M && missing.gripper.abs() < GRIPPER_MOVES;
        let missing = (!reached).then_some(missing);
        missing
            .into_iter()
            .chain(self.way.iter().skip(1).copied())
            .collect()
    }
}

/// What is fixed when the pursuit of a goal begins.
#[derive(Debug)]
struct GoalPursuit {
    /// What differences to the goal count at the second level.
    weights: GoalWeights,
    /// How far recorded frames are from the goal; `None` without any.
    recorded: Option<GoalIndex>,
    waypoint: Option<Waypoint>,
    trail: Trail,
}

/// A frame as the encoder sees it, for those who look with eyes of their own.
#[derive(Debug)]
pub struct Look {
    /// `[3, H, W]`.
    pub pixels: Vec<f32>,
    /// The pose measured with it.
    pub pose: Pose,
}

/// What leads the first level.
#[derive(Debug, Clone, Copy)]
pub struct SecondLevel<'a> {
    /// A predictor of macro-actions; needed unless waypoints are recorded frames.
    pub model: Option<&'a LevelTwo>,
    /// Recorded frames; needed where waypoints are such frames, proposals elsewhere.
    pub anchors: Option<&'a Anchors>,
}

/// A controller with an episode's goals that plans at two levels.
pub struct Hierarchy<'a> {
    first: LatentModel<'a>,
    second: SecondLevel<'a>,
    /// The goal images as the encoder sees them, `[3, H, W]` each.
    pictures: Vec<Vec<f32>>,
    method: Box<dyn SearchMethod>,
    search: LevelTwoSearch,
    /// Longest translation of an action of the first level along an axis, m.
    box_m: f64,
    /// The least change of closedness that the first level takes for one.
    deadband: f64,
    seed: u64,
    pursuit: Pursuit,
    goal: Option<GoalPursuit>,
}

impl<'a> Hierarchy<'a> {
    /// Leads the search through `first` that `planner` describes by its second level's, through
    /// `second`.
    pub fn new(
        first: LatentModel<'a>,
        second: SecondLevel<'a>,
        planner: &PlannerConfig,
        seed: u64,
    ) -> Self {
        Hierarchy {
            first,
            second,
            pictures: Vec::new(),
            method: planner.method(),
            search: planner.level_two,
            box_m: planner.box_m,
            deadband: planner.gripper_deadband,
            seed,
            pursuit: Pursuit::default(),
            goal: None,
        }
    }

    /// With the goals' pictures, for what proposes macro-actions.
    pub fn with_pictures(self, pictures: Vec<Vec<f32>>) -> Self {
        Hierarchy { pictures, ..self }
    }

    fn weighting(&self) -> GoalWeighting {
        GoalWeighting::residual(self.search.residual_power).unwrap_or(GoalWeighting::UNIFORM)
    }

    /// Whether a macro-action is carried out as it is.
    fn follows(&self) -> bool {
        let foreseen = self.search.waypoints == WaypointSource::Foreseen;
        foreseen && self.search.first_level == FirstLevel::Follows
    }

    /// What to do next towards the goal pursued from what is seen, and the macro-actions that lead
    /// there; `look` is what was seen before what the constraints say is committed.
    ///
    /// # Errors
    /// When a model fails, or what the second level needs was not loaded.
    pub fn plan(
        &mut self,
        seen: &EncodedObservation,
        look: &Look,
        constraints: &Constraints,
        step: u32,
    ) -> RunResult<Plan> {
        let mut goal = match self.goal.take() {
            Some(goal) => goal,
            None => {
                // What a sentence doesn't tell is refused here.
                let bounds = constraints.bounds.as_ref();
                self.first.begin_goal(self.pursuit.goal, seen, bounds)?;
                let goal = self.first.goal(self.pursuit.goal, seen);
                let weighting = self.weighting();
                let weights = self.first.weights_towards(seen, goal, weighting, bounds)?;
                let asked =
                    self.search.anchors > 0 || self.search.waypoints == WaypointSource::Recorded;
                let anchors = self.second.anchors.filter(|_| asked);
                GoalPursuit {
                    recorded: anchors.map(|anchors| anchors.towards(goal, &weights)),
                    weights,
                    waypoint: None,
                    trail: Trail::default(),
                }
            }
        };
        // A hand under way is not where it was sent because it isn't there yet.
        let followed = self.follows() && constraints.committed.is_none();
        let back = followed.then(|| goal.trail.back_out(&look.pose)).flatten();
        if let Some(back) = back {
            let back = self.within_a_step(back);
            goal.waypoint = None;
            self.goal = Some(goal);
            let mut plan = Plan::unsearched(back, constraints);
            plan.macro_actions = vec![back];
            return Ok(plan);
        }
        let due = goal.waypoint.as_ref().is_none_or(|waypoint| {
            let distance = seen.latent.distance(&waypoint.latent);
            waypoint.steps_left == 0 || distance >= waypoint.distance
        });
        let mut searched = None;
        if due {
            let (waypoint, plan) = self.plan_waypoint((seen, look), &goal, constraints, step)?;
            goal.waypoint = Some(waypoint);
            searched = plan;
        }
        let Some(waypoint) = &mut goal.waypoint else {
            return Err(RunError::Imagination("no waypoint was planned".into()));
        };
        waypoint.distance = seen.latent.distance(&waypoint.latent);
        waypoint.steps_left = waypoint.steps_left.saturating_sub(1);
        let next = waypoint.way.first().copied().unwrap_or_default();
        let mut plan = if stays(&next) {
            Plan::unsearched(Action::default(), constraints)
        } else if self.follows() {
            let mut action = self.within_a_step(seen.pose.action_to(&waypoint.pose));
            action.rotation_rad = [0.0; 3];
            action.gripper = f64::from(gripper_change(&next, self.deadband));
            Plan::unsearched(action, constraints)
        } else {
            let mut within = *constraints;
            let gripper = Component::Gripper.index();
            let change = gripper_change(&next, self.deadband);
            within.fixed[gripper] = within.fixed[gripper].or(Some(change));
            let energy = self.first.energy_towards(seen, &waypoint.latent);
            let energy = energy.with_weights(&waypoint.weights);
            let mut search = self.method.begin(&within);
            let mut noise = SeededNoise::new(self.seed, u64::from(step));
            solve(search.as_mut(), &energy, &mut noise)?
        };
        goal.trail.sent(&plan.first());
        plan.macro_actions.clone_from(&waypoint.way);
        if let Some(searched) = searched {
            plan.evaluations += searched.evaluations;
            plan.cost += searched.cost * self.search.horizon as f64;
        }
        self.goal = Some(goal);
        Ok(plan)
    }

    /// As much of an action as the first level takes at a time.
    fn within_a_step(&self, mut action: Action) -> Action {
        let bound = self.box_m;
        action.translation_m = action.translation_m.map(|t| t.clamp(-bound, bound));
        action
    }

    /// Where to go next on the way to the goal, and what finding it took.
    fn plan_waypoint(
        &self,
        (seen, look): (&EncodedObservation, &Look),
        goal: &GoalPursuit,
        constraints: &Constraints,
        step: u32,
    ) -> RunResult<(Waypoint, Option<Plan>)> {
        let weights = &goal.weights;
        let bounds = constraints.bounds.as_ref();
        let recorded = self.second.anchors.zip(goal.recorded.as_ref());
        match (self.search.waypoints, self.second.model, recorded) {
            (WaypointSource::Foreseen, Some(second), recorded) => {
                let mut proposals = Vec::new();
                if let (Some(policy), Some(aim)) = (second.proposals(), self.aim()) {
                    let committed = constraints.committed.as_ref();
                    proposals.push(policy.way(&look.pixels, &look.pose, aim, committed)?);
                }
                if let (Some((anchors, to_goal)), count @ 1..) = (recorded, self.search.anchors) {
                    let (latent, pose) = (&seen.latent, &seen.pose);
                    let segments = anchors.segments(latent, pose, to_goal, weights, count);
                    proposals.extend(segments.iter().map(|s| anchors.way(s, pose)));
                }
                // What was planned before is what is left where nobody else proposes anything.
                if proposals.is_empty() {
                    proposals.extend(goal.waypoint.as_ref().map(|w| w.rest(&seen.pose)));
                }
                let plan =
                    self.plan_macro_actions(second, &proposals, seen, weights, constraints, step)?;
                let latent = self.foresee(second, seen, &plan.first())?;
                let waypoint = self.waypoint(seen, latent, plan.actions.clone(), bounds)?;
                Ok((waypoint, Some(plan)))
            }
            (WaypointSource::Recorded, _, Some((anchors, to_goal))) => {
                let count = self.search.anchors.max(1);
                let (latent, pose) = (&seen.latent, &seen.pose);
                let nearest = anchors.segments(latent, pose, to_goal, weights, count);
                let (latent, way) = anchors.waypoint(&nearest, &seen.pose).ok_or_else(|| {
                    RunError::Input("no recorded episode is longer than one frame".into())
                })?;
                Ok((self.waypoint(seen, latent, way, bounds)?, None))
            }
            (WaypointSource::Foreseen, None, _) => Err(RunError::Input(
                "planner.levels is 2, and the model's second level was not loaded".into(),
            )),
            (WaypointSource::Recorded, _, None) => Err(RunError::Input(
                "planner.level_two.waypoints is \"recorded\": give recordings with --anchors"
                    .into(),
            )),
        }
    }

    /// The picture of the goal pursued, where proposals are asked for and it isn't a sentence.
    fn aim(&self) -> Option<&Vec<f32>> {
        let goal = self.pursuit.goal;
        let asked = self.search.proposals && !self.first.says(goal);
        self.pictures.get(goal).filter(|_| asked)
    }

    /// The macro-actions that lead to the goal from what is seen, with what finding them took.
    fn plan_macro_actions(
        &self,
        second: &LevelTwo,
        proposals: &[Vec<Action>],
        seen: &EncodedObservation,
        weights: &GoalWeights,
        constraints: &Constraints,
        step: u32,
    ) -> RunResult<Plan> {
        let range = second.config.macro_actions;
        let range = MacroRange {
            low: range.low.map(|v| v as f32),
            high: range.high.map(|v| v as f32),
        };
        let (model, goal) = (&second.model, self.first.goal(self.pursuit.goal, seen));
        let energy = model.energy(&seen.latent, &seen.pose, goal, model.budget());
        let energy = energy
            .with_extrinsics(self.first.extrinsics())
            .with_weights(weights);
        let mut search = MacroSearch::new(self.search, range, constraints, proposals);
        let mut noise = SeededNoise::new(self.seed ^ LEVEL_TWO, u64::from(step));
        Ok(solve(&mut search, &energy, &mut noise)?)
    }

    /// The latent that a macro-action is foreseen to end in.
    fn foresee(
        &self,
        second: &LevelTwo,
        seen: &EncodedObservation,
        action: &Action,
    ) -> RunResult<Latent> {
        let after = seen
            .clone()
            .foresee(&second.model, self.first.extrinsics(), action)?;
        Ok(after.latent)
    }

    fn waypoint(
        &self,
        seen: &EncodedObservation,
        latent: Latent,
        way: Vec<Action>,
        bounds: Option<&RelativeBounds>,
    ) -> RunResult<Waypoint> {
        let first = way.first().copied().unwrap_or_default();
        let along_axes = first.translation_m.iter();
        let farthest = along_axes.fold(0.0f64, |most, t| most.max(t.abs()));
        let needed = (farthest / self.box_m - 1e-6).ceil().max(1.0) as u32;
        let weighting = self.first.weighting();
        Ok(Waypoint {
            weights: self
                .first
                .weights_towards(seen, &latent, weighting, bounds)?,
            distance: f32::INFINITY,
            latent,
            pose: seen.pose.apply(&first),
            way,
            steps_left: needed.min(self.search.replan_after),
        })
    }
}

/// The change of closedness that the first level is told, so that it carries out what the second one
/// decided: to the picture alone, fingers are little. What is no more than trembling is none; what is,
/// is no less than what the first level takes for a change.
fn gripper_change(action: &Action, deadband: f64) -> f32 {
    match action.gripper {
        change if change.abs() < GRIPPER_MOVES => 0.0,
        change => (change.signum() * change.abs().max(1.01 * deadband)) as f32,
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
    ) -> RunResult<Decision> {
        let seen = self.first.encode(observation)?;
        let distance = self.first.distance(&seen, self.pursuit.goal);
        if self.pursuit.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let look = Look {
            pixels: self.first.pixels(observation)?,
            pose: observation.pose,
        };
        let seen = match &constraints.committed {
            Some(committed) => self.first.foresee(seen, committed)?,
            None => seen,
        };
        let plan = self.plan(&seen, &look, constraints, step)?;
        Ok(Decision::Act { distance, plan })
    }

    fn distance(&mut self, observation: &Observation) -> RunResult<f32> {
        let seen = self.first.encode(observation)?;
        Ok(self.first.distance(&seen, self.pursuit.goal))
    }
}
