//! What `run` and `eval` share: overrides of a scenario, and where imagination comes from.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use foresight_predictor::{ComputeDevice, Precision};
use foresight_scenarios::planner::{PrecisionName, Preset};
use foresight_scenarios::{LoadedScenario, ModelSource, RunError, ScenarioError};

/// Overrides of a scenario file.
#[derive(Debug, Args)]
pub struct Overrides {
    /// Model folder instead of the scenario's.
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Act by the policy in this folder (from `foresight clone`) instead of planning: a baseline.
    /// The model stays its eyes.
    #[arg(long, value_name = "DIR", conflicts_with = "world")]
    policy: Option<PathBuf>,
    /// What imagines the outcome of actions.
    #[arg(long, value_enum, default_value = "model")]
    world: WorldName,
    /// Planner preset instead of the scenario's; the scenario's other planner keys stay.
    #[arg(long, value_enum)]
    planner: Option<PresetName>,
    /// Candidates per iteration instead of the scenario's.
    #[arg(long)]
    samples: Option<usize>,
    /// Iterations per decision instead of the scenario's.
    #[arg(long)]
    iterations: Option<usize>,
    /// Numbers that the networks' products are taken in instead of the scenario's.
    #[arg(long, value_enum)]
    precision: Option<PrecisionOption>,
    /// Where the networks compute instead of where the scenario says: cpu, cuda, cuda:N, or
    /// candle-cpu, which does on the CPU what a GPU would.
    #[arg(long)]
    device: Option<ComputeDevice>,
    /// A map of planned translations, as `foresight calibrate --out` writes it.
    #[arg(long, value_name = "FILE")]
    action_map: Option<PathBuf>,
}

/// Numbers that products are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionOption {
    /// 32 bits.
    F32,
    /// Operands rounded to bf16, sums in 32 bits; f32 on machines that are no faster in it.
    Bf16,
}

impl From<PrecisionOption> for Precision {
    fn from(option: PrecisionOption) -> Precision {
        match option {
            PrecisionOption::F32 => Precision::F32,
            PrecisionOption::Bf16 => Precision::Bf16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WorldName {
    /// The world model.
    Model,
    /// The model's encoder and the simulator's own dynamics: an upper bound of any predictor.
    /// Slow; use few --samples and --iterations. In virtual time only.
    Dynamics,
    /// The goal poses and exact kinematics: an upper bound, blind to everything but the arm.
    Oracle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PresetName {
    /// 800 samples, 10 iterations, one step ahead.
    Paper,
    /// 400 samples, 10 iterations, two steps ahead.
    Notebook,
    /// 64 samples, 5 iterations, elites that compete again, one step ahead.
    Fast,
    /// iCEM: coloured noise, shrinking population, warm start.
    Icem,
    /// Baseline: never moves.
    StandStill,
    /// Baseline: random actions.
    Random,
}

impl Overrides {
    /// Reads a scenario, applies the overrides and loads what imagines.
    ///
    /// # Errors
    /// [`RunError`] for wrong files, settings or models.
    pub fn load(&self, file: &std::path::Path) -> Result<(LoadedScenario, ModelSource), RunError> {
        let mut loaded = LoadedScenario::read(file)?;
        let planner = &mut loaded.scenario.planner;
        if let Some(name) = self.planner {
            planner.preset = match name {
                PresetName::Paper => Preset::Paper,
                PresetName::Notebook => Preset::Notebook,
                PresetName::Fast => Preset::Fast,
                PresetName::Icem => Preset::Icem,
                PresetName::StandStill => Preset::StandStill,
                PresetName::Random => Preset::Random,
            };
        }
        planner.samples = self.samples.or(planner.samples);
        planner.iterations = self.iterations.or(planner.iterations);
        if self
            .samples
            .is_some_and(|s| planner.topk.is_none() && s < planner.cem().topk)
        {
            planner.topk = self.samples;
        }
        planner.validate().map_err(RunError::Input)?;
        if let Some(precision) = self.precision {
            planner.precision = Some(match precision {
                PrecisionOption::F32 => PrecisionName::F32,
                PrecisionOption::Bf16 => PrecisionName::Bf16,
            });
        }
        if let Some(device) = self.device {
            planner.device = Some(device.to_string());
        }
        let precision = planner.precision();
        let device = planner.device().map_err(RunError::Input)?;
        if let Some(file) = &self.action_map {
            let map = read_map(file).map_err(|e| {
                RunError::Input(format!(
                    "{}: {e}; give a file of `foresight calibrate --out`",
                    file.display()
                ))
            })?;
            loaded.scenario.robot.action_map_xy = Some(map);
        }
        let source = match self.world {
            WorldName::Oracle => ModelSource::Oracle,
            WorldName::Model | WorldName::Dynamics => {
                let dir = match &self.model {
                    Some(dir) => dir.clone(),
                    None => loaded.model_dir()?,
                };
                let source = ModelSource::model_on(&dir, device, precision)?;
                match (self.world, &self.policy) {
                    (_, Some(folder)) => source.with_policy(folder)?,
                    (WorldName::Dynamics, None) => source.with_true_dynamics(),
                    _ => source,
                }
            }
        };
        Ok((loaded, source))
    }
}

/// The map in a calibration's file.
fn read_map(file: &std::path::Path) -> Result<[[f64; 2]; 2], String> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let map: [[f64; 2]; 2] =
        serde_json::from_value(value["action_map_xy"].clone()).map_err(|e| e.to_string())?;
    let [[a, b], [c, d]] = map;
    if (a * d - b * c).abs() < 0.05 {
        return Err("its map is singular".into());
    }
    Ok(map)
}

/// Reads a scenario for commands that need no model.
///
/// # Errors
/// [`ScenarioError`] with file, line and remedy.
pub fn read(file: &std::path::Path) -> Result<LoadedScenario, ScenarioError> {
    LoadedScenario::read(file)
}

/// A flag that Ctrl-C raises; a second Ctrl-C ends the program at once.
pub fn interruption() -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("Ctrl-C will end the program at once: {error}");
    }
    raised
}
