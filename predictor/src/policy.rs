//! A goal-conditioned policy cloned from demonstrations: the baseline a planner is held against.
//!
//! The V-JEPA 2 paper compares its planner with Octo, a policy cloned from the same kind of data.
//! This is that comparison at the size of the bundled model: the same frozen encoder, a
//! transformer as large as the predictor, the latents of the current frame and of the goal in, one
//! action out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Result as CandleResult, Tensor};
use candle_nn::{Linear, Module};
use foresight_planner::{Action, Pose};
use serde::{Deserialize, Serialize};

use crate::block::NORM_EPS;
use crate::config::PredictorConfig;
use crate::error::PredictorError;
use crate::kernels::attention::Visibility;
use crate::kernels::{block, elementwise, Parallelism, Saved, Workspace};
use crate::layout::{self, Entry};
use crate::parameters::{Parameters, Tensors};
use crate::rope::{Position, RopeTable};
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

/// What a policy's network computes with: weights as they are when it acts, variables of a graph
/// when it learns.
pub trait PolicyLayers {
    /// A parameter outside the blocks.
    ///
    /// # Errors
    /// When there is none of that name.
    fn parameter(&self, name: &str) -> CandleResult<Tensor>;
    /// `x` `[…, D]` normalised over its last dimension, without weights, with [`NORM_EPS`].
    ///
    /// # Errors
    /// When `x` is not an f32 tensor on the CPU.
    fn normalise(&self, x: &Tensor) -> CandleResult<Tensor>;
    /// `x` `[B, N, D]` through all blocks; every token sees every other.
    ///
    /// # Errors
    /// When the shapes don't agree.
    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> CandleResult<Tensor>;
}

/// Answers `[B, 4·actions]` (translations in units of [`STEP_SCALE_M`]) to current and goal latents
/// `[B, N, D]` and states `[B, 7]`.
///
/// # Errors
/// When shapes don't agree.
pub fn answers(
    config: &PolicyConfig,
    layers: &impl PolicyLayers,
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
    tensors: Tensors,
    parameters: Parameters,
}

impl PolicyLayers for Policy {
    fn parameter(&self, name: &str) -> CandleResult<Tensor> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("the policy has no parameter {name}"),
        }
    }

    fn normalise(&self, x: &Tensor) -> CandleResult<Tensor> {
        let width = x.dim(candle_core::D::Minus1)?;
        let mut values: Vec<f32> = x.flatten_all()?.to_vec1()?;
        elementwise::normalise_rows(&mut values, width, NORM_EPS as f32);
        Tensor::from_vec(values, x.shape(), &Device::Cpu)
    }

    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> CandleResult<Tensor> {
        let network = &self.config.network;
        let shape = layout::predictor_block(network);
        let mut values: Vec<f32> = x.flatten_all()?.to_vec1()?;
        let (mut workspace, mut saved) = (Workspace::new(Parallelism::Rayon(0)), Saved::default());
        for i in 0..network.depth {
            let weights = self.parameters.block(&format!("blocks.{i}"));
            let all = Visibility::All;
            let ws = &mut workspace;
            saved = block::forward_saved(shape, &weights, &mut values, rope, all, &[], saved, ws);
        }
        Tensor::from_vec(values, x.shape(), &Device::Cpu)
    }
}

impl Policy {
    /// Loads the policy of a folder that `foresight clone` wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged, or doesn't fit its description.
    pub fn load(folder: &Path) -> Result<Self, PredictorError> {
        let (description, weights) = (folder.join(DESCRIPTION), folder.join(WEIGHTS));
        let text = std::fs::read_to_string(&description).map_err(|source| PredictorError::Io {
            path: description.clone(),
            source,
        })?;
        let config: PolicyConfig =
            serde_json::from_str(&text).map_err(|e| damaged(&description, &e))?;
        let tensors: HashMap<String, Tensor> =
            candle_core::safetensors::load(&weights, &Device::Cpu)
                .map_err(|e| damaged(&weights, &e))?;
        let mut tensors: Tensors = tensors.into_iter().collect();
        let parameters = Parameters::from_tensors(layout(&config), &tensors)
            .map_err(|e| damaged(&weights, &e))?;
        tensors.retain(|name, _| !name.starts_with("blocks."));
        Ok(Policy {
            config,
            tensors,
            parameters,
        })
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
        let answer = answers(&self.config, self, latents, &state)?;
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
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PredictorError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let description = folder.join(DESCRIPTION);
    let text = serde_json::to_string_pretty(config).map_err(|e| damaged(&description, &e))?;
    std::fs::write(&description, text + "\n").map_err(io(&description))?;
    let tensors: HashMap<String, Tensor> = policy
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect();
    candle_core::safetensors::save(&tensors, folder.join(WEIGHTS))?;
    Ok(())
}

fn damaged(path: &Path, what: &dyn std::fmt::Display) -> PredictorError {
    PredictorError::File {
        path: PathBuf::from(path),
        what: what.to_string(),
    }
}
