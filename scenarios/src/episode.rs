//! One episode: the control loop over an environment, followed by a success detector and whoever else watches.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use foresight_planner::control_loop::{self, ControlError, Step, TakeUp, Watch};
use foresight_planner::Pose;
use foresight_robot::Observation;
use foresight_sim::GroundTruth;

use crate::controllers::{ModelSource, ReadyController};
use crate::env::{Env, EnvPlant, Executed};
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::faults::{FaultInjector, FaultKind};
use crate::monitor::{Alarm, GoalCheck, Monitor, OnAlarm, Watched};
use crate::recovery::{begin_again, mending, retreat, Mending};
use crate::scenario::Success;
use crate::success::{FailureKind, SuccessDetector, Verdict};

/// How long released objects get to come to rest before the verdict, s.
const REST_S: f64 = 1.5;
/// How long the arm is kept alive at a time while somebody is asked.
const HELD: Duration = Duration::from_millis(500);

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

    /// After a look that the monitor held against what was expected.
    fn watched(&mut self, _watched: &Watched) {}

    /// After an alarm, when it was dealt with.
    fn alarmed(&mut self, _alarm: &Alarm) {}

    /// What to do after an alarm that holds the arm; asked again and again, while the arm is kept
    /// still, until there is an answer.
    fn answer(&mut self, _alarm: &Alarm) -> Option<Answer> {
        Some(Answer::Stop)
    }
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
    /// Mean wall time the monitor took for one action, s; `None` without one.
    pub watch_seconds_per_action: Option<f64>,
    /// Seconds of the arm's clock from the first look to the last, when the arm rests.
    pub arm_seconds: f64,
    /// Decisions in motion that came too late and were dropped.
    pub dropped: u32,
    /// How far the hand rests from the last command, m.
    pub end_error_m: f64,
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
    /// What the monitor noticed, and what was done about it.
    pub alarms: Vec<Alarm>,
    /// How often it went back to an earlier sub-goal.
    pub retries: u32,
    /// The fault that was let happen, and the number of the step it happened in.
    pub fault: Option<(FaultKind, u32)>,
}

/// What to do after an alarm that holds the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on as if nothing had been.
    GoOn,
    /// Go back to the sub-goal that can mend it.
    Retry,
    /// End the run.
    Stop,
}

struct Watcher<'a, 'm> {
    spec: &'a EpisodeSpec,
    success: Option<SuccessDetector>,
    follow: &'a mut dyn Observer,
    monitor: Option<Monitor<'m>>,
    alarms: Vec<Alarm>,
    retries: u32,
    /// Whether the last alarm is still to be dealt with.
    raised: bool,
    failed: Option<RunError>,
    /// Where the last action left off.
    at: TakeUp,
    /// Where the hand last stood without an alarm.
    safe: Option<Pose>,
    fault: Option<(FaultKind, u32)>,
    /// The episode as the goals pursued last say.
    goals_of: EpisodeSpec,
    plan_seconds: f64,
    watch_seconds: f64,
    evaluations: u64,
    dropped: u32,
    /// The arm's clock at the first look, s.
    began_s: Option<f64>,
    /// The last pose commanded.
    commanded: Option<Pose>,
}

impl Watcher<'_, '_> {
    /// What an alarm leads to; whether the loop has to be left for it.
    fn alarm(&mut self, mut alarm: Alarm, look: &Observation) -> ControlFlow<()> {
        let config = self
            .spec
            .loaded
            .scenario
            .monitor
            .clone()
            .unwrap_or_default();
        let mut leave = config.on_alarm != OnAlarm::Warn;
        if config.on_alarm == OnAlarm::Retry {
            match mending(self.spec, self.at.goal, look) {
                Mending::GoOn => {
                    alarm.done = "went on: nothing is lost".into();
                    leave = false;
                }
                Mending::From(_) if self.retries < config.retries => {}
                Mending::From(_) => alarm.done = "stopped: no retry is left".into(),
                Mending::Hopeless => alarm.done = "stopped: no sub-goal can mend it".into(),
            }
        }
        self.raised = leave;
        self.alarms.push(alarm);
        if leave {
            return ControlFlow::Break(());
        }
        if let Some(alarm) = self.alarms.last() {
            self.follow.alarmed(alarm);
        }
        ControlFlow::Continue(())
    }
}

