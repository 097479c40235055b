//! What `pretrain` and `clone` are told: committed as TOML beside the model they made.

use anyhow::{bail, Result};
use serde::{Deserialize, Serialize};

use crate::optimisation::Optimisation;
use crate::settings::{self, Crop, Data};
use crate::{BlockMaskOptions, MaskLossOptions, Objectives};
use foresight_predictor::config::EncoderConfig;

/// `foresight pretrain`: an encoder from recorded frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainRecipe {
    /// Name of the model.
    pub name: String,
    /// Architecture.
    pub encoder: EncoderConfig,
    /// Training signals and their weights.
    #[serde(default)]
    pub objectives: Objectives,
    /// Masked prediction as V-JEPA 2 and 2.1 pre-train, in place of the objectives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_prediction: Option<MaskPrediction>,
    /// Which frames of which recordings; `frames` follows from the objectives.
    pub data: Data,
    /// As in [`Settings::crop`](crate::settings::Settings::crop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Optimiser.
    pub optimisation: Optimisation,
}

impl PretrainRecipe {
    /// What no type catches.
    ///
    /// # Errors
    /// Which value can't be, and what it must be.
    pub fn check(&self) -> Result<()> {
        self.objectives.check().map_err(anyhow::Error::msg)?;
        let learns = self.mask_prediction.is_some() || self.objectives.any();
        settings::check(&self.data, &self.optimisation, usize::from(learns))?;
        // An encoder with random weights is what others are held against.
        if !learns && self.optimisation.schedule.total_steps > 0 {
            bail!(
                "no weight of [objectives] is above 0, so there is nothing to learn: give one, or \
                 optimisation.schedule.total_steps = 0 for random weights"
            );
        }
        Ok(())
    }
}

/// Masked prediction of clips: a moving average of the encoder says what a predictor should have
/// guessed of tokens that the encoder didn't see. Deep supervision from four levels is the encoder's own
/// `vjepa2_1.n_output_distillation`: 4, or 1 for the last level alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskPrediction {
    /// Which losses, and how they are weighed; `levels_predictor` follows from the encoder.
    pub losses: MaskLossOptions,
    /// What each mask of a clip hides.
    pub masks: Vec<BlockMaskOptions>,
    /// What each mask of an image hides; with any, the first frame of every clip is seen as an image
    /// too.
    pub image_masks: Vec<BlockMaskOptions>,
    /// Frames of a clip.
    pub clip_frames: usize,
    /// How slowly the moving average follows the encoder.
    pub ema_momentum: f64,
    /// Width inside the predictor.
    pub predictor_embed_dim: usize,
    /// Blocks of the predictor.
    pub predictor_depth: usize,
    /// Attention heads of the predictor.
    pub predictor_num_heads: usize,
}

impl Default for MaskPrediction {
    /// V-JEPA 2.1's primary phase, for videos alone, with the released predictors' size.
    fn default() -> Self {
        let large = BlockMaskOptions {
            num_blocks: 2,
            spatial_scale: [0.7, 0.7],
            ..BlockMaskOptions::default()
        };
        MaskPrediction {
            losses: MaskLossOptions::default(),
            masks: vec![BlockMaskOptions::default(), large],
            image_masks: Vec::new(),
            clip_frames: 16,
            ema_momentum: 0.999_25,
            predictor_embed_dim: 384,
            predictor_depth: 12,
            predictor_num_heads: 12,
        }
    }
}

/// Size of a policy; the pictures' follows from the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySize {
    /// As in [`PolicyConfig::channels`](foresight_predictor::policy::PolicyConfig::channels).
    pub channels: Vec<usize>,
    /// As in [`PolicyConfig::points`](foresight_predictor::policy::PolicyConfig::points).
    #[serde(default)]
    pub points: usize,
    /// As in [`PolicyConfig::hidden`](foresight_predictor::policy::PolicyConfig::hidden).
    pub hidden: usize,
}

fn two() -> usize {
    2
}

/// `foresight clone`: a behaviour-cloning policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloneRecipe {
    /// Architecture.
    pub policy: PolicySize,
    /// The goal of a moment is a frame at most so many steps later.
    pub farthest_goal_steps: usize,
    /// Share of the moments whose goal is as late as that and their episode allow, 0 to 1; the others'
    /// is anywhere between.
    #[serde(default)]
    pub farthest_goal_share: f32,
    /// Keyframes told beside the next action, which is one of up to `data.jump_steps` steps.
    #[serde(default = "two")]
    pub keyframes: usize,
    /// Share of the moments seen in other hues, 0 to 1: a policy that grasps what is red grasps nothing
    /// that is blue.
    #[serde(default)]
    pub other_hues_share: f32,
    /// Behaviours that count as demonstrations, by the names in the recordings; all when empty.
    #[serde(default)]
    pub behaviours: Vec<String>,
    /// Which frames of which recordings; `frames` is 2.
    pub data: Data,
    /// As in [`Settings::crop`](crate::settings::Settings::crop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// As in [`NewPredictor::euler_around_rad`](crate::settings::NewPredictor::euler_around_rad).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub euler_around_rad: Option<[f64; 3]>,
    /// Optimiser.
    pub optimisation: Optimisation,
}
