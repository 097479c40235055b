//! What the small networks beside a world model share: a cloned policy, a goal head. Their blocks are a
//! predictor's; what is around those is each one's own. A description and weights in a folder.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use candle_nn::{Linear, Module};
use foresight_planner::git_lfs;
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::config::PredictorConfig;
use crate::error::PredictorError;
use crate::kernels::attention::Visibility;
use crate::kernels::{block, elementwise, Parallelism, Saved, Workspace};
use crate::layout::{self, Entry};
use crate::parameters::{Parameters, Tensors};
use crate::rope::RopeTable;

/// What a small network computes with: weights as they are when it acts, variables of a graph
/// when it learns.
pub trait NetworkLayers {
    /// A parameter outside the blocks.
    ///
    /// # Errors
    /// When there is none of that name.
    fn parameter(&self, name: &str) -> CandleResult<Tensor>;
    /// `x` `[…, in]` through the linear layer `name`.
    ///
    /// # Errors
    /// When there is none of that name, or the shapes don't agree.
    fn linear(&self, name: &str, x: &Tensor) -> CandleResult<Tensor> {
        let bias = self.parameter(&format!("{name}.bias"))?;
        Linear::new(self.parameter(&format!("{name}.weight"))?, Some(bias)).forward(x)
    }
    /// What of `x` is above 0.
    ///
    /// # Errors
    /// When `x` is not an f32 tensor on the CPU.
    fn relu(&self, x: &Tensor) -> CandleResult<Tensor> {
        x.relu()
    }
    /// GELU of `x`, with the error function.
    ///
    /// # Errors
    /// When `x` is not an f32 tensor on the CPU.
    fn gelu(&self, x: &Tensor) -> CandleResult<Tensor> {
        x.gelu_erf()
    }
    /// `x` `[…, D]` normalised over its last dimension, without weights.
    ///
    /// # Errors
    /// When `x` is not an f32 tensor on the CPU.
    fn normalise(&self, x: &Tensor, eps: f64) -> CandleResult<Tensor>;
    /// `x` `[B, N, D]` through all blocks; every token sees every other.
    ///
    /// # Errors
    /// When the shapes don't agree.
    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> CandleResult<Tensor>;
}

/// Weights as they are when a network is used.
#[derive(Debug)]
pub(crate) struct LoadedLayers {
    /// Of its blocks, where it has any.
    network: Option<PredictorConfig>,
    /// Those outside the blocks.
    tensors: Tensors,
    parameters: Parameters,
}

impl LoadedLayers {
    /// Reads weights laid out as `entries`, with the blocks of `network` where there are any.
    pub(crate) fn load(
        weights: &Path,
        entries: Vec<Entry>,
        network: Option<&PredictorConfig>,
    ) -> Result<Self, PredictorError> {
        let tensors = candle_core::safetensors::load(weights, &Device::Cpu)
            .map_err(|e| damaged(weights, &e))?;
        let mut tensors: Tensors = tensors.into_iter().collect();
        let parameters =
            Parameters::from_tensors(entries, &tensors).map_err(|e| damaged(weights, &e))?;
        tensors.retain(|name, _| !name.starts_with("blocks."));
        Ok(LoadedLayers {
            network: network.cloned(),
            tensors,
            parameters,
        })
    }

    /// All of them, to read.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// All of them.
    pub(crate) fn into_parameters(self) -> Parameters {
        self.parameters
    }
}

impl NetworkLayers for LoadedLayers {
    fn parameter(&self, name: &str) -> CandleResult<Tensor> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("the network has no parameter {name}"),
        }
    }

    fn normalise(&self, x: &Tensor, eps: f64) -> CandleResult<Tensor> {
        let width = x.dim(candle_core::D::Minus1)?;
        let mut values: Vec<f32> = x.flatten_all()?.to_vec1()?;
        elementwise::normalise_rows(&mut values, width, eps as f32);
        Tensor::from_vec(values, x.shape(), &Device::Cpu)
    }

    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> CandleResult<Tensor> {
        let Some(network) = &self.network else {
            candle_core::bail!("the network has no blocks");
        };
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

/// Reads a network's description.
pub(crate) fn read_description<T: DeserializeOwned>(file: &Path) -> Result<T, PredictorError> {
    let text = std::fs::read_to_string(file).map_err(|e| io(file, e))?;
    serde_json::from_str(&text).map_err(|e| damaged(file, &e))
}

/// Writes a network into a folder, its description last: where that is, the network is whole.
pub(crate) fn save(
    folder: &Path,
    [description, weights]: [&str; 2],
    config: &impl Serialize,
    tensors: &Tensors,
    dtype: DType,
) -> Result<(), PredictorError> {
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    let description = folder.join(description);
    let text = serde_json::to_string_pretty(config).map_err(|e| damaged(&description, &e))?;
    let stored = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)));
    let stored: HashMap<String, Tensor> = stored.collect::<CandleResult<_>>()?;
    candle_core::safetensors::save(&stored, folder.join(weights))?;
    std::fs::write(&description, text + "\n").map_err(|e| io(&description, e))
}

pub(crate) fn io(path: &Path, source: std::io::Error) -> PredictorError {
    PredictorError::Io {
        path: path.to_path_buf(),
        source,
    }
}

pub(crate) fn damaged(path: &Path, what: &dyn std::fmt::Display) -> PredictorError {
    PredictorError::File {
        path: path.to_path_buf(),
        what: match git_lfs::is_pointer(path) {
            true => git_lfs::fault(),
            false => what.to_string(),
        },
    }
}
