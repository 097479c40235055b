//! `result.json`: what a run came to, written and read here.

use std::path::{Path, PathBuf};

use foresight_scenarios::episode::EpisodeOutcome;
use foresight_scenarios::monitor::Alarm;
use foresight_scenarios::success::FailureKind;
use foresight_scenarios::EpisodeSpec;
use foresight_sim::GroundTruth;
use serde::{Deserialize, Serialize};

use crate::trace::StepTrace;
use crate::utc;

/// What a run came to: the object `run --json` ends with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunResult {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Whether the task was achieved, from the simulator's true state; null for a real arm.
    pub success: Option<bool>,
    /// Why, with numbers.
    pub reason: String,
    /// Steps executed.
    pub steps: u32,
    /// Sub-goals whose budget was spent or whose threshold was met.
    pub subgoals_reached: usize,
    /// Mean wall time of encoding and planning one action, s.
    pub seconds_per_action: f64,
    /// Seconds of the arm's clock from the first look to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm_seconds: Option<f64>,
    /// Decisions in motion that came too late and were dropped.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u32,
    /// How far the hand rests from the last command, m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_error_m: Option<f64>,
    /// Targets the guard refused; 0 in normal operation.
    pub refused_targets: u64,
    /// What the monitor noticed, and what was done about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// How often the run went back to an earlier sub-goal.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// The run folder.
    pub run_dir: PathBuf,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl RunResult {
    /// What an episode of `instance` came to, recorded in `run_dir`.
    pub fn new(instance: &EpisodeSpec, outcome: &EpisodeOutcome, run_dir: PathBuf) -> Self {
        RunResult {
            scenario: instance.loaded.scenario.name.clone(),
            seed: instance.seed,
            success: outcome.verdict.success,
            reason: outcome.verdict.reason.clone(),
            steps: outcome.steps,
            subgoals_reached: outcome.subgoals_reached,
            seconds_per_action: outcome.seconds_per_action,
            arm_seconds: Some(outcome.arm_seconds),
            dropped: outcome.dropped,
            end_error_m: Some(outcome.end_error_m),
            refused_targets: outcome.refused_targets,
            alarms: outcome.alarms.clone(),
            retries: outcome.retries,
            run_dir,
        }
    }
}

/// A run's record. Records of older versions lack some of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// What it came to.
    pub result: RunResult,
    /// What a failure looked like.
    pub failure: Option<FailureKind>,
    /// What is known of the end; absent when an error ended the run.
    #[serde(flatten)]
    pub end: Option<RunEnd>,
    /// When it was written, UTC, for people.
    pub time: String,
    /// Version of the program that played it.
    pub program_version: String,
}

/// The end of a run that no error ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Energies computed.
    pub evaluations: u64,
    /// The last pose measured, as in [`StepTrace::pose`].
    pub last_pose: [f64; 7],
    /// The joints measured with it, rad.
    #[serde(default)]
    pub last_joints_rad: Option<[f64; 7]>,
    /// Distance of the last observation to the last goal pursued; null when it is no number.
    pub last_distance: Option<f64>,
    /// The simulator's true state; null on a real arm.
    pub truth: Option<GroundTruth>,
    /// What planned: the model or a baseline.
    pub imagination: String,
    /// Whether it was played in virtual time.
    pub virtual_time: bool,
}

impl RunRecord {
    /// What the run in this folder came to; `None` where it was interrupted before that was written,
    /// or another version wrote it.
    ///
    /// # Errors
    /// When the file is cut short or edited: the run isn't taken for one that nobody judged.
    pub fn read(run: &Path) -> Result<Option<Self>, String> {
        let path = run.join("result.json");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        match serde_json::from_str(&text) {
            Err(e) if !text.is_empty() && !e.is_data() => Err(format!(
                "{}: what the run came to can't be read ({e}); copy the file again",
                path.display()
            )),
            read => Ok(read.ok()),
        }
    }

    /// The record of a run that came to its end.
    pub fn finished(
        result: RunResult,
        outcome: &EpisodeOutcome,
        planned_by: String,
        virtual_time: bool,
    ) -> Self {
        RunRecord {
            failure: outcome.verdict.failure,
            end: Some(RunEnd {
                evaluations: outcome.evaluations,
                last_pose: outcome.last.pose.to_array(),
                last_joints_rad: Some(outcome.last.joints_rad),
                last_distance: Some(f64::from(outcome.last_distance)).filter(|d| d.is_finite()),
                truth: outcome.truth.clone(),
                imagination: planned_by,
                virtual_time,
            }),
            ..RunRecord::now(result)
        }
    }

    /// The record of a run that an error ended after `steps`.
    pub fn abandoned(
        instance: &EpisodeSpec,
        steps: &[StepTrace],
        why: &str,
        run_dir: &Path,
    ) -> Self {
        let seconds: f64 = steps.iter().map(|s| s.seconds.plan).sum();
        let result = RunResult {
            scenario: instance.loaded.scenario.name.clone(),
            seed: instance.seed,
            success: Some(false),
            reason: format!("ended by an error: {why}"),
            steps: steps.len() as u32,
            subgoals_reached: steps.last().map_or(0, |s| s.subgoal_index),
            seconds_per_action: seconds / steps.len().max(1) as f64,
            refused_targets: steps.iter().map(|s| s.refused_targets).sum(),
            run_dir: run_dir.to_owned(),
            ..RunResult::default()
        };
        RunRecord {
            failure: Some(FailureKind::Aborted),
            ..RunRecord::now(result)
        }
    }

    fn now(result: RunResult) -> Self {
        RunRecord {
            result,
            time: utc::now(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..RunRecord::default()
        }
    }
}
