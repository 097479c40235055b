//! Settings of a fine-tuning run: the official recipe, a file over it, flags over that.

use std::path::Path;

use crate::latent_cache::Storage;
use crate::recipe::Optimisation;
use crate::trainable::Trainable;
use crate::{PredictorLossOptions, TrainingDevice};
use anyhow::{bail, Context, Result};
use foresight_datasets::{ClipOptions, ClipShape, Sampling, Unusable, View};
use foresight_predictor::transform::ImageTransform;
use foresight_predictor::{ComputeDevice, Precision};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The default settings with every field's meaning, as `--print-config` shows them.
pub const DEFAULT: &str = include_str!("default.toml");

/// All settings; `default.toml` documents them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Settings {
    pub data: Data,
    pub crop: Crop,
    pub loss: PredictorLossOptions,
    pub optimisation: Optimisation,
    pub trainable: Trainable,
    #[serde(default)]
    pub compute: Compute,
    pub memory: Memory,
    pub cache: Cache,
    pub run: Run,
    pub output: Output,
}

/// Clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Data {
    pub views: Vec<View>,
    pub frames: usize,
    pub fps: f64,
    pub sampling: Sampling,
    pub transform_frame: bool,
    pub unusable: Unusable,
    pub assumed_rate_hz: f64,
    pub frame_tolerance: usize,
    pub validation_share: f64,
    pub workers: usize,
}

/// What part of an image is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Crop {
    pub scale: [f64; 2],
    pub ratio: [f64; 2],
}

/// Where it computes. Runs begun before there was a choice computed on the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Compute {
    pub device: ComputeDevice,
    pub precision: Precision,
}

impl Compute {
    /// Where passes run when it isn't on our kernels.
    ///
    /// # Errors
    /// When the device doesn't answer or can't compute so.
    pub fn open(self) -> Result<Option<TrainingDevice>> {
        Ok(TrainingDevice::open(self.device, self.precision)?)
    }
}

/// How a step is kept small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Memory {
    pub micro_batch: usize,
    pub recompute: bool,
}

/// Latents on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Cache {
    pub enabled: bool,
    pub storage: Storage,
}

/// How often things happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Run {
    pub log_every: usize,
    pub validate_every: usize,
    pub checkpoint_every: usize,
    pub validation_clips: usize,
}

/// The resulting model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Output {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub dtype: Dtype,
}

/// Numbers weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Dtype {
    F32,
    Bf16,
    F16,
}

impl Settings {
    /// The defaults, `file` over them, and `changes`, each `key.of.it=value`, over that.
    ///
    /// # Errors
    /// Naming the file or the change, and what is wrong in it.
    pub fn resolve(file: Option<&Path>, changes: &[String]) -> Result<Self> {
        let mut table: Table = DEFAULT.parse().context("in the default settings")?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading the settings {}", path.display()))?;
            let over: Table = text
                .parse()
                .with_context(|| format!("in the settings {}", path.display()))?;
            lay_over(&mut table, over);
            // Here, so that the file is named and not a flag.
            let _: Settings = table
                .clone()
                .try_into()
                .with_context(|| format!("in the settings {}", path.display()))?;
        }
        for change in changes {
            lay_over(&mut table, parsed(change)?);
            let _: Settings = table
                .clone()
                .try_into()
                .with_context(|| format!("in --set {change}"))?;
        }
        table.try_into().context("in the settings")
    }

    /// What no type catches.
    ///
    /// # Errors
    /// Which setting can't be, and what it must be.
    pub fn check(&self, workers: usize) -> Result<()> {
        let positive = [
            ("optimisation.batch_size", self.optimisation.batch_size),
            ("memory.micro_batch", self.memory.micro_batch),
            ("run.validation_clips", self.run.validation_clips),
            ("optimisation.schedule.total_steps", self.steps()),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            bail!("{name} must be at least 1");
        }
        if !self.optimisation.batch_size.is_multiple_of(workers) {
            bail!(
                "optimisation.batch_size = {} can't be shared by {workers} processes; make it a \
                 multiple of {workers}",
                self.optimisation.batch_size
            );
        }
        self.compute.open()?;
        self.clip_shape().check().map_err(anyhow::Error::msg)?;
        if self.loss.auto_steps == 0 || self.loss.auto_steps >= self.data.frames {
            bail!(
                "loss.auto_steps = {} must be 1 to {}, one less than data.frames",
                self.loss.auto_steps,
                self.data.frames - 1
            );
        }
        if !(0.0..1.0).contains(&self.data.validation_share) {
            bail!("data.validation_share must be at least 0 and below 1");
        }
        for (name, [least, most]) in [("scale", self.crop.scale), ("ratio", self.crop.ratio)] {
            if !(least > 0.0 && least <= most && most.is_finite()) {
                bail!("crop.{name} must be [least, most], both above 0");
            }
        }
        Ok(())
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

    fn clip_shape(&self) -> ClipShape {
        ClipShape {
            frames: self.data.frames,
            fps: self.data.fps,
            sampling: self.data.sampling,
            ..ClipShape::default()
        }
    }

    /// How clips are drawn.
    pub fn clip_options(&self) -> ClipOptions {
        ClipOptions {
            shape: self.clip_shape(),
            views: self.data.views.clone(),
            transform_frame: self.data.transform_frame,
            unusable: self.data.unusable,
            assumed_rate_hz: self.data.assumed_rate_hz,
            frame_tolerance: self.data.frame_tolerance,
            seed: self.optimisation.seed,
        }
    }

    /// How frames become input of an encoder that takes `size` `[height, width]` px.
    pub fn transform(&self, size: [usize; 2]) -> ImageTransform {
        ImageTransform::with_crop(size, self.crop.scale, self.crop.ratio)
    }
}

