//! The `[planner]` section: a preset and what departs from it.

use std::time::Duration;

use foresight_planner::baseline::{RandomActions, StandStill};
use foresight_planner::{
    CemConfig, Component, Halved, MppiConfig, Refined, SearchMethod, SearchSpace, WarmStart,
};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::{ComputeDevice, Precision};
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
    /// How the distribution is refitted; `cem` when absent.
    pub method: Option<MethodName>,
    /// Share of the samples that each further iteration draws, above 0 and at most 1.
    pub population_decay: Option<f64>,
    /// Exponent of the noise's power spectrum over the planned steps: 0 is white, 2 keeps
    /// actions going in one direction. Matters beyond one step.
    pub noise_colour: Option<f64>,
    /// Whether a decision starts from what the last plan would have done next.
    pub warm_start: Option<bool>,
    /// Share of the first standard deviation that a warm start begins with.
    pub warm_start_std: Option<f64>,
    /// Whether the best candidate met is executed rather than the mean of the elites.
    pub execute_best: Option<bool>,
    /// Temperature of `mppi` over the spread of the energies; 0.1 when absent.
    pub temperature: Option<f64>,
    /// Successive halving: share of the predictor's blocks that candidates are previewed with.
    pub preview_share: Option<f64>,
    /// Successive halving: share of the previewed candidates whose energies are computed; 0.25
    /// when absent.
    pub preview_kept: Option<f64>,
    /// Gradient steps through the predictor after the search; 0 when absent.
    pub refine_steps: Option<usize>,
    /// Sequences that go downhill together: the result and the best elites; 4 when absent.
    pub refine_starts: Option<usize>,
    /// Length of the first gradient step as a share of each bound; 0.2 when absent.
    pub refine_step_share: Option<f64>,
    /// Entries of a latent are weighed by how far they are from the goal's when its pursuit begins,
    /// divided by how much moving the arm changes them, to this power, 0 to 8: what is wrong and
    /// not set right by moving alone counts most. 0, the paper's plain L1, when absent.
    pub unresolved_power: Option<f64>,
    /// Numbers that the networks' products are taken in; `bf16` when absent, which is f32 on
    /// machines that are no faster in it.
    pub precision: Option<PrecisionName>,
    /// Where the networks compute: `cpu`, `cuda` or `cuda:N` for the GPU of that number, or
    /// `candle-cpu`, which does on the CPU what a GPU would. `cpu` when absent.
    #[schemars(regex(pattern = r"^(cpu|cuda(:[0-9]+)?|candle-cpu)$"))]
    pub device: Option<String>,
    /// Longest a decision may take while the arm is held, s; then the arm's own watchdog stops
    /// it. 120 when absent.
    pub deadline_s: Option<f64>,
}

/// Named settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The paper's planner: 800 samples, 10 iterations, top 10, one step ahead, ± 0.075 m.
    Paper,
    /// The released notebook's: 400 samples, 10 iterations, top 10, two steps ahead, ± 0.05 m.
    Notebook,
    /// The quick one: 64 samples, 5 iterations, elites that compete again, one step ahead,
    /// ± 0.075 m. The default.
    #[default]
    Fast,
    /// iCEM: coloured noise, a shrinking population, elites that compete again, a warm start.
    Icem,
    /// Baseline: never moves.
    StandStill,
    /// Baseline: random actions.
    Random,
}

/// How a search learns from its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// The distribution is refitted to the elites.
    Cem,
    /// Every candidate pulls at the mean, the better the harder.
    Mppi,
}

/// Numbers that products are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionName {
    /// 32 bits.
    F32,
    /// Operands rounded to bf16, sums in 32 bits.
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Precision {
        match name {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
        }
    }
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
const DEFAULT_TEMPERATURE: f64 = 0.1;
const DEFAULT_KEPT: f64 = 0.25;
const DEFAULT_STARTS: usize = 4;
const DEFAULT_STEP_SHARE: f64 = 0.2;

