//! What can go wrong when recording.

use foresight_datasets::DatasetError;
use foresight_robot::ArmError;
use foresight_scenarios::ScenarioError;
use foresight_sim::SimError;

/// Why nothing could be recorded at all.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// The disk, or a seed that may not be recorded.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A scene could not be built.
    #[error("the simulator could not be built: {0}")]
    Simulator(#[from] SimError),
    /// The arm could not be driven.
    #[error(transparent)]
    Arm(#[from] ArmError),
}
