//! What decides on actions: a search through a cost model ([`crate::mpc`]), a policy, or your own.

use crate::schedule::SubGoal;
use crate::search::Plan;
use crate::space::Constraints;

/// Decides, observation by observation, how to reach the sub-goals of an episode.
///
/// [`crate::control_loop::run`] calls [`Controller::begin_goal`] whenever it turns to a sub-goal
/// and [`Controller::decide`] once for every action.
pub trait Controller<Observation> {
    /// Why nothing could be decided.
    type Error;

    /// Turns to sub-goal number `goal`: decisions and distances are about it from now on.
    fn begin_goal(&mut self, goal: usize, subgoal: &SubGoal);

    /// What to do next, given what is seen now. `step` is the number of actions executed before in
    /// this episode; the same number leads to the same decision.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn decide(
        &mut self,
        observation: &Observation,
        constraints: &Constraints,
        step: u32,
    ) -> Result<Decision, Self::Error>;

    /// How far an observation is from the sub-goal pursued, in the controller's own unit.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn distance(&mut self, observation: &Observation) -> Result<f32, Self::Error>;
}

/// What a [`Controller`] decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The observation is nearer to the goal than [`SubGoal::advance_below`]: go on to the next.
    Advance,
    /// Execute the plan's first action.
    Act {
        /// The observation's distance to the goal.
        distance: f32,
        /// The plan.
        plan: Plan,
    },
}

/// Which sub-goal a [`Controller`] pursues, and how near to it is near enough.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pursuit {
    /// Number of the sub-goal.
    pub goal: usize,
    /// As [`SubGoal::advance_below`].
    pub advance_below: Option<f32>,
}

impl Pursuit {
    /// Of `subgoal`, which is number `goal`.
    pub fn of(goal: usize, subgoal: &SubGoal) -> Self {
        Pursuit {
            goal,
            advance_below: subgoal.advance_below,
        }
    }

    /// Whether an observation this far from the goal is near enough to go on to the next.
    pub fn ends_at(&self, distance: f32) -> bool {
        self.advance_below.is_some_and(|limit| distance < limit)
    }
}
