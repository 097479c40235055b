//! A goal-conditioned policy cloned from demonstrations: the baseline a planner is held against.
//!
//! The V-JEPA 2 paper compares its planner with Octo, a policy cloned from the same kind of data.
//! This is that comparison at the size of the bundled model: the same frozen encoder, a
//! transformer as large as the predictor, the latents of the current frame and of the goal in, one
//! action out.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use candle_nn::{Linear, Module};
use foresight_planner::{Action, Pose};
use serde::{Deserialize, Serialize};

use crate::config::PredictorConfig;
use crate::error::PredictorError;
use crate::layout::{self, Entry};
use crate::parameters::Tensors;
use crate::rope::{Position, RopeTable};
use crate::side_network::{self, LoadedLayers, NetworkLayers};
use crate::world_model::Latent;

/// Numbers of an action that the policy answers with: x, y, z, gripper.
pub const ANSWERS: usize = 4;
/// Translations are told in units of this, m: the bound of a step.
pub const STEP_SCALE_M: f32 = 0.075;
/// The weights.
const WEIGHTS: &str = "policy.safetensors";
/// What the weights belong to.
const DESCRIPTION: &str = "policy.json";

/// Architecture of a policy: a predictor's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyConfig {
    /// Grid, widths, depth and heads.
    pub network: PredictorConfig,
    /// Actions it answers with, one after the other: 1 for a policy that acts by itself, more for one
    /// that proposes the way to the goal in macro-actions.
    #[serde(default = "one")]
    pub actions: usize,
}

fn one() -> usize {
    1
}

/// Names and shapes of a policy's parameters.
pub fn layout(config: &PolicyConfig) -> Vec<Entry> {
    let (outer, d) = (config.network.embed_dim, config.network.predictor_embed_dim);
    let mut entries = Vec::new();
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        entries.push((format!("{name}.weight"), vec![outputs, inputs]));
        entries.push((format!("{name}.bias"), vec![outputs]));
    };
    linear("embed", outer, d);
    linear("state_encoder", 7, d);
    linear("head", d, ANSWERS * config.actions);
    entries.push(("query".into(), vec![d]));
    entries.push(("norm.weight".into(), vec![d]));
    entries.push(("norm.bias".into(), vec![d]));
    let shape = layout::predictor_block(&config.network);
    entries.extend(layout::blocks("blocks", config.network.depth, shape));
    entries
}

/// Answers `[B, 4·actions]` (translations in units of [`STEP_SCALE_M`]) to current and goal latents
/// `[B, N, D]` and states `[B, 7]`.
///
/// # Errors
/// When shapes don't agree.
pub fn answers(
    config: &PolicyConfig,
    layers: &impl NetworkLayers,
    [now, goal]: [&Tensor; 2],
    states: &Tensor,
) -> CandleResult<Tensor> {
    let network = &config.network;
    let (b, d) = (now.dim(0)?, network.predictor_embed_dim);
    let parameter = |name: &str| layers.parameter(name);
    let linear = |name: &str, x: &Tensor| {
        let bias = parameter(&format!("{name}.bias"))?;
        Linear::new(parameter(&format!("{name}.weight"))?, Some(bias)).forward(x)
    };
    let query = parameter("query")?.reshape((1, 1, d))?;
    let x = Tensor::cat(
        &[
            &query.broadcast_as((b, 1, d))?.contiguous()?,
            &linear("state_encoder", states)?.unsqueeze(1)?,
            &linear("embed", &now.contiguous()?)?,
            &linear("embed", &goal.contiguous()?)?,
        ],
        1,
    )?;
    let x = layers.blocks(&x, &rope(network))?;
    let first = x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
    let normed = layers
        .normalise(&first)?
        .broadcast_mul(&parameter("norm.weight")?)?
        .broadcast_add(&parameter("norm.bias")?)?;
    linear("head", &normed)
}

/// Query and state are nowhere; the goal's patches follow the current ones in time.
fn rope(network: &PredictorConfig) -> Arc<RopeTable> {
    let [rows, columns] = network.grid();
    let nowhere = Position {
        depth: 0.0,
        place: None,
    };
    let mut positions = vec![nowhere; 2];
    positions.extend(RopeTable::grid(2, rows, columns));
    let head_dim = network.predictor_embed_dim / network.num_heads;
    Arc::new(RopeTable::new(&positions, head_dim, network.rope))
}

/// A policy ready to act.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    layers: LoadedLayers,
}

impl Policy {
    /// Loads the policy of a folder that `foresight clone` wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged, or doesn't fit its description.
    pub fn load(folder: &Path) -> Result<Self, PredictorError> {
        let config: PolicyConfig = side_network::read_description(&folder.join(DESCRIPTION))?;
        let entries = layout(&config);
        let layers = LoadedLayers::load(&folder.join(WEIGHTS), entries, &config.network)?;
        Ok(Policy { config, layers })
    }

    /// The action towards `goal` from what is seen now.
    ///
    /// # Errors
    /// When the latents have another shape than the policy's.
    pub fn act(&self, now: &Latent, pose: &Pose, goal: &Latent) -> Result<Action, PredictorError> {
        let bound = f64::from(STEP_SCALE_M);
        let mut action = self.way(now, pose, goal)?.into_iter().next();
        if let Some(action) = &mut action {
            action.translation_m = action.translation_m.map(|t| t.clamp(-bound, bound));
        }
        Ok(action.unwrap_or_default())
    }

    /// Its description.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// All the actions that lead to `goal` from what is seen now, of any length.
    ///
    /// # Errors
    /// When the latents have another shape than the policy's.
    pub fn way(
        &self,
        now: &Latent,
        pose: &Pose,
        goal: &Latent,
    ) -> Result<Vec<Action>, PredictorError> {
        let network = &self.config.network;
        let shape = (1, network.tokens_per_frame(), network.embed_dim);
        let tensor = |l: &Latent| Tensor::from_slice(&l.values, shape, &Device::Cpu);
        let state = network.state_input(pose.to_array().map(|v| v as f32));
        let state = Tensor::from_slice(&state, (1, 7), &Device::Cpu)?;
        let latents = [&tensor(now)?, &tensor(goal)?];
        let answer = answers(&self.config, &self.layers, latents, &state)?;
        let answer: Vec<f32> = answer.flatten_all()?.to_vec1()?;
        let action = |told: &[f32]| {
            let mut action = Action::default();
            for (t, a) in action.translation_m.iter_mut().zip(told) {
                *t = f64::from(a * STEP_SCALE_M);
            }
            action.gripper = f64::from(told[ANSWERS - 1].clamp(-1.0, 1.0));
            action
        };
        Ok(answer.chunks_exact(ANSWERS).map(action).collect())
    }
}

/// Writes a policy into a folder. The encoder it looks through stays where it is.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, config: &PolicyConfig, policy: &Tensors) -> Result<(), PredictorError> {
    side_network::save(folder, [DESCRIPTION, WEIGHTS], config, policy, DType::F32)
}