impl PlannerOptions {
    /// The cross-entropy settings; those of a baseline are the paper's.
    pub fn cem(&self) -> CemConfig {
        let (mut config, preset_box_m) = match self.preset {
            Preset::Notebook => (CemConfig::notebook(), 0.05),
            Preset::Fast => (CemConfig::fast(), 0.075),
            Preset::Icem => (CemConfig::icem(), 0.075),
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
        config.population_decay = self.population_decay.unwrap_or(config.population_decay);
        config.noise_colour = self.noise_colour.unwrap_or(config.noise_colour);
        config.execute_best = self.execute_best.unwrap_or(config.execute_best);
        config.warm_start = match (self.warm_start, self.warm_start_std) {
            (Some(false), _) => WarmStart::Cold,
            (_, Some(share)) => WarmStart::Narrow(share),
            (Some(true), None) => WarmStart::Mean,
            (None, None) => config.warm_start,
        };
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

    /// Checks every setting of the search.
    ///
    /// # Errors
    /// A sentence that begins with the setting's key.
    pub fn validate(&self) -> Result<(), String> {
        for (key, value) in [
            ("temperature", self.temperature),
            ("preview_share", self.preview_share),
            ("preview_kept", self.preview_kept),
            ("refine_step_share", self.refine_step_share),
            ("warm_start_std", self.warm_start_std),
        ] {
            if let Some(value) = value.filter(|v| !(*v > 0.0 && *v <= 1.0)) {
                return Err(format!(
                    "{key} is {value}; give a number above 0 and at most 1"
                ));
            }
        }
        for (key, value, most) in [
            ("refine_steps", self.refine_steps, 1000),
            ("refine_starts", self.refine_starts, 64),
        ] {
            if let Some(value) = value.filter(|v| *v > most) {
                return Err(format!("{key} is {value}; give a number up to {most}"));
            }
        }
        if let Some(power) = self.unresolved_power {
            GoalWeighting::unresolved(power).map_err(|e| format!("unresolved_power: {e}"))?;
        }
        self.device()?;
        self.cem().validate()
    }

    /// The method the settings describe: a distribution that is refitted, sifted by previews and
    /// refined by gradients where asked for.
    pub fn method(&self) -> Box<dyn SearchMethod> {
        let cem = self.cem();
        let space = cem.space.clone();
        match self.preset {
            Preset::StandStill => return Box::new(StandStill),
            Preset::Random => return Box::new(RandomActions { space }),
            Preset::Paper | Preset::Notebook | Preset::Fast | Preset::Icem => {}
        }
        let mut method: Box<dyn SearchMethod> = match self.method {
            None | Some(MethodName::Cem) => Box::new(cem),
            Some(MethodName::Mppi) => Box::new(MppiConfig {
                sampling: cem,
                temperature: self.temperature.unwrap_or(DEFAULT_TEMPERATURE),
            }),
        };
        if let Some(preview_share) = self.preview_share {
            method = Box::new(Halved {
                method,
                preview_share,
                kept_share: self.preview_kept.unwrap_or(DEFAULT_KEPT),
            });
        }
        if let Some(steps) = self.refine_steps.filter(|steps| *steps > 0) {
            method = Box::new(Refined {
                method,
                space,
                starts: self.refine_starts.unwrap_or(DEFAULT_STARTS),
                steps,
                step_share: self.refine_step_share.unwrap_or(DEFAULT_STEP_SHARE),
            });
        }
        method
    }

    /// Where the networks compute.
    ///
    /// # Errors
    /// When the key names no device.
    pub fn device(&self) -> Result<ComputeDevice, String> {
        match &self.device {
            Some(name) => name.parse().map_err(|e| format!("device: {e}")),
            None => Ok(ComputeDevice::Cpu),
        }
    }

    /// Numbers that the networks' products are taken in.
    pub fn precision(&self) -> Precision {
        self.precision.map_or(Precision::Bf16, Precision::from)
    }

    /// How differences to a goal are weighed; uniformly where the setting is impossible, which
    /// [`PlannerOptions::validate`] has refused.
    pub fn weighting(&self) -> GoalWeighting {
        let power = self.unresolved_power.unwrap_or(0.0);
        GoalWeighting::unresolved(power).unwrap_or(GoalWeighting::UNIFORM)
    }

    /// In a few words, for tables.
    pub fn describe(&self) -> String {
        match self.preset {
            Preset::StandStill => "standing still".into(),
            Preset::Random => "random actions".into(),
            Preset::Paper | Preset::Notebook | Preset::Fast | Preset::Icem => {
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
