//! Model-predictive control: a search through a cost model for every decision.

use crate::bounds::RelativeBounds;
use crate::controller::{Controller, Decision, Pursuit};
use crate::energy::Energy;
use crate::noise::SeededNoise;
use crate::pose::Action;
use crate::schedule::SubGoal;
use crate::search::{solve, PlanError, SearchMethod};
use crate::space::Constraints;

/// Knows the goals of an episode and what action sequences towards them cost.
///
/// Each model has its own idea of an observation and of a goal, so that nothing can be asked about
/// another model's.
pub trait CostModel {
    /// What the plant observes.
    type Observation;
    /// An observation as the model sees it.
    type Encoded;
    /// A goal, and what is measured once where its pursuit begins.
    type GoalContext;
    /// Why something could not be encoded or searched.
    type Error: From<PlanError>;

    /// Encodes an observation.
    ///
    /// # Errors
    /// When the model fails.
    fn encode(&self, observation: &Self::Observation) -> Result<Self::Encoded, Self::Error>;

    /// An observation as it is expected to be once the hand has also done `committed`, the rest of an
    /// action that was under way when it was made.
    ///
    /// # Errors
    /// When the model fails, or can't foresee that.
    fn foresee(
        &self,
        encoded: Self::Encoded,
        committed: &Action,
    ) -> Result<Self::Encoded, Self::Error>;

    /// How far an encoded observation is from goal number `goal`.
    fn distance(&self, encoded: &Self::Encoded, goal: usize) -> f32;

    /// Begins the pursuit of goal number `goal` where `encoded` was seen; the hand may go as far
    /// as `bounds` says, anywhere when absent.
    ///
    /// # Errors
    /// When the model fails.
    fn begin_goal(
        &self,
        goal: usize,
        encoded: &Self::Encoded,
        bounds: Option<&RelativeBounds>,
    ) -> Result<Self::GoalContext, Self::Error>;

    /// The energy of action sequences that start where `encoded` was seen.
    fn energy<'a>(
        &'a self,
        encoded: &'a Self::Encoded,
        goal: &'a Self::GoalContext,
    ) -> impl Energy + 'a;
}

/// A [`Controller`] that searches for the action sequence of least cost and executes its first
/// action. Decision number `n` draws its noise from `(seed, n)`.
pub struct Mpc<M: CostModel> {
    model: M,
    method: Box<dyn SearchMethod>,
    seed: u64,
    pursuit: Pursuit,
    /// What the model measured at the pursuit's first decision.
    goal: Option<M::GoalContext>,
    /// What the last plan would have done next; nothing at a new goal.
    ahead: Vec<Action>,
}

impl<M: CostModel> Mpc<M> {
    /// Searches `model` by `method`.
    pub fn new(model: M, method: impl SearchMethod + 'static, seed: u64) -> Self {
        Mpc {
            model,
            method: Box::new(method),
            seed,
            pursuit: Pursuit::default(),
            goal: None,
            ahead: Vec::new(),
        }
    }
}

impl<M: CostModel> Controller<M::Observation> for Mpc<M> {
    type Error = M::Error;

    fn begin_goal(&mut self, goal: usize, subgoal: &SubGoal) {
        self.pursuit = Pursuit::of(goal, subgoal);
        self.goal = None;
        self.ahead.clear();
    }

    fn decide(
        &mut self,
        observation: &M::Observation,
        constraints: &Constraints,
        step: u32,
    ) -> Result<Decision, M::Error> {
        let model = &self.model;
        let encoded = model.encode(observation)?;
        let distance = model.distance(&encoded, self.pursuit.goal);
        if self.pursuit.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let encoded = match &constraints.committed {
            Some(committed) => model.foresee(encoded, committed)?,
            None => encoded,
        };
        let goal = match &mut self.goal {
            Some(goal) => goal,
            none => {
                let bounds = constraints.bounds.as_ref();
                none.insert(model.begin_goal(self.pursuit.goal, &encoded, bounds)?)
            }
        };
        let energy = model.energy(&encoded, goal);
        let mut search = self.method.resume(constraints, &self.ahead);
        let mut noise = SeededNoise::new(self.seed, u64::from(step));
        let plan = solve(search.as_mut(), &energy, &mut noise)?;
        self.ahead = plan.after_first();
        Ok(Decision::Act { distance, plan })
    }

    fn distance(&mut self, observation: &M::Observation) -> Result<f32, M::Error> {
        let encoded = self.model.encode(observation)?;
        Ok(self.model.distance(&encoded, self.pursuit.goal))
    }
}
