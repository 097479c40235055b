//! What `pretrain` and `clone` are told: committed as TOML beside the model they made.

use serde::{Deserialize, Serialize};

use crate::optimisation::Optimisation;
use crate::settings::{Crop, Data};
use crate::Objectives;
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
