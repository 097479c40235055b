//! The `[planner]` section: a preset and what departs from it.

use std::time::Duration;

use foresight_planner::baseline::{RandomActions, StandStill};
use foresight_planner::{CemConfig, Component, SearchMethod, SearchSpace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How actions are searched for: a preset, and what departs from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlannerOptions {
    /// Where the settings start from.
    pub preset: Preset,
    /// Candidates per iteration.
    pub samples: Option<usize>,
    /// Iterations per decision.
    pub iterations: Option<usize>,
    /// Elites the distribution is refitted to.
    pub topk: Option<usize>,
    /// Steps planned ahead.
    pub horizon: Option<usize>,
    /// Bound of every translation per step and axis, m.
    pub box_m: Option<f64>,
    /// Bound of every rotation per step and axis, rad; only for searched rotations.
    pub rotation_rad: Option<f64>,
    /// Components searched; x, y, z and gripper when absent.
    pub dimensions: Option<Vec<DimensionName>>,
    /// Share of the old mean kept by an update, 0 to below 1.
    pub momentum_mean: Option<f64>,
    /// Share of the old standard deviation kept by an update, 0 to below 1.
    pub momentum_std: Option<f64>,
    /// The same for the gripper's mean.
    pub momentum_mean_gripper: Option<f64>,
    /// The same for the gripper's standard deviation.
    pub momentum_std_gripper: Option<f64>,
    /// Whether the mean is one of each iteration's candidates.
    pub mean_is_candidate: Option<bool>,
    /// How many elites of the last iteration compete again.
    pub keep_elites: Option<usize>,
    /// Longest a decision may take while the arm is held, s; then the arm's own watchdog stops
    /// it. 120 when absent.
    pub deadline_s: Option<f64>,
}

/// Named settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The paper's planner: 800 samples, 10 iterations, top 10, one step ahead, ± 0.075 m.
    #[default]
    Paper,
    /// The released notebook's: 400 samples, 10 iterations, top 10, two steps ahead, ± 0.05 m.
    Notebook,
    /// Baseline: never moves.
    StandStill,
    /// Baseline: random actions.
    Random,
}

/// A component of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DimensionName {
    /// Translation along x.
    X,
    /// Translation along y.
    Y,
    /// Translation along z.
    Z,
    /// Rotation about x.
    Rx,
    /// Rotation about y.
    Ry,
    /// Rotation about z.
    Rz,
    /// The gripper.
    Gripper,
}

impl From<DimensionName> for Component {
    fn from(name: DimensionName) -> Component {
        match name {
            DimensionName::X => Component::X,
            DimensionName::Y => Component::Y,
            DimensionName::Z => Component::Z,
            DimensionName::Rx => Component::Rx,
            DimensionName::Ry => Component::Ry,
            DimensionName::Rz => Component::Rz,
            DimensionName::Gripper => Component::Gripper,
        }
    }
}

/// Rotations searched without a stated bound stay within this, rad per step.
const DEFAULT_ROTATION_RAD: f64 = 0.15;
const DEFAULT_DEADLINE_S: f64 = 120.0;

impl PlannerOptions {
    /// The cross-entropy settings; those of a baseline are the paper's.
    pub fn cem(&self) -> CemConfig {
        let (mut config, preset_box_m) = match self.preset {
            Preset::Notebook => (CemConfig::notebook(), 0.05),
            Preset::Paper | Preset::StandStill | Preset::Random => (CemConfig::paper(), 0.075),
        };
        config.samples = self.samples.unwrap_or(config.samples);
        config.iterations = self.iterations.unwrap_or(config.iterations);
        config.topk = self.topk.unwrap_or(config.topk);
        config.horizon = self.horizon.unwrap_or(config.horizon);
        let momentum = &mut config.momentum;
        momentum.mean = self.momentum_mean.unwrap_or(momentum.mean);
        momentum.std = self.momentum_std.unwrap_or(momentum.std);
        let gripper = &mut config.momentum_gripper;
        gripper.mean = self.momentum_mean_gripper.unwrap_or(gripper.mean);
        gripper.std = self.momentum_std_gripper.unwrap_or(gripper.std);
        config.mean_is_candidate = self.mean_is_candidate.unwrap_or(config.mean_is_candidate);
        config.keep_elites = self.keep_elites.unwrap_or(config.keep_elites);
        let box_m = self.box_m.unwrap_or(preset_box_m);
        config.space = match &self.dimensions {
            None => SearchSpace::translation_and_gripper(box_m),
            Some(names) => {
                let components: Vec<Component> = names.iter().map(|n| (*n).into()).collect();
                let rotation_rad = self.rotation_rad.unwrap_or(DEFAULT_ROTATION_RAD);
                SearchSpace::of(&components, box_m, rotation_rad)
            }
        };
        config
    }

    /// The method the settings describe.
    pub fn method(&self) -> Box<dyn SearchMethod> {
        match self.preset {
            Preset::Paper | Preset::Notebook => Box::new(self.cem()),
            Preset::StandStill => Box::new(StandStill),
            Preset::Random => Box::new(RandomActions {
                space: self.cem().space,
            }),
        }
    }

    /// In a few words, for tables.
    pub fn describe(&self) -> String {
        match self.preset {
            Preset::StandStill => "standing still".into(),
            Preset::Random => "random actions".into(),
            Preset::Paper | Preset::Notebook => {
                let cem = self.cem();
                format!(
                    "{} × {}, horizon {}",
                    cem.samples, cem.iterations, cem.horizon
                )
            }
        }
    }

    /// Longest a decision may take while the arm is held.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.deadline_s.unwrap_or(DEFAULT_DEADLINE_S))
    }
}
