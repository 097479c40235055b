//! The control loop: observe, decide, execute one action, observe again.
//!
//! A plant that can look while its hand moves ([`Plant::look_ahead`]) is planned for in motion: each
//! decision is about where the hand will be at the end of the action under way, and takes over there
//! without a stop. Where the fingers may move, the hand rests before and after all the same: what
//! they close on has to be seen, and what they did too.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::bounds::WorkspaceBounds;
use crate::controller::{Controller, Decision};
use crate::pose::{Action, Pose};
use crate::schedule::SubGoal;
use crate::search::Plan;
use crate::space::Constraints;

/// What the loop drives: an arm with a camera.
pub trait Plant {
    /// A frame with what the arm measured then.
    type Observation;
    /// What became of one action.
    type Execution;
    /// Why observing or moving failed.
    type Error;

    /// Observes, after the arm has settled.
    ///
    /// # Errors
    /// When nothing can be seen.
    fn observe(&mut self) -> Result<Self::Observation, Self::Error>;

    /// The measured pose in an observation.
    fn pose(&self, observation: &Self::Observation) -> Pose;

    /// Where the hand may go; plans lead nowhere else. `None` for a plant without borders.
    fn workspace_bounds(&self) -> Option<WorkspaceBounds> {
        None
    }

    /// Called before a decision: the arm has to be kept alive, and on its way or still, until it is
    /// made.
    fn keep_alive(&mut self);

    /// Executes one action.
    ///
    /// # Errors
    /// When the arm can't be driven.
    fn execute(&mut self, action: &Action) -> Result<Self::Execution, Self::Error>;

    /// Observes while the last action is still under way, as late as a decision allows that is to
    /// take over without a stop. `None` when nothing is under way any more, or nothing ever is: then
    /// [`Plant::observe`] waits for rest.
    ///
    /// # Errors
    /// When nothing can be seen.
    fn look_ahead(&mut self) -> Result<Option<Ahead<Self::Observation>>, Self::Error> {
        Ok(None)
    }

    /// Executes one action from the end of the one under way, without a stop between them where
    /// there is one. `None` when the decision came too late: it is dropped, and the hand comes to
    /// rest at the end of the action under way.
    ///
    /// # Errors
    /// When the arm can't be driven.
    fn follow_on(
        &mut self,
        action: &Action,
        _until: Until,
    ) -> Result<Option<Self::Execution>, Self::Error> {
        self.execute(action).map(Some)
    }
}

/// What is seen while an action is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead<O> {
    /// The observation.
    pub observation: O,
    /// What the hand will still do after it, whatever is decided.
    pub committed: Action,
}

/// When the execution of an action is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When the hand rests at its end.
    Rest,
    /// When it is time to look for the next decision.
    NextLook,
}

/// One executed step.
#[derive(Debug)]
pub struct Step<'a, O, E> {
    /// Steps executed before this one in the episode.
    pub number: u32,
    /// Index of the sub-goal.
    pub goal: usize,
    /// Steps executed before this one towards the sub-goal.
    pub goal_step: u32,
    /// What was seen before the action.
    pub observation: &'a O,
    /// The pose measured then.
    pub pose: Pose,
    /// The observation's distance to the goal.
    pub distance: f32,
    /// The decision.
    pub plan: &'a Plan,
    /// What became of its first action.
    pub execution: &'a E,
    /// What was still under way when the observation was made; absent where the hand rested.
    pub committed: Option<Action>,
    /// Decisions on this step that came too late and were dropped.
    pub dropped: u32,
    /// Wall time spent observing (settling, frame), s.
    pub observe_seconds: f64,
    /// Wall time spent encoding and planning, s.
    pub plan_seconds: f64,
    /// Wall time spent moving, s.
    pub execute_seconds: f64,
}

/// Follows the loop and may end it.
pub trait Watch<O, E> {
    /// After each executed step; `Break` ends the episode.
    fn step(&mut self, step: &Step<'_, O, E>) -> ControlFlow<()>;

    /// After each look, before anything is decided on it; `Break` ends the episode with it.
    fn looked(&mut self, _look: &O) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Before a decision; `Break` ends the episode before anything moves.
    fn deciding(&mut self, _goal: usize, _goal_step: u32) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopOutcome<O> {
    /// Steps executed.
    pub steps: u32,
    /// Sub-goals whose budget was spent or whose threshold was met.
    pub subgoals_finished: usize,
    /// The last observation, after the last action.
    pub last: O,
    /// Its distance to the last goal pursued.
    pub last_distance: f32,
    /// Whether a [`Watch`] ended it.
    pub interrupted: bool,
}

/// Why an episode could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError<P, C> {
    /// The arm or the camera.
    #[error(transparent)]
    Plant(P),
    /// The controller: its model or its search.
    #[error(transparent)]
    Controller(C),
}

/// What driving a plant comes to.
pub type Driven<P, E> =
    Result<LoopOutcome<<P as Plant>::Observation>, ControlError<<P as Plant>::Error, E>>;

/// Where an episode is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakeUp {
    /// Index of the sub-goal to begin with.
    pub goal: usize,
    /// Steps of its budget that are spent.
    pub goal_step: u32,
    /// Steps executed before.
    pub steps: u32,
}

