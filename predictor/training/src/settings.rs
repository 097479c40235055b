//! Settings of training runs: defaults, a file over them, flags over that.
//!
//! Fine-tuning's defaults are the official recipe, `default.toml`; `training.toml` over it are
//! those of a predictor that begins with random weights on recordings of ours. A recipe of an
//! encoder or a policy has the tables `data` and `crop` in common with them.

mod tables;

use std::path::Path;

use anyhow::{bail, Context, Result};
use foresight_datasets::{ClipOptions, Draws};
use foresight_predictor::config::{check_numbers, ABOVE_0, FROM_0};
use foresight_predictor::{ComputeDevice, EncoderConfig};
use foresight_settings::{lay_over, parse, Renamed, SourceTable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::adapters::AdapterConfig;
use crate::frame_transform::FrameTransform;
use crate::freeze::FreezeConfig;
use crate::optimisation::Optimisation;
use crate::{LatentMetric, PredictorLossOptions, TrainingDevice};

use tables::next_step;
pub use tables::{Cache, Compute, Crop, Data, DrawBy, Memory, NewPredictor, Output, Run};

/// The default settings with every field's meaning, as `finetune --print-config` shows them.
pub const DEFAULT: &str = include_str!("default.toml");
/// What is different by default where a predictor begins with random weights.
const TRAINING: &str = include_str!("training.toml");

/// Steps of a second level's actions, [least, most], where nobody says.
const LEVEL_TWO_JUMPS: [usize; 2] = [1, 4];
/// Keys of older settings, and what they are called now.
const RENAMED: [Renamed; 1] = [Renamed::new("data.unusable", "data.on_bad_episode")];
/// The same with those of older recipes of predictors.
const RENAMED_IN_RECIPES: [Renamed; 6] = [
    RENAMED[0],
    Renamed::new("clip_frames", "data.frames"),
    Renamed::new("gripper_event_factor", "data.gripper_events"),
    Renamed::new("euler_around_rad", "predictor.euler_around_rad"),
    Renamed::new("start_at_persistence", "predictor.start_at_persistence"),
    Renamed::new("action_space", "predictor.action_space"),
];

/// All settings; `default.toml` documents them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Settings {
    pub data: Data,
    /// Absent: frames are taken as they are and must have the encoder's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// The predictor that begins with random weights; absent where one is fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor: Option<NewPredictor>,
    pub loss: PredictorLossOptions,
    pub optimisation: Optimisation,
    pub trainable: FreezeConfig,
    /// Absent: the parameters themselves are trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<AdapterConfig>,
    #[serde(default)]
    pub compute: Compute,
    pub memory: Memory,
    pub cache: Cache,
    pub run: Run,
    pub output: Output,
}

impl Settings {
    /// Fine-tuning: the defaults, `file` over them, and `changes`, each `key.of.it=value`, over
    /// that.
    ///
    /// # Errors
    /// Naming the file or the change, and what is wrong in it.
    pub fn resolve(file: Option<&Path>, changes: &[String]) -> Result<Self> {
        layered(parsed(DEFAULT)?, &RENAMED, file, changes)
    }

    /// Training from random weights: a recipe over the defaults, and `changes` over that.
    ///
    /// # Errors
    /// As [`Settings::resolve`]; when the recipe describes no predictor.
    pub fn recipe(file: &Path, changes: &[String]) -> Result<Self> {
        let defaults = training_defaults()?;
        let settings: Settings = layered(defaults, &RENAMED_IN_RECIPES, Some(file), changes)?;
        if settings.predictor.is_none() {
            bail!(
                "{} describes no predictor: add [predictor] with predictor_embed_dim, depth and \
                 num_heads",
                file.display()
            );
        }
        Ok(settings)
    }

    /// What no type catches.
    ///
    /// # Errors
    /// Which setting can't be, and what it must be.
    pub fn check(&self, workers: usize) -> Result<()> {
        check(&self.data, &self.optimisation, 1)?;
        let (loss, frames) = (&self.loss, self.data.frames);
        let (clips, directions) = (self.run.validation_clips, loss.whitened_directions);
        let [any, before] = [f64::INFINITY, frames.saturating_sub(1) as f64];
        let numbers = [
            ("memory.micro_batch", self.memory.micro_batch, [1.0, any]),
            ("run.validation_clips", clips, [1.0, any]),
            ("loss.whitened_directions", directions, [1.0, any]),
            // A frame alone has no action.
            ("data.frames", frames, [2.0, any]),
            ("loss.auto_steps", loss.auto_steps, [1.0, before]),
        ];
        let numbers = numbers.map(|(key, value, bounds)| (key, value as f64, bounds));
        check_numbers("", &numbers).map_err(anyhow::Error::msg)?;
        if !self.optimisation.batch_size.is_multiple_of(workers) {
            bail!(
                "optimisation.batch_size = {} can't be shared by {workers} processes; make it a \
                 multiple of {workers}",
                self.optimisation.batch_size
            );
        }
        TrainingDevice::check(self.compute.device, self.compute.precision)?;
        let shape = self.clip_options().shape;
        shape.check().map_err(anyhow::Error::msg)?;
        self.check_emphasis()?;
        self.check_adapters()?;
        self.crop.as_ref().map_or(Ok(()), Crop::check)
    }

    /// Adapters learn beside weights that are there, on our kernels.
    fn check_adapters(&self) -> Result<()> {
        let Some(adapters) = &self.adapters else {
            return Ok(());
        };
        adapters.check().map_err(anyhow::Error::msg)?;
        if self.predictor.is_some() {
            bail!("adapters are for `finetune`: a predictor with random weights needs all of them");
        }
        if self.compute.device != ComputeDevice::Cpu {
            bail!("adapters learn on the CPU's kernels: set compute.device = \"cpu\"");
        }
        Ok(())
    }

