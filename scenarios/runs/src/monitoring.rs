//! Monitors fitted to recorded runs, and tried on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use foresight_planner::{Action, Pose};
use foresight_predictor::Latent;
use foresight_scenarios::controllers::LoadedModel;
use foresight_scenarios::evaluate::Counted;
use foresight_scenarios::faults::FaultKind;
use foresight_scenarios::monitor::{
    expected_action, fit, Expectation, FitHeader, Fitted, Transition,
};
use foresight_scenarios::{EpisodeSpec, LoadedScenario, RunError};
use image::RgbImage;
use rayon::prelude::*;
use serde::Serialize;

use crate::read::RunData;

/// An alarm within so many actions of a fault is in time.
const IN_TIME: usize = 2;

/// A recorded run as a monitor is fitted to it or tried on it.
pub struct WatchedRun {
    /// Its folder.
    pub folder: PathBuf,
    data: RunData,
    scenario: LoadedScenario,
}

impl WatchedRun {
    /// Reads a run folder.
    ///
    /// # Errors
    /// [`RunError`] when it is none.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        Ok(WatchedRun {
            folder: folder.to_owned(),
            data: RunData::read(folder).map_err(RunError::Input)?,
            scenario: LoadedScenario::read(&folder.join("scenario.resolved.toml"))?,
        })
    }

    /// The runs among `folders` and in the folders there, by name.
    ///
    /// # Errors
    /// [`RunError`] when there are none, or they are of several scenarios.
    pub fn read_all(folders: &[PathBuf]) -> Result<Vec<Self>, RunError> {
        let mut found = Vec::new();
        for folder in folders {
            if is_run(folder) {
                found.push(folder.clone());
                continue;
            }
            let inner = std::fs::read_dir(folder)
                .map_err(|e| RunError::Input(format!("can't read {}: {e}", folder.display())))?;
            let mut inner: Vec<PathBuf> = inner.flatten().map(|e| e.path()).collect();
            inner.retain(|path| is_run(path));
            inner.sort();
            found.extend(inner);
        }
        // A run that is named twice is one.
        let mut seen = BTreeSet::new();
        found.retain(|run| seen.insert(run.canonicalize().unwrap_or_else(|_| run.clone())));
        let runs: Vec<Self> = found
            .par_iter()
            .map(|f| WatchedRun::read(f))
            .collect::<Result<_, _>>()?;
        let goals = |run: &WatchedRun| -> Vec<String> {
            run.scenario
                .scenario
                .subgoal
                .iter()
                .map(|g| g.name.clone())
                .collect()
        };
        let first = runs.first().ok_or_else(|| {
            RunError::Input(
                "no run folders there; `foresight run` and `eval --out` leave some".into(),
            )
        })?;
        match runs.iter().find(|run| goals(run) != goals(first)) {
            None => Ok(runs),
            Some(other) => Err(RunError::Input(format!(
                "{} and {} have different sub-goals; a monitor is of one scenario",
                first.folder.display(),
                other.folder.display()
            ))),
        }
    }

    /// The scenario it was played from.
    pub fn scenario(&self) -> &LoadedScenario {
        &self.scenario
    }

    /// Whether it achieved its task; `None` when nobody could tell.
    pub fn success(&self) -> Option<bool> {
        self.data.record.as_ref()?.result.success
    }

    /// The fault that was let happen, and the step it happened in.
    pub fn fault(&self) -> Option<(FaultKind, usize)> {
        let steps = self.data.steps.iter().enumerate();
        steps.filter_map(|(i, s)| Some((s.fault?, i))).next()
    }

    /// What was seen, expected and reached around every action.
    ///
    /// # Errors
    /// [`RunError`] when frames are missing or the model fails.
    pub fn transitions(
        &self,
        loaded: &LoadedModel,
        expectation: Expectation,
    ) -> Result<Vec<Transition>, RunError> {
        let frames: Vec<RgbImage> = self.data.frames.iter().flatten().cloned().collect();
        if frames.len() != self.data.steps.len() + 1 {
            let what = format!("{} lacks frames", self.folder.display());
            return Err(RunError::Input(what));
        }
        let seen = loaded.encode(&frames)?;
        let goals = loaded.encode(&RunData::model_goals(&self.folder))?;
        if expectation == Expectation::Goal {
            let last = self.data.steps.last().map_or(0.0, |s| s.reached_pose[6]);
            let ends = goals.last().zip(seen.last());
            let end = ends.map(|(goal, seen)| Transition::at_end(goal, seen, last));
            return Ok(end.into_iter().collect());
        }
        let scenario = &self.scenario.scenario;
        let spec = EpisodeSpec::new(&self.scenario, scenario.seed);
        let extrinsics = spec.rollout_extrinsics(&loaded.model)?;
        let map = scenario.action_map();
        let steps = self.data.steps.iter().zip(seen.windows(2));
        steps
            .map(|(step, looks)| {
                let to_goal = |look: &Latent| {
                    goals
                        .get(step.subgoal_index)
                        .map_or(f32::NAN, |goal| look.distance(goal))
                };
                let planned = Action::from_array(step.planned_action());
                let transition = Transition {
                    subgoal: step.subgoal_index,
                    subgoal_step: step.subgoal_step,
                    action: expected_action(&planned, &Action::from_array(step.sent), &map),
                    closedness: [step.pose[6], step.reached_pose[6]],
                    before: looks[0].clone(),
                    expected: looks[0].clone(),
                    reached: looks[1].clone(),
                    goal_distance: [to_goal(&looks[0]), to_goal(&looks[1])],
                };
                let pose = Pose::from_array(step.pose);
                transition.expecting(&loaded.model, expectation, &pose, extrinsics)
            })
            .collect()
    }
}

