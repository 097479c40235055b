//! The tables of training settings, each with what follows from it.

use std::num::NonZeroUsize;

use anyhow::{bail, Result};
use foresight_datasets::{ClipOptions, ClipShape, Draws, OnBadEpisode, Sampling, View};
use foresight_predictor::checkpoint::WeightType;
use foresight_predictor::config::{check_numbers, ActionSpace, RATE_HZ};
use foresight_predictor::transform::ImageTransform;
use foresight_predictor::{ComputeDevice, EncoderConfig, Precision, PredictorConfig};
use serde::{Deserialize, Serialize};

use crate::frame_transform::FrameTransform;
use crate::latent_cache::LatentStorage;
use crate::TrainingDevice;

/// Clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Data {
    pub views: Vec<View>,
    pub frames: usize,
    pub fps: f64,
    pub sampling: Sampling,
    #[serde(default = "next_step")]
    pub jump_steps: [usize; 2],
    #[serde(default)]
    pub draws: DrawBy,
    #[serde(default = "one")]
    pub gripper_events: f32,
    #[serde(default = "one")]
    pub surprising: f32,
    pub transform_frame: bool,
    #[serde(alias = "unusable")]
    pub on_bad_episode: OnBadEpisode,
    pub assumed_rate_hz: f64,
    pub frame_tolerance: usize,
    pub validation_share: f64,
    pub workers: usize,
}

fn one() -> f32 {
    1.0
}

pub(super) fn next_step() -> [usize; 2] {
    [1, 1]
}

/// What is drawn once an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrawBy {
    /// Every episode.
    #[default]
    Episode,
    /// Every clip.
    Clip,
}

/// A predictor that begins with random weights. What isn't said here follows from the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPredictor {
    /// Width inside the predictor.
    pub predictor_embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Euler angles, rad, whose branch the recorded poses are brought to; see
    /// [`PredictorConfig::euler_around_rad`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub euler_around_rad: Option<[f64; 3]>,
    /// Time steps that a step sees; see [`PredictorConfig::context_steps`]. At least `data.frames − 1`
    /// whatever is said here: what training shows is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_steps: Option<NonZeroUsize>,
    /// Whether input and output projections start as the identity, so that training starts from
    /// predicting no change. Needs equal inner and outer width.
    #[serde(default)]
    pub start_at_persistence: bool,
    /// What the recorded actions were, for the planner's bounds.
    #[serde(default)]
    pub action_space: ActionSpace,
}

impl NewPredictor {
    /// The architecture behind an encoder, for clips of `frames` frames.
    pub fn config(&self, encoder: &EncoderConfig, frames: usize) -> PredictorConfig {
        let size = [self.predictor_embed_dim, self.depth, self.num_heads];
        PredictorConfig {
            euler_around_rad: self.euler_around_rad,
            context_steps: self.context_steps,
            ..PredictorConfig::behind(encoder, frames, size)
        }
    }
}

/// What part of an image is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Crop {
    pub scale: [f64; 2],
    pub ratio: [f64; 2],
}

impl Crop {
    /// How frames become the input of an encoder; as they are without a crop.
    ///
    /// # Errors
    /// As [`Crop::check`].
    pub fn transform(crop: Option<&Crop>, encoder: &EncoderConfig) -> Result<FrameTransform> {
        let Some(crop) = crop else {
            return Ok(FrameTransform::AsRecorded(encoder.img_size));
        };
        crop.check()?;
        let picture = ImageTransform::with_crop(encoder.picture_size(), crop.scale, crop.ratio);
        Ok(FrameTransform::Crop(picture.side_by_side(encoder.views())))
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// Which is impossible, and what it must be.
    pub fn check(&self) -> Result<()> {
        for (name, [least, most]) in [("scale", self.scale), ("ratio", self.ratio)] {
            if !(least > 0.0 && least <= most && most.is_finite()) {
                bail!("crop.{name} must be [least, most], both above 0");
            }
        }
        Ok(())
    }
}

impl Data {
    /// What no type catches, and no sampler of clips.
    pub(super) fn check(&self) -> Result<(), String> {
        let numbers = [
            ("fps", self.fps, RATE_HZ),
            ("assumed_rate_hz", self.assumed_rate_hz, RATE_HZ),
            ("validation_share", self.validation_share, [0.0, 0.999]),
        ];
        check_numbers("data.", &numbers)
    }

    /// How clips are drawn, by `draws` and `seed`.
    pub fn clip_options(&self, draws: Draws, seed: u64) -> ClipOptions {
        ClipOptions {
            shape: ClipShape {
                frames: self.frames,
                fps: self.fps,
                sampling: self.sampling,
                jump_steps: self.jump_steps,
                ..ClipShape::default()
            },
            draws,
            views: self.views.clone(),
            transform_frame: self.transform_frame,
            on_bad_episode: self.on_bad_episode,
            assumed_rate_hz: self.assumed_rate_hz,
            frame_tolerance: self.frame_tolerance,
            seed,
        }
    }
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
    pub storage: LatentStorage,
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
    pub dtype: WeightType,
}