    fn check_emphasis(&self) -> Result<()> {
        let loss = &self.loss;
        let surprising = self.data.surprising;
        let numbers = [
            ("loss.latent_weight", loss.latent_weight, FROM_0),
            ("loss.whitened_weight", loss.whitened_weight, FROM_0),
            ("loss.rollout_weight", loss.rollout_weight, FROM_0),
            ("loss.loss_exp", loss.loss_exp, ABOVE_0),
            ("data.surprising", f64::from(surprising), ABOVE_0),
        ];
        check_numbers("", &numbers).map_err(anyhow::Error::msg)?;
        if surprising == 1.0 {
            return Ok(());
        }
        if loss.metric != LatentMetric::Whitened {
            bail!(
                "data.surprising = {surprising} needs loss.metric = \"whitened\", whose directions \
                 tell what is surprising"
            );
        }
        if self.data.draws != DrawBy::Clip || !self.cache.enabled {
            bail!(
                "data.surprising = {surprising} needs data.draws = \"clip\" and cache.enabled = \
                 true: every clip is looked at once before training"
            );
        }
        Ok(())
    }

    /// Makes them settings of a first level, 1, or a second, 2, whose actions take several steps.
    ///
    /// # Errors
    /// When `data.jump_steps` are those of the other level.
    pub fn for_level(&mut self, level: u8) -> Result<()> {
        let jumps = self.data.jump_steps;
        match (level, jumps == next_step()) {
            (1, true) | (2, false) => {}
            (2, true) => self.data.jump_steps = LEVEL_TWO_JUMPS,
            (1, false) => {
                bail!("data.jump_steps = {jumps:?} makes a second level: train it with --level 2")
            }
            _ => bail!("level {level} is not 1 or 2"),
        }
        Ok(())
    }

    /// Whether a second level is trained.
    pub fn is_level_two(&self) -> bool {
        self.data.jump_steps != next_step()
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        self.optimisation.schedule.total_steps
    }

    /// Changes the length of the run, and of warm-up and decay in proportion.
    pub fn set_steps(&mut self, steps: usize) {
        let schedule = &mut self.optimisation.schedule;
        let share = steps as f64 / schedule.total_steps.max(1) as f64;
        let scaled = |part: usize| (part as f64 * share).round() as usize;
        schedule.warmup_steps = scaled(schedule.warmup_steps);
        schedule.anneal_steps = scaled(schedule.anneal_steps);
        schedule.total_steps = steps;
    }

    /// Changes the learning rate that is held, and the others in proportion.
    pub fn set_rate(&mut self, rate: f64) {
        let schedule = &mut self.optimisation.schedule;
        let share = rate / schedule.reference;
        schedule.start *= share;
        schedule.last *= share;
        schedule.reference = rate;
    }

    /// How clips to train on are drawn.
    pub fn clip_options(&self) -> ClipOptions {
        self.options_for(self.optimisation.batch_size)
    }

    /// How clips to validate on are drawn: none is left out because it fills no step.
    pub fn held_out_options(&self) -> ClipOptions {
        self.options_for(1)
    }

    fn options_for(&self, batch: usize) -> ClipOptions {
        let draws = match self.data.draws {
            DrawBy::Episode => Draws::Episode,
            DrawBy::Clip => Draws::Clip {
                gripper_events: self.data.gripper_events,
                batch,
            },
        };
        self.data.clip_options(draws, self.optimisation.seed)
    }

    /// How frames become the input of an encoder.
    ///
    /// # Errors
    /// As [`Crop::check`].
    pub fn transform(&self, encoder: &EncoderConfig) -> Result<FrameTransform> {
        Crop::transform(self.crop.as_ref(), encoder)
    }
}

/// What no type catches of what every recipe has: which clips, and how weights are moved in at least so
/// many steps.
pub(crate) fn check(data: &Data, optimisation: &Optimisation, least_steps: usize) -> Result<()> {
    let checked = data.check().and_then(|()| optimisation.check(least_steps));
    checked.map_err(anyhow::Error::msg)
}

/// A recipe of an encoder or a policy: what it says over the defaults of the table `data`.
///
/// # Errors
/// Naming file and line, or the change, of what is wrong.
pub fn read_recipe<T: DeserializeOwned>(file: &Path, changes: &[String]) -> Result<T> {
    let mut data = SourceTable::default();
    if let Some((key, value)) = training_defaults()?.remove_entry("data") {
        data.insert(key, value);
    }
    layered(data, &RENAMED, Some(file), changes)
}

fn training_defaults() -> Result<SourceTable<'static>> {
    let mut defaults = parsed(DEFAULT)?;
    defaults.remove("crop");
    lay_over(&mut defaults, parsed(TRAINING)?);
    Ok(defaults)
}

fn parsed(defaults: &'static str) -> Result<SourceTable<'static>> {
    parse(defaults).context("in the default settings")
}

/// A file and changes over defaults; tells the hints.
fn layered<T: DeserializeOwned>(
    defaults: SourceTable<'static>,
    renamed: &[Renamed],
    file: Option<&Path>,
    changes: &[String],
) -> Result<T> {
    let (settings, hints) = foresight_settings::layered(&defaults, renamed, file, changes)?;
    for hint in hints {
        tracing::warn!("{hint}");
    }
    Ok(settings)
}

#[cfg(test)]
#[path = "../tests/unit/settings.rs"]
mod tests;
