//! The control loop: observe, decide, execute one action, observe again.

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

    /// Called before a decision: the arm has to be kept alive, and still, until it is made.
    fn keep_alive(&mut self);

    /// Executes one action.
    ///
    /// # Errors
    /// When the arm can't be driven.
    fn execute(&mut self, action: &Action) -> Result<Self::Execution, Self::Error>;
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

/// Pursues the sub-goals one after the other: observe, decide, execute, until each one's steps are
/// spent or it is reached.
///
/// # Errors
/// [`ControlError`] of whichever part failed first.
pub fn run<P, C, W>(
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
    run_from(TakeUp::default(), plant, controller, goals, watch)
}

/// As [`run`], taken up at a later sub-goal.
///
/// # Errors
/// As [`run`].
pub fn run_from<P, C, W>(
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
        let spent = if goal == from.goal { from.goal_step } else { 0 };
        for goal_step in spent..subgoal.steps {
            if watch.deciding(goal, goal_step).is_break() {
                interrupted = true;
                break 'goals;
            }
            let started = Instant::now();
            let observation = plant.observe().map_err(ControlError::Plant)?;
            let pose = plant.pose(&observation);
            if watch.looked(&observation).is_break() {
                interrupted = true;
                last = Some(observation);
                break 'goals;
            }
            let observed = Instant::now();
            plant.keep_alive();
            let constraints = subgoal.gripper.constraints(goal_step, subgoal.steps);
            let constraints = Constraints {
                steps_left: Some((subgoal.steps - goal_step) as usize),
                ..constraints.within(plant.workspace_bounds(), &pose)
            };
            let decision = controller
                .decide(&observation, &constraints, steps)
                .map_err(ControlError::Controller)?;
            let Decision::Act { distance, plan } = decision else {
                break;
            };
            let planned = Instant::now();
            let execution = plant.execute(&plan.first()).map_err(ControlError::Plant)?;
            let flow = watch.step(&Step {
                number: steps,
                goal,
                goal_step,
                observation: &observation,
                pose,
                distance,
                plan: &plan,
                execution: &execution,
                observe_seconds: (observed - started).as_secs_f64(),
                plan_seconds: (planned - observed).as_secs_f64(),
                execute_seconds: planned.elapsed().as_secs_f64(),
            });
            steps += 1;
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
