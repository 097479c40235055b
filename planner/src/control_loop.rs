//! Model-predictive control: look, plan, do one action, look again.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::energy::Energy;
use crate::noise::SeededNoise;
use crate::pose::{Action, Pose};
use crate::room::{Room, Slack};
use crate::schedule::SubGoal;
use crate::search::{solve, Plan, PlanError, SearchMethod};

/// What the loop drives: an arm with a camera.
pub trait Plant {
    /// One look at the world.
    type Observation;
    /// What became of one action.
    type Execution;
    /// Why looking or moving failed.
    type Error;

    /// Looks, after the arm has settled.
    ///
    /// # Errors
    /// When nothing can be seen.
    fn observe(&mut self) -> Result<Self::Observation, Self::Error>;

    /// The measured pose in an observation.
    fn pose(&self, observation: &Self::Observation) -> Pose;

    /// Where the hand may go; plans lead nowhere else. `None` for a plant without borders.
    fn room(&self) -> Option<Room> {
        None
    }

    /// Called before planning starts.
    fn thinking(&mut self);

    /// Executes one action.
    ///
    /// # Errors
    /// When the arm can't be driven.
    fn execute(&mut self, action: &crate::Action) -> Result<Self::Execution, Self::Error>;
}

/// What judges observations and candidate actions against the goals: a world model with the
/// goals already encoded.
pub trait Imagination<Observation> {
    /// An observation as the model sees it.
    type Context;
    /// A goal, and what counts on the way there.
    type Aim;
    /// Why an observation could not be encoded.
    type Error;

    /// Encodes an observation.
    ///
    /// # Errors
    /// When the model fails.
    fn look(&self, observation: &Observation) -> Result<Self::Context, Self::Error>;

    /// What to do, for models that act without imagining: a policy. `None` leaves it to the
    /// search.
    ///
    /// # Errors
    /// When the model fails.
    fn act(
        &self,
        _context: &Self::Context,
        _pose: &Pose,
        _goal: usize,
    ) -> Result<Option<Action>, Self::Error> {
        Ok(None)
    }

    /// How far the observation itself is from goal number `goal`.
    fn distance(&self, context: &Self::Context, goal: usize) -> f32;

    /// Takes aim at goal number `goal` from where its pursuit begins; the hand may go as far as
    /// `slack` says.
    ///
    /// # Errors
    /// When the model fails.
    fn aim(
        &self,
        context: &Self::Context,
        pose: &Pose,
        goal: usize,
        slack: Option<Slack>,
    ) -> Result<Self::Aim, Self::Error>;

    /// The energy of action sequences from here towards what was aimed at.
    fn energy<'a>(
        &'a self,
        context: &'a Self::Context,
        pose: &Pose,
        aim: &'a Self::Aim,
    ) -> Box<dyn Energy + 'a>;
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
    /// Wall time spent looking (settling, frame), s.
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

    /// Before a decision; `Break` ends the episode before anything moves.
    fn deciding(&mut self, _goal: usize, _goal_step: u32) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<O> {
    /// Steps executed.
    pub steps: u32,
    /// Sub-goals whose budget was spent or whose threshold was met.
    pub subgoals_finished: usize,
    /// The last look, after the last action.
    pub last: O,
    /// Its distance to the last goal pursued.
    pub last_distance: f32,
    /// Whether a [`Watch`] ended it.
    pub interrupted: bool,
}

/// Why an episode could not go on.
#[derive(Debug, thiserror::Error)]
pub enum MpcError<P, M> {
    /// The arm or the camera.
    #[error(transparent)]
    Plant(P),
    /// The model's encoder.
    #[error(transparent)]
    Model(M),
    /// The search.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What [`pursue`] comes to, for a plant `P` and a model `M`.
pub type Pursued<P, M> = Result<
    Outcome<<P as Plant>::Observation>,
    MpcError<<P as Plant>::Error, <M as Imagination<<P as Plant>::Observation>>::Error>,
>;

/// A plan without its executed first action; its last action, which leads on in the same
/// direction, fills the place at the end.
fn shifted(actions: &[crate::Action]) -> Vec<crate::Action> {
    let rest = actions.iter().skip(1).chain(actions.last());
    rest.copied().collect()
}

/// Pursues the sub-goals one after the other. Decision number `n` draws its noise from
/// `(seed, n)`.
///
/// # Errors
/// [`MpcError`] of whichever part failed first.
pub fn pursue<P, M, W>(
    plant: &mut P,
    model: &M,
    method: &dyn SearchMethod,
    goals: &[SubGoal],
    seed: u64,
    watch: &mut W,
) -> Pursued<P, M>
where
    P: Plant,
    M: Imagination<P::Observation>,
    W: Watch<P::Observation, P::Execution>,
{
    let mut steps = 0;
    let mut finished = 0;
    let mut interrupted = false;
    let mut pursued = 0;
    'goals: for (goal, subgoal) in goals.iter().enumerate() {
        pursued = goal;
        // What the last plan would have done next; nothing at a new goal.
        let mut ahead: Vec<crate::Action> = Vec::new();
        let mut aim = None;
        for goal_step in 0..subgoal.steps {
            if watch.deciding(goal, goal_step).is_break() {
                interrupted = true;
                break 'goals;
            }
            let started = Instant::now();
            let observation = plant.observe().map_err(MpcError::Plant)?;
            let pose = plant.pose(&observation);
            let observed = Instant::now();
            plant.thinking();
            let context = model.look(&observation).map_err(MpcError::Model)?;
            let distance = model.distance(&context, goal);
            if subgoal.advance_below.is_some_and(|limit| distance < limit) {
                break;
            }
            let mut constraints = subgoal.gripper.constraints(goal_step, subgoal.steps);
            constraints.slack = plant.room().map(|room| room.around(&pose));
            let plan = match model.act(&context, &pose, goal).map_err(MpcError::Model)? {
                Some(action) => Plan::unsearched(action, &constraints),
                None => {
                    let aim = match &mut aim {
                        Some(aim) => aim,
                        none => none.insert(
                            model
                                .aim(&context, &pose, goal, constraints.slack)
                                .map_err(MpcError::Model)?,
                        ),
                    };
                    let energy = model.energy(&context, &pose, aim);
                    let mut noise = SeededNoise::new(seed, u64::from(steps));
                    let mut search = method.resume(&constraints, &ahead);
                    solve(search.as_mut(), energy.as_ref(), &mut noise)?
                }
            };
            let planned = Instant::now();
            let action = plan.actions.first().copied().unwrap_or_default();
            let execution = plant.execute(&action).map_err(MpcError::Plant)?;
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
            ahead = shifted(&plan.actions);
            if flow.is_break() {
                interrupted = true;
                break 'goals;
            }
        }
        finished += 1;
    }
    let last = plant.observe().map_err(MpcError::Plant)?;
    let context = model.look(&last).map_err(MpcError::Model)?;
    Ok(Outcome {
        steps,
        subgoals_finished: finished,
        last_distance: model.distance(&context, pursued),
        last,
        interrupted,
    })
}
