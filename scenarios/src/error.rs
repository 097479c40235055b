//! Why a scenario could not be played: the one error of everything that reads, plays, records or
//! reports scenarios.

use std::error::Error;
use std::path::{Path, PathBuf};

use foresight_datasets::picture::PictureError;
use foresight_planner::PlanError;
use foresight_predictor::PredictorError;
use foresight_robot::ArmError;
use foresight_sim::SimError;

use foresight_settings::SettingsError as ScenarioError;

/// What can end in a [`RunError`].
pub type RunResult<T> = Result<T, RunError>;

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario file.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Input(String),
    /// A sentence that is no goal, here or anywhere.
    #[error("not understood: {0}; nothing is moved")]
    NotUnderstood(String),
    /// A goal image.
    #[error("goal image {0}")]
    Image(#[from] PictureError),
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
    /// The monitor.
    #[error("monitor: {0}")]
    Monitor(String),
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

    /// A failed write, for whatever reason.
    pub fn write(path: &Path, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        RunError::Write {
            path: path.to_owned(),
            source: std::io::Error::other(reason),
        }
    }

    /// Whether the user can mend it in the scenario, the command or the files it names.
    pub fn is_input(&self) -> bool {
        match self {
            RunError::Scenario(_)
            | RunError::Input(_)
            | RunError::NotUnderstood(_)
            | RunError::Image(_)
            | RunError::Write { .. } => true,
            RunError::Arm(error) => error.is_input(),
            _ => false,
        }
    }
}
