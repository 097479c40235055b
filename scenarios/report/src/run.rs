//! Plays a scenario once and leaves a run folder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use foresight_planner::PlanError;
use foresight_predictor::PredictorError;
use foresight_robot::ArmError;
use foresight_sim::SimError;
use serde::Serialize;

use crate::controllers::ModelSource;
use crate::env::Env;
use crate::episode::{self, EpisodeOutcome, EpisodeStep, Follow};
use crate::episode_spec::EpisodeSpec;
use crate::folder::{Hindsight, RunFolder};
use crate::load::LoadedScenario;
use crate::ScenarioError;

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario file.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Input(String),
    /// A goal image.
    #[error("can't read the goal image {}: {source}; give a PNG or JPEG", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// The model.
    #[error("can't use the model in {}: {source}", .dir.display())]
    Model {
        /// Its folder.
        dir: PathBuf,
        /// Why.
        source: Box<PredictorError>,
    },
    /// Planning.
    #[error("planning failed: {0}")]
    Imagination(String),
    /// The arm.
    #[error(transparent)]
    Arm(#[from] ArmError),
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] SimError),
    /// The run folder.
    #[error("can't write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl From<PredictorError> for RunError {
    fn from(error: PredictorError) -> Self {
        RunError::Imagination(error.to_string())
    }
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> Self {
        RunError::Imagination(error.to_string())
    }
}

impl RunError {
    /// A model that can't be used.
    pub fn model(dir: &Path, source: PredictorError) -> Self {
        RunError::Model {
            dir: dir.to_owned(),
            source: Box::new(source),
        }
    }

    /// A failed write.
    pub fn write(path: &Path, source: std::io::Error) -> Self {
        RunError::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the user can mend it in the scenario, the command or the files it names.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            RunError::Scenario(_) | RunError::Input(_) | RunError::Image { .. }
        )
    }
}

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The seed of scene and search.
    pub seed: u64,
    /// Folder that gets the run folder.
    pub out: PathBuf,
    /// In virtual time instead of over zenoh in real time.
    pub virtual_time: bool,
}

/// What a run came to: the object `run --json` ends with.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Targets the guard refused; 0 in normal operation.
    pub refused_targets: u64,
    /// The run folder.
    pub run_dir: PathBuf,
}

/// Plays a scenario once.
///
/// # Errors
/// [`RunError`] when scenario, model, arm or disk fail; the run folder keeps what was written.
pub fn run(
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &RunOptions,
    follow: &mut dyn Follow,
) -> Result<RunResult, RunError> {
    let instance = EpisodeSpec::new(loaded, options.seed);
    let path = RunFolder::fresh_path(&options.out, &instance);
    let (outcome, run_dir) = play_into(
        path,
        &instance,
        source,
        options.virtual_time,
        Hindsight::Full,
        follow,
    )?;
    Ok(result(&instance, &outcome, run_dir))
}

/// Plays an episode and leaves a run folder at `path`.
///
/// # Errors
/// As [`run`].
pub fn play_into(
    path: PathBuf,
    instance: &EpisodeSpec,
    source: &ModelSource,
    virtual_time: bool,
    hindsight: Hindsight,
    follow: &mut dyn Follow,
) -> Result<(EpisodeOutcome, PathBuf), RunError> {
    let images = instance.goal_images()?;
    let controller = source.controller(instance, &images)?;
    let mut folder = RunFolder::create(path, instance, source, &images)?;
    let mut env = if virtual_time {
        Env::in_virtual_time(instance)?
    } else {
        Env::in_real_time(instance)?
    };
    let view_px = crate::animation::PANEL_PX;
    folder.view(env.view(view_px))?;
    let mut recorder = Recorder {
        folder,
        follow,
        failed: None,
    };
    let played = episode::play(instance, &mut env, controller, Some(view_px), &mut recorder);
    // Before the report is written, which takes seconds: the arm is stopped and let go of.
    drop(env);
    let Recorder { folder, failed, .. } = recorder;
    if let Some(error) = failed {
        return Err(error);
    }
    let outcome = match played {
        Ok(outcome) => outcome,
        Err(error) => {
            // What was seen so far is worth a report; the error is what the user must hear.
            if folder.steps() > 0 {
                folder.abandon(&error.to_string(), instance)?;
            }
            return Err(error);
        }
    };
    let summary = result(instance, &outcome, folder.path().to_owned());
    let path = folder.finish(
        &outcome,
        &summary,
        instance,
        source,
        hindsight,
        virtual_time,
    )?;
    Ok((outcome, path))
}

fn result(instance: &EpisodeSpec, outcome: &EpisodeOutcome, run_dir: PathBuf) -> RunResult {
    RunResult {
        scenario: instance.loaded.scenario.name.clone(),
        seed: instance.seed,
        success: outcome.verdict.success,
        reason: outcome.verdict.reason.clone(),
        steps: outcome.steps,
        subgoals_reached: outcome.subgoals_reached,
        seconds_per_action: outcome.seconds_per_action,
        refused_targets: outcome.refused_targets,
        run_dir,
    }
}

/// Writes steps down on their way to whoever follows. A disk that refuses ends the episode.
struct Recorder<'a> {
    folder: RunFolder,
    follow: &'a mut dyn Follow,
    failed: Option<RunError>,
}

impl Follow for Recorder<'_> {
    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        self.follow.deciding(goal, goal_step)
    }

    fn step(&mut self, step: &EpisodeStep<'_>) {
        if self.failed.is_none() {
            self.failed = self.folder.step(step).err();
        }
        self.follow.step(step);
    }
}
