//! Settings of training runs: defaults, a file over them, flags over that.
//!
//! Fine-tuning's defaults are the official recipe, `default.toml`; `training.toml` over it are
//! those of a predictor that begins with random weights on recordings of ours. A recipe of an
//! encoder or a policy has the tables `data` and `crop` in common with them.

mod tables;

use std::path::Path;

use anyhow::{bail, Context, Result};
use foresight_datasets::{ClipOptions, Draws};
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
        let settings: Settings = layered(
            training_defaults()?,
            &RENAMED_IN_RECIPES,
            Some(file),
            changes,
        )?;
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
        TrainingDevice::check(self.compute.device, self.compute.precision)?;
        let shape = self.clip_options().shape;
        shape.check().map_err(anyhow::Error::msg)?;
        if self.data.frames < 2 {
            bail!(
                "data.frames = {} must be at least 2: one has no action",
                self.data.frames
            );
        }
        if self.loss.auto_steps == 0 || self.loss.auto_steps >= self.data.frames {
            bail!(
                "loss.auto_steps = {} must be 1 to {}, one less than data.frames",
                self.loss.auto_steps,
                self.data.frames - 1
            );
        }
        self.check_emphasis()?;
        self.check_adapters()?;
        if !(0.0..1.0).contains(&self.data.validation_share) {
            bail!("data.validation_share must be at least 0 and below 1");
        }
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
        for (name, weight) in [
            ("latent_weight", loss.latent_weight),
            ("whitened_weight", loss.whitened_weight),
            ("rollout_weight", loss.rollout_weight),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                bail!("loss.{name} = {weight} must be a number of at least 0");
            }
        }
        let surprising = self.data.surprising;
        if !(surprising.is_finite() && surprising > 0.0) {
            bail!("data.surprising = {surprising} must be a number above 0");
        }
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
mod tests {
    use foresight_datasets::Sampling;

    use super::*;
    use crate::WsdSchedule;

    fn tiny() -> EncoderConfig {
        serde_json::from_value(serde_json::json!({
            "img_size": [64, 64], "patch_size": 16, "num_frames": 2, "tubelet_size": 2,
            "embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 4.0,
        }))
        .unwrap()
    }

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
        assert_eq!(settings.trainable, FreezeConfig::default());
        let clips = ClipOptions::default();
        assert_eq!(settings.clip_options(), clips);
        assert!(settings.transform(&tiny()).unwrap().is_fixed());
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
            ("loss.whitened_weight=-1.0", "loss.whitened_weight"),
            ("data.surprising=4.0", "loss.metric"),
            ("compute.precision=bf16", "GPUs only"),
        ] {
            let error = set(&[change]).unwrap().check(2).unwrap_err().to_string();
            assert!(error.contains(name), "{change}: {error}");
        }
    }

    /// Whoever makes a transform of it, not only fine-tuning's settings.
    #[test]
    fn an_impossible_crop_makes_no_transform() {
        let crop = Crop {
            scale: [0.5, 1.0],
            ratio: [2.0, 1.0],
        };
        let error = Crop::transform(Some(&crop), &tiny()).unwrap_err();
        assert!(error.to_string().contains("crop.ratio"), "{error}");
    }

    #[test]
    fn recipes_with_the_old_keys_say_what_the_new_ones_say() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            Settings::recipe(&file, &["optimisation.batch_size=8".into()])
        };
        let old = of(
            "old.toml",
            "clip_frames = 3\ngripper_event_factor = 3.0\nstart_at_persistence = true\n\
             euler_around_rad = [3.0, 0.0, 0.0]\n\
             [predictor]\npredictor_embed_dim = 128\ndepth = 4\nnum_heads = 4\n\
             [action_space]\nfps = 4.0\nmax_translation_m = 0.05\nmax_rotation_rad = 0.0\n",
        );
        let new = of(
            "new.toml",
            "[data]\nframes = 3\ngripper_events = 3.0\n\
             [predictor]\npredictor_embed_dim = 128\ndepth = 4\nnum_heads = 4\n\
             start_at_persistence = true\neuler_around_rad = [3.0, 0.0, 0.0]\n\
             action_space = { fps = 4.0, max_translation_m = 0.05, max_rotation_rad = 0.0 }\n",
        )
        .unwrap();
        assert_eq!(old.unwrap(), new);
        new.check(1).unwrap();
        assert_eq!(new.data.sampling, Sampling::Consecutive);
        assert_eq!((new.crop, new.data.draws), (None, DrawBy::Clip));
        let none = of("none.toml", "[data]\nframes = 3\n").unwrap_err();
        assert!(none.to_string().contains("[predictor]"), "{none}");
        // Policies have keys of their own by those names.
        let policy = folder.path().join("policy.toml");
        let text = "farthest_goal_steps = 8\neuler_around_rad = [3.0, 0.0, 0.0]\n\
                    [policy]\nchannels = [8, 8]\nhidden = 16\n\
                    [optimisation]\nseed = 3\nbatch_size = 64\nweight_decay = 0.04\n\
                    schedule = { start = 1e-4, reference = 1e-3, last = 1e-5, warmup_steps = 1, \
                    anneal_steps = 8, total_steps = 24 }\n";
        std::fs::write(&policy, text).unwrap();
        let recipe: crate::recipe::CloneRecipe = read_recipe(&policy, &[]).unwrap();
        assert_eq!(recipe.euler_around_rad, Some([3.0, 0.0, 0.0]));
        assert_eq!(recipe.data.sampling, Sampling::Consecutive);
        assert_eq!(
            set(&["data.unusable=skip"]).unwrap(),
            set(&["data.on_bad_episode=skip"]).unwrap()
        );
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