impl Watch<Observation, Executed> for Watcher<'_, '_> {
    fn looked(&mut self, look: &Observation) -> ControlFlow<()> {
        self.began_s.get_or_insert(look.arm_time_s);
        let Some(monitor) = &mut self.monitor else {
            return ControlFlow::Continue(());
        };
        let began = Instant::now();
        let watched = monitor.looked(look);
        self.watch_seconds += began.elapsed().as_secs_f64();
        match watched {
            Ok(watched) => {
                if let Some(watched) = &watched {
                    self.follow.watched(watched);
                }
                match watched.and_then(|watched| watched.alarm) {
                    Some(alarm) => self.alarm(alarm, look),
                    None => {
                        self.safe = Some(look.pose);
                        ControlFlow::Continue(())
                    }
                }
            }
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn step(&mut self, step: &EpisodeStep<'_>) -> ControlFlow<()> {
        self.plan_seconds += step.plan_seconds;
        self.evaluations += step.plan.evaluations as u64;
        self.dropped += step.dropped;
        self.commanded = Some(step.execution.execution.commanded_pose);
        if let (Some(success), Some(truth)) = (&mut self.success, &step.execution.truth) {
            success.follow(&step.execution.execution.reached_pose, truth);
        }
        if let Some(kind) = step.execution.fault {
            self.fault = Some((kind, step.number));
        }
        self.at = TakeUp {
            goal: step.goal,
            goal_step: step.goal_step + 1,
            steps: step.number + 1,
        };
        self.follow.step(step);
        let began = Instant::now();
        let expected = self.monitor.as_mut().map_or(Ok(()), |m| m.acted(step));
        self.watch_seconds += began.elapsed().as_secs_f64();
        match expected {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        self.follow.deciding(goal, goal_step)
    }
}

/// Plays one episode to its end and judges it. `ready` is the controller of `source`, which is
/// asked for another when a retry needs new goals.
///
/// # Errors
/// [`RunError`] when arm, model or monitor fail; the arm is stopped then.
pub fn play(
    spec: &EpisodeSpec,
    env: &mut Env,
    source: &ModelSource,
    ready: ReadyController<'_>,
    view_px: Option<u32>,
    follow: &mut dyn Observer,
) -> RunResult<EpisodeOutcome> {
    let ReadyController {
        mut controller,
        mut observed,
        looks,
        ..
    } = ready;
    let goal = spec.goal_states.last().cloned().flatten();
    let start = env.truth();
    let success = spec.loaded.scenario.success;
    let mut watcher = Watcher {
        spec,
        success: success.map(|success| SuccessDetector::new(success, goal, start.as_ref())),
        follow,
        monitor: Monitor::of(spec, source, looks)?,
        alarms: Vec::new(),
        retries: 0,
        raised: false,
        failed: None,
        at: TakeUp::default(),
        safe: None,
        fault: None,
        goals_of: spec.clone(),
        plan_seconds: 0.0,
        watch_seconds: 0.0,
        evaluations: 0,
        dropped: 0,
        began_s: None,
        commanded: None,
    };
    let goals = spec.schedule();
    let mut from = TakeUp::default();
    let mut faults = FaultInjector::of(spec);
    let mut halted = None;
    let outcome = loop {
        let mut plant = EnvPlant::new(env, spec, observed.clone(), view_px)?;
        plant.faults = faults.take();
        let driven = control_loop::run(from, &mut plant, controller.as_mut(), &goals, &mut watcher);
        faults = plant.faults.take();
        if let Some(error) = watcher.failed.take() {
            env.arm().stop()?;
            return Err(error);
        }
        let outcome = driven.map_err(|error| match error {
            ControlError::Plant(error) => RunError::Arm(error),
            ControlError::Controller(error) => error,
        })?;
        if !std::mem::take(&mut watcher.raised) {
            break outcome;
        }
        match answer(&mut watcher, env)? {
            Next::End(why) => {
                halted = Some(why);
                break outcome;
            }
            Next::GoOn => from = watcher.at,
            Next::Again(goal) => {
                watcher.retries += 1;
                let anew = begin_again(env, spec)?;
                let ready = source.controller(&anew, &anew.goal_images()?)?;
                (controller, observed) = (ready.controller, ready.observed);
                watcher.goals_of = anew;
                from = TakeUp {
                    goal,
                    goal_step: 0,
                    ..watcher.at
                };
            }
        }
        if let Some(monitor) = &mut watcher.monitor {
            monitor.forget();
        }
    };
    if halted.is_none() {
        env.wait(REST_S)?;
    }
    let truth = env.truth();
    let refused_targets = env.arm().refused_targets();
    let goal = spec.goal_poses().last().copied().flatten();
    let judged = match outcome.interrupted {
        true => None,
        false => env.judged()?,
    };
    let verdict = match (halted, judged) {
        (Some(why), _) => Verdict::failed(FailureKind::Alarmed, why),
        (None, Some(judged)) => judged,
        (None, None) => match (spec.loaded.scenario.success, &outcome.interrupted) {
            (Some(Success::Latent { looks }), false) => by_looks(&watcher, env, source, looks)?,
            _ => verdict(&watcher, &outcome, goal, truth.as_ref(), refused_targets),
        },
    };
    Ok(EpisodeOutcome {
        verdict,
        steps: outcome.steps,
        subgoals_reached: outcome.subgoals_finished,
        seconds_per_action: watcher.plan_seconds / f64::from(outcome.steps.max(1)),
        watch_seconds_per_action: watcher
            .monitor
            .is_some()
            .then(|| watcher.watch_seconds / f64::from(outcome.steps.max(1))),
        arm_seconds: outcome.last.arm_time_s - watcher.began_s.unwrap_or(outcome.last.arm_time_s),
        dropped: watcher.dropped,
        end_error_m: (watcher.commanded).map_or(0.0, |to| outcome.last.pose.distance_m(&to)),
        refused_targets,
        evaluations: watcher.evaluations,
        interrupted: outcome.interrupted,
        last_distance: outcome.last_distance,
        last: outcome.last,
        truth,
        alarms: watcher.alarms,
        retries: watcher.retries,
        fault: watcher.fault,
    })
}

/// The verdict of whoever has only the model to ask.
fn by_looks(
    watcher: &Watcher<'_, '_>,
    env: &mut Env,
    source: &ModelSource,
    looks: u32,
) -> RunResult<Verdict> {
    let spec = &watcher.goals_of;
    let images = spec.goal_images()?;
    let goal = images
        .last()
        .ok_or_else(|| RunError::Input("there is no sub-goal".into()))?;
    let check = GoalCheck::of(spec, source, goal)?;
    let mut farthest = 0.0_f64;
    for _ in 0..looks {
        farthest = farthest.max(check.distance(&env.arm().observe()?)?);
    }
    let seen = format!(
        "{farthest:.2} of the threshold from the goal image in {looks} looks; \
         it rests on the model, nobody knows the true state"
    );
    Ok(if farthest > 1.0 {
        Verdict::failed(FailureKind::Unlike, seen)
    } else {
        Verdict::achieved(seen)
    })
}

/// What follows an alarm.
enum Next {
    GoOn,
    Again(usize),
    End(String),
}

/// Deals with the last alarm as the scenario says.
fn answer(watcher: &mut Watcher<'_, '_>, env: &mut Env) -> RunResult<Next> {
    let config = watcher
        .spec
        .loaded
        .scenario
        .monitor
        .clone()
        .unwrap_or_default();
    let Some(mut alarm) = watcher.alarms.pop() else {
        return Ok(Next::GoOn);
    };
    let again = |watcher: &Watcher<'_, '_>, env: &mut Env| -> RunResult<Option<usize>> {
        let look = env.arm().observe()?;
        Ok(match mending(watcher.spec, watcher.at.goal, &look) {
            Mending::From(goal) if watcher.retries < config.retries => Some(goal),
            _ => None,
        })
    };
    let mut next = None;
    match config.on_alarm {
        OnAlarm::Warn => next = Some(Next::GoOn),
        OnAlarm::Stop => alarm.done = "stopped".into(),
        OnAlarm::Retreat => {
            alarm.done = match watcher.safe {
                Some(to) => retreat(env.arm(), &to)?,
                None => "stopped: no pose is known to be safe".into(),
            };
        }
        OnAlarm::Retry => {
            if let Some(goal) = again(watcher, env)? {
                next = Some(Next::Again(goal));
            }
        }
        OnAlarm::Hold => {
            alarm.done = "held".into();
            let said = loop {
                env.arm().keep_alive_until(Instant::now() + HELD);
                match watcher.follow.answer(&alarm) {
                    Some(said) => break said,
                    None => std::thread::sleep(HELD / 5),
                }
            };
            match said {
                Answer::GoOn => next = Some(Next::GoOn),
                Answer::Retry => next = again(watcher, env)?.map(Next::Again),
                Answer::Stop => {}
            }
        }
    }
    match &next {
        Some(Next::Again(goal)) => {
            let name = &watcher.spec.loaded.scenario.subgoal[*goal].name;
            alarm.done = format!("went back to {name:?}");
        }
        Some(_) => alarm.done += ", went on",
        None => env.arm().stop()?,
    }
    let why = format!(
        "alarm after step {}: {}; {}",
        alarm.step, alarm.reason, alarm.done
    );
    watcher.follow.alarmed(&alarm);
    watcher.alarms.push(alarm);
    Ok(next.unwrap_or(Next::End(why)))
}

fn verdict(
    watcher: &Watcher<'_, '_>,
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
