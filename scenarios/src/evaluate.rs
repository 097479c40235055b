//! Plays many episodes in virtual time and counts honestly.

use std::collections::BTreeMap;
use std::fmt;

use foresight_datasets::Split;
use rayon::prelude::*;
use serde::Serialize;

use crate::controllers::ModelSource;
use crate::env::Env;
use crate::episode::{self, EpisodeOutcome, Unwatched};
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::faults::FaultKind;
use crate::load::LoadedScenario;
use crate::monitor::Alarm;
use crate::scenario::RobotKind;
use crate::success::{FailureKind, Verdict};
use crate::variation::Variation;

/// Which episodes, and how many at a time.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// Seed of the first; the others follow.
    pub seed: u64,
    /// Episodes played at the same time.
    pub jobs: usize,
    /// How the scenario's scenes are changed.
    pub variation: Variation,
}

/// What an evaluation came to: the object `eval --json` ends with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The scenario's name.
    pub scenario: String,
    /// How its scenes were changed.
    pub variation: Variation,
    /// What planned: the model or a baseline.
    pub planned_by: String,
    /// The first seed.
    pub seed: u64,
    /// Episodes played.
    pub episodes: u64,
    /// Episodes that achieved the task.
    pub successes: u64,
    /// `successes / episodes`.
    pub rate: f64,
    /// Wilson's 95% interval of the rate.
    pub ci95: [f64; 2],
    /// Failures by kind.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Mean wall time of encoding and planning one action, s.
    pub seconds_per_action: f64,
    /// Targets the guard refused in all episodes.
    pub refused_targets: u64,
    /// Every episode.
    pub runs: Vec<EvaluatedEpisode>,
}

/// One episode of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluatedEpisode {
    /// Its seed.
    pub seed: u64,
    /// Its verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Steps executed.
    pub steps: u32,
    /// Mean wall time of a decision, s.
    pub seconds_per_action: f64,
    /// Mean wall time the monitor took for one action, s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_seconds_per_action: Option<f64>,
    /// Seconds of virtual time from the first look to the last.
    pub arm_seconds: f64,
    /// Decisions in motion that came too late and were dropped.
    pub dropped: u32,
    /// How far the hand ended from the last command at rest, m.
    pub end_error_m: f64,
    /// Targets the guard refused.
    pub refused_targets: u64,
    /// The fault that was let happen, and the number of the step it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<(FaultKind, u32)>,
    /// What the monitor noticed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
}

/// Plays episodes of consecutive seeds. An episode that can't be played counts as a failure.
///
/// # Errors
/// [`RunError`] when seeds are not evaluation seeds, or something is wrong that the user has to mend: a file that isn't
/// there, a setting, a full disk.
pub fn evaluate(
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &EvaluationOptions,
    done: impl Fn(&EvaluatedEpisode) + Sync,
) -> RunResult<Evaluation> {
    let play = |instance: &EpisodeSpec| play(instance, source);
    evaluate_with(loaded, source, options, play, done)
}

/// As [`evaluate`], each episode played by `play`.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &EvaluationOptions,
    play: impl Fn(&EpisodeSpec) -> RunResult<EpisodeOutcome> + Sync,
    done: impl Fn(&EvaluatedEpisode) + Sync,
) -> RunResult<Evaluation> {
    if options.episodes == 0 {
        return Err(RunError::Input("evaluate at least 1 episode".into()));
    }
    let last = options.seed.saturating_add(options.episodes - 1);
    for seed in [options.seed, last] {
        Split::Evaluation
            .check(seed)
            .map_err(|e| RunError::Input(e.to_string()))?;
    }
    let served = loaded.scenario.robot.kind == RobotKind::Franka;
    if served && options.variation != Variation::Plain {
        let what =
            "variations change our own simulator's scenes; this scenario's are drawn by another";
        return Err(RunError::Input(what.into()));
    }
    let mut varied = loaded.clone();
    options.variation.apply(&mut varied.scenario);
    let loaded = &varied;
    // A scenario that can't be simulated at all is an error, not a row of failures.
    let first = EpisodeSpec::begin(loaded, options.seed)?;
    source.controller(&first, &first.goal_images()?)?;
    Env::for_evaluation(&first)?;

    let most = if served { 1 } else { options.episodes };
    let jobs = usize::try_from(most).map_or(options.jobs, |most| options.jobs.min(most));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.max(1))
        .build()
        .map_err(|e| RunError::Input(format!("no worker threads: {e}")))?;
    let judged = |number: u32| -> RunResult<EvaluatedEpisode> {
        let seed = options.seed + u64::from(number);
        let episode = match EpisodeSpec::begin(loaded, seed).and_then(|spec| play(&spec)) {
            Ok(outcome) => EvaluatedEpisode {
                seed,
                steps: outcome.steps,
                seconds_per_action: outcome.seconds_per_action,
                watch_seconds_per_action: outcome.watch_seconds_per_action,
                arm_seconds: outcome.arm_seconds,
                dropped: outcome.dropped,
                end_error_m: outcome.end_error_m,
                refused_targets: outcome.refused_targets,
                fault: outcome.fault,
                alarms: outcome.alarms,
                verdict: outcome.verdict,
            },
            Err(error) if !is_the_episode_s(&error) => return Err(error),
            Err(error) => EvaluatedEpisode {
                seed,
                steps: 0,
                seconds_per_action: 0.0,
                watch_seconds_per_action: None,
                arm_seconds: 0.0,
                dropped: 0,
                end_error_m: 0.0,
                refused_targets: 0,
                fault: None,
                alarms: Vec::new(),
                verdict: Verdict::failed(kind_of(&error), error.to_string()),
            },
        };
        done(&episode);
        Ok(episode)
    };
    let numbers = 0..options.episodes as u32; // the split has a million seeds
    let runs: RunResult<Vec<EvaluatedEpisode>> = pool.install(|| {
        numbers
            .into_par_iter()
            .with_max_len(1)
            .map(judged)
            .collect()
    });
    let runs = runs?;
    let planned_by = format!(
        "{}, {}",
        source.describe(),
        loaded.scenario.planner.describe()
    );
    Ok(summarise(&loaded.scenario.name, planned_by, options, runs))
}

