//! What a scenario says of its monitor, and what the monitor says.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAlarm {
    /// It is told and written down; the run goes on.
    #[default]
    Warn,
    /// The arm holds until somebody says what next; where nobody can be asked the run ends.
    Hold,
    /// The hand goes back to where it last stood without an alarm, and the run ends.
    Retreat,
    /// The run goes back to the sub-goal that can mend what was lost.
    Retry,
    /// The arm is stopped and the run ends.
    Stop,
}

/// A monitor over a scenario's episodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// The file of `foresight monitor fit`, relative to the scenario file; `monitor-NAME.json` in
    /// the model folder, NAME being the scenario's, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What an alarm does.
    pub on_alarm: OnAlarm,
    /// How often a run may go back; then an alarm ends it.
    #[schemars(default = "retries")]
    #[serde(default = "retries")]
    pub retries: u32,
}

fn retries() -> u32 {
    2
}

/// An alarm, as a run's record keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Steps executed before the one whose outcome raised it.
    pub step: u32,
    /// Name of the sub-goal pursued.
    pub subgoal: String,
    /// The score, 1 at the threshold.
    pub score: f64,
    /// What differs from what.
    pub reason: String,
    /// What was done about it.
    pub done: String,
    /// Where in the picture what came differs; `None` in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<SurpriseMap>,
}

/// How surprising each token of a picture is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurpriseMap {
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
    /// `[N]`, 0 as usual, in units of the usual spread.
    pub tokens: Vec<f32>,
}

impl SurpriseMap {
    /// What maps are drawn up to, at least: what is usual stays dark.
    const USUAL_SPREADS: f32 = 6.0;

    /// The surprise that is drawn brightest.
    pub fn brightest(&self) -> f32 {
        self.tokens
            .iter()
            .copied()
            .fold(Self::USUAL_SPREADS, f32::max)
    }
}