/// Pursues the sub-goals one after the other, `from` one on: observe, decide, execute, until each one's steps
/// are spent or it is reached.
///
/// # Errors
/// [`ControlError`] of whichever part failed first.
pub fn run<P, C, W>(
    from: TakeUp,
    plant: &mut P,
    controller: &mut C,
    goals: &[SubGoal],
    watch: &mut W,
) -> Driven<P, C::Error>
where
    P: Plant,
    C: Controller<P::Observation> + ?Sized,
    W: Watch<P::Observation, P::Execution>,
{
    let mut steps = from.steps;
    let mut finished = from.goal;
    let mut interrupted = false;
    let mut last = None;
    'goals: for (goal, subgoal) in goals.iter().enumerate().skip(from.goal) {
        controller.begin_goal(goal, subgoal);
        let mut goal_step = if goal == from.goal { from.goal_step } else { 0 };
        let mut dropped = 0;
        while goal_step < subgoal.steps {
            if watch.deciding(goal, goal_step).is_break() {
                interrupted = true;
                break 'goals;
            }
            let started = Instant::now();
            let in_motion = subgoal.gripper.holds(goal_step, subgoal.steps);
            let ahead = match in_motion {
                true => plant.look_ahead().map_err(ControlError::Plant)?,
                false => None,
            };
            let (observation, committed) = match ahead {
                Some(ahead) => (ahead.observation, Some(ahead.committed)),
                None => (plant.observe().map_err(ControlError::Plant)?, None),
            };
            let pose = plant.pose(&observation);
            if watch.looked(&observation).is_break() {
                interrupted = true;
                last = Some(match committed {
                    Some(_) => plant.observe().map_err(ControlError::Plant)?,
                    None => observation,
                });
                break 'goals;
            }
            let observed = Instant::now();
            plant.keep_alive();
            let constraints = subgoal.gripper.constraints(goal_step, subgoal.steps);
            let start = committed.map_or(pose, |rest| pose.apply(&rest));
            let constraints = Constraints {
                steps_left: Some((subgoal.steps - goal_step) as usize),
                committed,
                ..constraints.within(plant.workspace_bounds(), &start)
            };
            let decision = controller
                .decide(&observation, &constraints, steps)
                .map_err(ControlError::Controller)?;
            let Decision::Act { distance, plan } = decision else {
                break;
            };
            let planned = Instant::now();
            let action = plan.first();
            let executed = match in_motion {
                true => plant.follow_on(&action, until(goals, goal, goal_step)),
                false => plant.execute(&action).map(Some),
            };
            let Some(execution) = executed.map_err(ControlError::Plant)? else {
                dropped += 1;
                continue;
            };
            let flow = watch.step(&Step {
                number: steps,
                goal,
                goal_step,
                observation: &observation,
                pose,
                distance,
                plan: &plan,
                execution: &execution,
                committed,
                dropped: std::mem::take(&mut dropped),
                observe_seconds: (observed - started).as_secs_f64(),
                plan_seconds: (planned - observed).as_secs_f64(),
                execute_seconds: planned.elapsed().as_secs_f64(),
            });
            steps += 1;
            goal_step += 1;
            if flow.is_break() {
                interrupted = true;
                break 'goals;
            }
        }
        finished += 1;
    }
    let last = match last {
        Some(last) => last,
        None => {
            let last = plant.observe().map_err(ControlError::Plant)?;
            interrupted |= watch.looked(&last).is_break();
            last
        }
    };
    Ok(LoopOutcome {
        steps,
        subgoals_finished: finished,
        last_distance: controller
            .distance(&last)
            .map_err(ControlError::Controller)?,
        last,
        interrupted,
    })
}

/// How far the action of a step is followed: to rest where none comes after it, or one that may move
/// the fingers.
fn until(goals: &[SubGoal], goal: usize, goal_step: u32) -> Until {
    let next = match goals.get(goal) {
        Some(same) if goal_step + 1 < same.steps => Some((same, goal_step + 1)),
        _ => {
            let mut later = goals.iter().skip(goal + 1);
            later.find(|g| g.steps > 0).map(|g| (g, 0))
        }
    };
    match next {
        Some((subgoal, step)) if subgoal.gripper.holds(step, subgoal.steps) => Until::NextLook,
        _ => Until::Rest,
    }
}
