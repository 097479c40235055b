//! What a training run is told: committed as TOML beside the model it made.

use serde::{Deserialize, Serialize};

use crate::schedule::CosineSchedule;
use crate::settings::{Crop, Data};
use crate::{Objectives, WsdSchedule};
use foresight_predictor::config::EncoderConfig;

/// How the weights are moved; the same for both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisation {
    /// Seed of the initial weights and of the order of the data.
    pub seed: u64,
    /// Frames (encoder) or clips (predictor) a step, over all workers.
    pub batch_size: usize,
    /// Learning rate over the run; its `total_steps` is the length of the run.
    pub schedule: WsdSchedule,
    /// Weight decay of matrices. The official value is 0.04.
    pub weight_decay: f64,
    /// Weight decay at the end, reached along half a cosine; constant when absent, as in every
    /// official configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_weight_decay: Option<f64>,
    /// Largest norm of the gradient; absent for no clipping, as in the official code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

impl Optimisation {
    /// Weight decay of a step, counted from 0.
    pub fn weight_decay_at(&self, step: usize) -> f64 {
        match self.final_weight_decay {
            None => self.weight_decay,
            Some(last) => CosineSchedule {
                reference: self.weight_decay,
                last,
                total_steps: self.schedule.total_steps,
            }
            .value(step),
        }
    }
}

/// `foresight pretrain`: an encoder from recorded frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainRecipe {
    /// Name of the model.
    pub name: String,
    /// Architecture.
    pub encoder: EncoderConfig,
    /// Training signals and their weights.
    pub objectives: Objectives,
    /// Which frames of which recordings; `frames` follows from the objectives.
    pub data: Data,
    /// As in [`Settings::crop`](crate::settings::Settings::crop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Optimiser.
    pub optimisation: Optimisation,
}

/// Size of a policy; everything else follows from the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySize {
    /// Width inside the policy.
    pub predictor_embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
}

/// `foresight clone`: a behaviour-cloning policy on a frozen encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloneRecipe {
    /// Architecture.
    pub policy: PolicySize,
    /// The goal of a moment is a frame at most so many steps later.
    pub farthest_goal_steps: usize,
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