fn is_run(folder: &Path) -> bool {
    folder.join("plan.jsonl").is_file()
}

/// Fits a monitor to those of `runs` that achieved their task and had no fault; with `trusting`,
/// also to those that nobody judged.
///
/// # Errors
/// [`RunError`] when they are too few, or the model fails.
pub fn fit_to(
    runs: &[WatchedRun],
    loaded: &LoadedModel,
    expectation: Expectation,
    false_alarms: f64,
    trusting: bool,
) -> Result<Fitted, RunError> {
    let good = |run: &&WatchedRun| run.fault().is_none() && run.success().unwrap_or(trusting);
    let good: Vec<&WatchedRun> = runs.iter().filter(good).collect();
    let Some(first) = good.first() else {
        return Err(RunError::Input(
            "none of these runs achieved its task without a fault; --trust takes runs that nobody judged".into(),
        ));
    };
    let header = FitHeader {
        scenario: &first.scenario.scenario,
        loaded,
        expectation,
        false_alarms,
    };
    fit(header, good.len(), |i| {
        good[i].transitions(loaded, expectation)
    })
}

/// What a monitor would have noticed in recorded runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitorTest {
    /// What latents are held against.
    pub expectation: Expectation,
    /// Runs without a fault that raise an alarm.
    pub false_alarms: Counted,
    /// Of each kind of fault, alarms within two actions of it.
    pub recall: BTreeMap<FaultKind, Counted>,
    /// The same of all faults.
    pub recall_in_all: Counted,
    /// Runs with a fault that raise an alarm before it.
    pub alarms_before_faults: Counted,
}

/// What latent success would have said of recorded runs, against what the simulator knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuccessTest {
    /// Runs that achieved their task: said to have, said not to have.
    pub achieved: [u64; 2],
    /// Runs that failed: said to have achieved it, said not to have.
    pub failed: [u64; 2],
    /// How often both agree.
    pub agreement: Counted,
}

/// Tries latent success on runs, by a fit to [`Expectation::Goal`].
///
/// # Errors
/// As [`try_on`].
pub fn try_success(
    runs: &[WatchedRun],
    loaded: &LoadedModel,
    goal: &Fitted,
) -> Result<SuccessTest, RunError> {
    if let Some(first) = runs.first() {
        goal.check(&first.scenario.scenario, loaded)?;
    }
    let said: Vec<Option<[bool; 2]>> = runs
        .par_iter()
        .map(|run| {
            let Some(truth) = run.success() else {
                return Ok(None);
            };
            let scores = goal.scores(&run.transitions(loaded, goal.expectation)?);
            let near = scores.iter().all(|s| s.score <= goal.threshold);
            Ok(Some([truth, near]))
        })
        .collect::<Result<_, RunError>>()?;
    let said: Vec<[bool; 2]> = said.into_iter().flatten().collect();
    let count = |truth, says| said.iter().filter(|s| **s == [truth, says]).count() as u64;
    let agree: Vec<bool> = said.iter().map(|[truth, says]| truth == says).collect();
    Ok(SuccessTest {
        achieved: [count(true, true), count(true, false)],
        failed: [count(false, true), count(false, false)],
        agreement: Counted::of(&agree),
    })
}

/// Tries a monitor on runs.
///
/// # Errors
/// [`RunError`] when it is another model's, or the model fails.
pub fn try_on(
    runs: &[WatchedRun],
    loaded: &LoadedModel,
    fitted: &Fitted,
) -> Result<MonitorTest, RunError> {
    let mut faults: BTreeMap<FaultKind, Vec<bool>> = BTreeMap::new();
    let (mut clean, mut before) = (Vec::new(), Vec::new());
    if let Some(first) = runs.first() {
        fitted.check(&first.scenario.scenario, loaded)?;
    }
    let alarms: Vec<Vec<bool>> = runs
        .par_iter()
        .map(|run| {
            let transitions = run.transitions(loaded, fitted.expectation)?;
            let scores = fitted.scores(&transitions);
            Ok(scores.iter().map(|s| s.score > fitted.threshold).collect())
        })
        .collect::<Result<_, RunError>>()?;
    for (run, alarms) in runs.iter().zip(alarms) {
        match run.fault() {
            None => clean.push(alarms.contains(&true)),
            Some((kind, at)) => {
                let end = (at + IN_TIME).min(alarms.len());
                faults
                    .entry(kind)
                    .or_default()
                    .push(alarms[at..end].contains(&true));
                before.push(alarms[..at].contains(&true));
            }
        }
    }
    let all: Vec<bool> = faults.values().flatten().copied().collect();
    Ok(MonitorTest {
        expectation: fitted.expectation,
        false_alarms: Counted::of(&clean),
        recall: faults
            .iter()
            .map(|(kind, in_time)| (*kind, Counted::of(in_time)))
            .collect(),
        recall_in_all: Counted::of(&all),
        alarms_before_faults: Counted::of(&before),
    })
}
