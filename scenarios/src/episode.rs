//! One episode: the control loop over an environment, followed by a success detector and whoever else watches.

use std::ops::ControlFlow;

use foresight_planner::control_loop::{self, ControlError, Step, Watch};
use foresight_planner::Pose;
use foresight_robot::Observation;
use foresight_sim::GroundTruth;

use crate::controllers::ReadyController;
use crate::env::{Env, EnvPlant, Executed};
use crate::episode_spec::EpisodeSpec;
use crate::error::RunError;
use crate::success::{FailureKind, SuccessDetector, Verdict};

/// How long released objects get to come to rest before the verdict, s.
const REST_S: f64 = 1.5;

/// A step of an episode.
pub type EpisodeStep<'a> = Step<'a, Observation, Executed>;

/// Observes an episode: progress, recording, interruption.
pub trait Observer {
    /// Before a decision; `Break` ends the episode.
    fn deciding(&mut self, _goal: usize, _goal_step: u32) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// After a step.
    fn step(&mut self, step: &EpisodeStep<'_>);
}

/// Nobody watches.
pub struct Unwatched;

impl Observer for Unwatched {
    fn step(&mut self, _: &EpisodeStep<'_>) {}
}

/// What one episode came to.
#[derive(Debug, Clone)]
pub struct EpisodeOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Steps executed.
    pub steps: u32,
    /// Sub-goals finished.
    pub subgoals_reached: usize,
    /// Mean wall time spent encoding and planning one action, s.
    pub seconds_per_action: f64,
    /// Targets the guard refused.
    pub refused_targets: u64,
    /// Energies computed.
    pub evaluations: u64,
    /// Whether someone ended it.
    pub interrupted: bool,
    /// The last look.
    pub last: Observation,
    /// Its distance to the last goal pursued.
    pub last_distance: f32,
    /// The true state at the end.
    pub truth: Option<GroundTruth>,
}

struct Watcher<'a> {
    success: Option<SuccessDetector>,
    follow: &'a mut dyn Observer,
    plan_seconds: f64,
    evaluations: u64,
}

impl Watch<Observation, Executed> for Watcher<'_> {
    fn step(&mut self, step: &EpisodeStep<'_>) -> ControlFlow<()> {
        self.plan_seconds += step.plan_seconds;
        self.evaluations += step.plan.evaluations as u64;
        if let (Some(success), Some(truth)) = (&mut self.success, &step.execution.truth) {
            success.follow(&step.execution.execution.reached_pose, truth);
        }
        self.follow.step(step);
        ControlFlow::Continue(())
    }

    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        self.follow.deciding(goal, goal_step)
    }
}

/// Plays one episode to its end and judges it.
///
/// # Errors
/// [`RunError`] when arm or model fail.
pub fn play(
    spec: &EpisodeSpec,
    env: &mut Env,
    ready: ReadyController<'_>,
    view_px: Option<u32>,
    follow: &mut dyn Observer,
) -> Result<EpisodeOutcome, RunError> {
    let ReadyController {
        mut controller,
        observed,
    } = ready;
    let goal = spec.goal_states.last().cloned().flatten();
    let start = env.truth();
    let success = spec.loaded.scenario.success;
    let mut watcher = Watcher {
        success: success.map(|success| SuccessDetector::new(success, goal, start.as_ref())),
        follow,
        plan_seconds: 0.0,
        evaluations: 0,
    };
    let mut plant = EnvPlant::new(env, spec, observed, view_px)?;
    let goals = spec.schedule();
    let outcome = control_loop::run(&mut plant, controller.as_mut(), &goals, &mut watcher)
        .map_err(|error| match error {
            ControlError::Plant(error) => RunError::Arm(error),
            ControlError::Controller(error) => error,
        })?;
    env.wait(REST_S)?;
    let truth = env.truth();
    let refused_targets = env.arm().refused_targets();
    let goal = spec.goal_poses().last().copied().flatten();
    let verdict = verdict(&watcher, &outcome, goal, truth.as_ref(), refused_targets);
    Ok(EpisodeOutcome {
        verdict,
        steps: outcome.steps,
        subgoals_reached: outcome.subgoals_finished,
        seconds_per_action: watcher.plan_seconds / f64::from(outcome.steps.max(1)),
        refused_targets,
        evaluations: watcher.evaluations,
        interrupted: outcome.interrupted,
        last_distance: outcome.last_distance,
        last: outcome.last,
        truth,
    })
}

fn verdict(
    watcher: &Watcher<'_>,
    outcome: &control_loop::LoopOutcome<Observation>,
    goal: Option<Pose>,
    truth: Option<&GroundTruth>,
    refused: u64,
) -> Verdict {
    if outcome.interrupted {
        return Verdict::failed(FailureKind::Aborted, "interrupted");
    }
    let (Some(success), Some(truth)) = (&watcher.success, truth) else {
        let hand = goal.map_or_else(String::new, |goal| {
            format!(
                ", the hand {:.1} cm from where it was captured",
                outcome.last.pose.distance_m(&goal) * 100.0
            )
        });
        return Verdict {
            success: None,
            reason: format!(
                "all sub-goals worked through, distance to the goal image {:.4}{hand}; nothing judges a real arm",
                outcome.last_distance
            ),
            failure: None,
        };
    };
    let mut verdict = success.verdict(&outcome.last.pose, truth);
    if verdict.success == Some(false) && refused > 0 {
        verdict.failure = Some(FailureKind::Refused);
        verdict.reason += &format!("; the guard refused {refused} targets");
    }
    verdict
}