/// Whether an error is what an episode came to. What the user has to mend, or the disk, is no failure of the task:
/// it would be one in every episode.
fn is_the_episode_s(error: &RunError) -> bool {
    match error {
        RunError::NotUnderstood(_) => true,
        RunError::Model { .. } => false,
        _ => !error.is_input(),
    }
}

/// What an episode that couldn't be played counts as.
fn kind_of(error: &RunError) -> FailureKind {
    match error {
        RunError::NotUnderstood(_) => FailureKind::NotUnderstood,
        _ => FailureKind::Aborted,
    }
}

fn play(instance: &EpisodeSpec, source: &ModelSource) -> RunResult<EpisodeOutcome> {
    let images = instance.goal_images()?;
    let controller = source.controller(instance, &images)?;
    let mut env = Env::for_evaluation(instance)?;
    episode::play(instance, &mut env, source, controller, None, &mut Unwatched)
}

fn summarise(
    scenario: &str,
    planned_by: String,
    options: &EvaluationOptions,
    runs: Vec<EvaluatedEpisode>,
) -> Evaluation {
    let episodes = runs.len() as u64;
    let successes = runs
        .iter()
        .filter(|r| r.verdict.success == Some(true))
        .count() as u64;
    let mut failures = BTreeMap::new();
    for kind in runs.iter().filter_map(|r| r.verdict.failure) {
        *failures.entry(kind).or_insert(0) += 1;
    }
    let steps: f64 = runs.iter().map(|r| f64::from(r.steps)).sum();
    let seconds: f64 = runs
        .iter()
        .map(|r| r.seconds_per_action * f64::from(r.steps))
        .sum();
    Evaluation {
        scenario: scenario.to_owned(),
        variation: options.variation,
        planned_by,
        seed: options.seed,
        episodes,
        successes,
        rate: successes as f64 / episodes.max(1) as f64,
        ci95: wilson(successes, episodes),
        failures,
        seconds_per_action: seconds / steps.max(1.0),
        refused_targets: runs.iter().map(|r| r.refused_targets).sum(),
        runs,
    }
}

/// How often something happened, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Counted {
    /// How often it happened.
    pub times: u64,
    /// Of how many.
    pub of: u64,
    /// The interval of the rate.
    pub ci95: [f64; 2],
}

impl Counted {
    /// Counts what happened.
    pub fn of(happened: &[bool]) -> Self {
        let times = happened.iter().filter(|h| **h).count() as u64;
        let of = happened.len() as u64;
        Counted {
            times,
            of,
            ci95: wilson(times, of),
        }
    }
}

/// As tables have it: `9/10 (60–98 %)`.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.ci95.map(|v| 100.0 * v);
        write!(f, "{}/{} ({low:.0}–{high:.0} %)", self.times, self.of)
    }
}

/// Wilson's 95% score interval of a rate.
pub fn wilson(successes: u64, episodes: u64) -> [f64; 2] {
    if episodes == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, z2) = (episodes as f64, Z * Z);
    let rate = successes as f64 / n;
    let middle = rate + z2 / (2.0 * n);
    let half = Z * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    [
        ((middle - half) / scale).max(0.0),
        ((middle + half) / scale).min(1.0),
    ]
}

#[cfg(test)]
#[path = "../tests/unit/evaluate.rs"]
mod tests;