/// `key.of.it=value` as a table. A value that is no TOML is taken for text, so that quotes
/// needn't survive a shell.
fn parsed(change: &str) -> Result<Table> {
    let Some((key, value)) = change.split_once('=') else {
        bail!("--set {change}: write KEY=VALUE, e.g. data.fps=5");
    };
    let quoted = format!("{} = {:?}", key.trim(), value.trim());
    format!("{} = {}", key.trim(), value.trim())
        .parse::<Table>()
        .or_else(|_| quoted.parse())
        .with_context(|| format!("in --set {change}"))
}

/// Values of `over` in place of those of `table`, table by table.
fn lay_over(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => lay_over(inner, over),
            // A whole number where a fraction stands: 5 for 5.0.
            (Some(there @ Value::Float(_)), Value::Integer(number)) => {
                *there = Value::Float(number as f64);
            }
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WsdSchedule;

    fn set(changes: &[&str]) -> Result<Settings> {
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        Settings::resolve(None, &changes)
    }

    #[test]
    fn the_defaults_are_the_official_recipe() {
        let settings = set(&[]).unwrap();
        settings.check(1).unwrap();
        assert_eq!(settings.optimisation.schedule, WsdSchedule::default());
        assert_eq!(settings.loss, PredictorLossOptions::default());
        assert_eq!(settings.trainable, Trainable::default());
        let clips = ClipOptions::default();
        assert_eq!(settings.clip_options(), clips);
        assert!(settings.transform([256, 256]).is_fixed());
        assert_eq!(settings.optimisation.batch_size, 256);
    }

    #[test]
    fn changes_apply_in_order_and_wrong_ones_are_named() {
        let settings = set(&[
            "data.fps=5",
            "data.sampling=legacy",
            "optimisation.clip_norm=1.0",
            "data.views=[\"left\", \"wrist\"]",
            "data.fps=6.5",
        ])
        .unwrap();
        assert_eq!(settings.data.fps, 6.5);
        assert_eq!(settings.data.sampling, Sampling::Legacy);
        assert_eq!(settings.optimisation.clip_norm, Some(1.0));
        assert_eq!(settings.data.views.len(), 2);
        for wrong in ["data.fsp=5", "data.fps", "data.fps=fast", "=3", "loss=1"] {
            let error = format!("{:#}", set(&[wrong]).unwrap_err());
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn impossible_settings_are_refused_with_their_name() {
        for (change, name) in [
            ("optimisation.batch_size=0", "batch_size"),
            ("optimisation.batch_size=7", "multiple of 2"),
            ("memory.micro_batch=0", "micro_batch"),
            ("loss.auto_steps=8", "auto_steps"),
            ("data.frames=1", "frames"),
            ("data.validation_share=1.0", "validation_share"),
            ("crop.scale=[1.0, 0.5]", "crop.scale"),
            ("compute.precision=bf16", "GPUs only"),
        ] {
            let error = set(&[change]).unwrap().check(2).unwrap_err().to_string();
            assert!(error.contains(name), "{change}: {error}");
        }
    }

    #[test]
    fn a_shorter_run_keeps_its_shape() {
        let mut settings = set(&[]).unwrap();
        settings.set_steps(2_100);
        let schedule = settings.optimisation.schedule;
        assert_eq!((schedule.warmup_steps, schedule.anneal_steps), (100, 100));
        settings.set_rate(8.5e-5);
        let schedule = settings.optimisation.schedule;
        assert!((schedule.start - 1.5e-5).abs() < 1e-12);
    }
}
