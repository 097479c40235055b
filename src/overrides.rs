//! What commands that plan share: overrides of a scenario, and where imagination comes from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};
use foresight_planner::PRESETS;
use foresight_predictor::{ComputeDevice, Precision};
use foresight_scenarios::say;
use foresight_scenarios::{LoadedScenario, ModelSource, RunError, ScenarioError};
use foresight_settings::Change;

use crate::workers::{share, WorkersArgs};

/// Overrides of a scenario file.
#[derive(Debug, Args)]
pub(crate) struct Overrides {
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
    /// Planner preset instead of the scenario's; the scenario's other planner keys stay, which are
    /// all of them in a run's `scenario.resolved.toml`.
    #[arg(long, value_parser = preset_names())]
    planner: Option<String>,
    /// Candidates per iteration instead of the scenario's.
    #[arg(long)]
    samples: Option<u32>,
    /// Iterations per decision instead of the scenario's.
    #[arg(long)]
    iterations: Option<u32>,
    /// Numbers that the networks' products are taken in instead of the scenario's: f32 or bf16.
    #[arg(long)]
    precision: Option<Precision>,
    /// Where the networks compute instead of where the scenario says: cpu, cuda, cuda:N, or
    /// candle-cpu, which does on the CPU what a GPU would.
    #[arg(long)]
    device: Option<ComputeDevice>,
    /// Recorded episodes whose frames may be waypoints of a plan at two levels, as proposals, or by
    /// themselves with planner.level_two.waypoints = "recorded".
    #[arg(long, value_name = "DATASET")]
    anchors: Option<PathBuf>,
    /// A map of planned translations, as `foresight calibrate --out` writes it.
    #[arg(long, value_name = "FILE")]
    action_map: Option<PathBuf>,
    /// Pursue this sentence, such as "put the red cup on the green disc", in place of the scenario's
    /// sub-goals: for models with a goal head, from `foresight train-goals`.
    #[arg(long, value_name = "SENTENCE")]
    say: Option<String>,
    #[command(flatten)]
    workers: WorkersArgs,
    #[command(flatten)]
    pub set: SetArgs,
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

impl Overrides {
    /// What the flags and `--set` change; later ones win.
    ///
    /// # Errors
    /// [`RunError`] for what is no KEY=VALUE and for a wrong action map.
    fn changes(&self) -> Result<Vec<Change>, RunError> {
        let text = |flag, path, value: String| Change::flag(flag, path, value);
        let mut changes = Vec::new();
        changes.extend(self.planner.as_deref().map(preset_change));
        changes.extend(
            self.samples
                .map(|n| Change::flag("--samples", "planner.samples", n)),
        );
        let iterations = self.iterations;
        changes.extend(iterations.map(|n| Change::flag("--iterations", "planner.iterations", n)));
        let precision = self.precision.map(|p| p.to_string());
        changes.extend(precision.map(|p| text("--precision", "model.precision", p)));
        let device = self.device.map(|d| d.to_string());
        changes.extend(device.map(|d| text("--device", "model.device", d)));
        if let Some(file) = &self.action_map {
            let map = read_map(file).map_err(|e| {
                RunError::Input(format!(
                    "{}: {e}; give a file of `foresight calibrate --out`",
                    file.display()
                ))
            })?;
            let rows = map.map(|row| row.to_vec()).to_vec();
            changes.push(Change::flag("--action-map", "robot.action_map_xy", rows));
        }
        changes.extend(Change::parse_all(&self.set.set)?);
        Ok(changes)
    }

    /// Reads a scenario, applies the overrides and loads what imagines.
    ///
    /// # Errors
    /// [`RunError`] for wrong files, settings or models.
    pub(crate) fn load(&self, file: &Path) -> Result<(LoadedScenario, ModelSource), RunError> {
        let mut loaded = told(LoadedScenario::read_changed(file, &self.changes()?)?);
        let source = match self.world {
            WorldName::Oracle => ModelSource::Oracle,
            WorldName::Model | WorldName::Dynamics => {
                let dir = match &self.model {
                    Some(dir) => dir.clone(),
                    None => loaded.model_dir()?,
                };
                let model = &loaded.scenario.model;
                let (device, precision) = (model.device, model.precision);
                let source = ModelSource::model_on(&dir, device, precision)?;
                let mut source = source.with_levels(
                    &loaded.scenario.planner,
                    self.anchors.as_deref(),
                    device,
                    precision,
                )?;
                let link = model
                    .workers
                    .clone()
                    .map(|l| l.based_in(&loaded.path(Path::new(""))));
                if let (Some(link), ModelSource::Latent(own)) =
                    (self.workers.over(link), &mut source)
                {
                    share(own, &link).map_err(|e| RunError::Input(format!("{e:#}")))?;
                }
                match (self.world, &self.policy) {
                    (_, Some(folder)) => source.with_policy(folder)?,
                    (WorldName::Dynamics, None) => source.with_true_dynamics(),
                    _ => source,
                }
            }
        };
        if let Some(sentence) = &self.say {
            say::instead(&mut loaded, sentence);
        }
        say::expand(&mut loaded, source.eyes().and_then(|e| e.head.as_deref()))?;
        if loaded.scenario.planner.levels > 1 && !matches!(source, ModelSource::Latent(_)) {
            tracing::warn!(
                "planner.levels = {} is for a model's own planning: {} plans at one level",
                loaded.scenario.planner.levels,
                source.describe()
            );
        }
        Ok((loaded, source))
    }
}

/// Changes of settings.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetArgs {
    /// Change a setting: a key of the scenario and its value, such as planner.samples=200; where
    /// there is no scenario, one of its planner.* keys. Several may be given; later ones win, and
    /// all of them over other flags.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// The planner's presets as a flag's values, each told by the first line of its file.
pub(crate) fn preset_names() -> PossibleValuesParser {
    let name = |(name, text): &(&'static str, &'static str)| {
        let about = text.lines().next().unwrap_or_default();
        let value = PossibleValue::new(*name).help(about.trim_start_matches(['#', ' ']));
        // As flags spelled it before presets were tables.
        value.aliases((*name == "stand_still").then_some("stand-still"))
    };
    PossibleValuesParser::new(PRESETS.tables.iter().map(name))
}

/// The change that choosing a preset is.
pub(crate) fn preset_change(name: &str) -> Change {
    Change::flag("--planner", "planner.preset", name.replace('-', "_"))
}

/// The map in a calibration's file.
fn read_map(file: &Path) -> Result<[[f64; 2]; 2], String> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let Some(map) = value.get("action_map_xy") else {
        return Err("it has no action_map_xy".into());
    };
    let map: [[f64; 2]; 2] = serde_json::from_value(map.clone()).map_err(|e| e.to_string())?;
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
pub(crate) fn read(file: &Path) -> Result<LoadedScenario, ScenarioError> {
    LoadedScenario::read(file).map(told)
}

/// Tells the hints about a scenario.
fn told(loaded: LoadedScenario) -> LoadedScenario {
    for hint in &loaded.hints {
        tracing::warn!("{hint}");
    }
    loaded
}

/// A flag that Ctrl-C raises; a second Ctrl-C ends the program at once.
pub(crate) fn interruption() -> Arc<AtomicBool> {
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
