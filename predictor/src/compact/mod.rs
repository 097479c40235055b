//! Compact models: one latent a picture, encoder and predictor learned together from pixels.
//!
//! LeWorldModel's architecture (Maes and others, arXiv 2603.19312), for a benchmark or a table of one's own
//! in an hour on a CPU: `foresight train-compact` trains one, `foresight model convert` reads
//! stable-worldmodel's weights, and everything that plans with a model folder plans with it as with
//! V-JEPA 2-AC. The energy is LeWorldModel's, the squared distance of latents.

mod config;
pub mod network;
mod rollouts;
mod stable_worldmodel;

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

pub use config::{initial_std, layout, CompactConfig, CompactEyes};
pub use stable_worldmodel::{convert, is_checkpoint};

use crate::backend::{FrameEncoder, LatentPredictor};
use crate::config::ModelConfig;
use crate::error::{PredictorError, Result};
use crate::kernels::{InstructionSet, Precision};
use crate::parameters::{Parameters, Tensors};
use crate::side_network::{self, damaged, LoadedLayers};
use rollouts::PackedRollouts;

/// What the weights belong to.
pub const DESCRIPTION: &str = "compact.json";
/// The weights.
pub const WEIGHTS: &str = "compact.safetensors";

/// The networks of a compact model, as a world model plans with them.
#[derive(Debug)]
pub(crate) struct CompactNetworks {
    pub(crate) config: ModelConfig,
    pub(crate) encoder: Arc<dyn FrameEncoder>,
    pub(crate) predictor: Arc<dyn LatentPredictor>,
    pub(crate) computes: String,
}

/// Whether a folder holds a compact model.
pub fn is_compact(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

/// Architecture and weights of the compact model in a folder.
///
/// # Errors
/// When a file is missing or damaged, or they don't fit each other.
pub fn read(folder: &Path) -> Result<(CompactConfig, Parameters)> {
    let (config, layers) = load(folder)?;
    Ok((config, layers.into_parameters()))
}

/// Writes a compact model into a folder.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, config: &CompactConfig, tensors: &Tensors) -> Result<()> {
    side_network::save(folder, [DESCRIPTION, WEIGHTS], config, tensors, DType::F32)
}

fn load(folder: &Path) -> Result<(CompactConfig, LoadedLayers)> {
    let description = folder.join(DESCRIPTION);
    let config: CompactConfig = side_network::read_description(&description)?;
    config.validate().map_err(|e| damaged(&description, &e))?;
    let layers = LoadedLayers::load(&folder.join(WEIGHTS), layout(&config), None)?;
    Ok((config, layers))
}

/// The networks of a folder, on the CPU in `precision`: f32 for bf16 where that is no faster.
pub(crate) fn networks(folder: &Path, precision: Precision) -> Result<CompactNetworks> {
    let (config, layers) = load(folder)?;
    let bf16 = (precision == Precision::Bf16)
        .then(InstructionSet::for_bf16)
        .flatten();
    let parameters = layers.parameters();
    let (predictor, precision): (Arc<dyn LatentPredictor>, _) = match bf16 {
        Some(set) => (
            Arc::new(PackedRollouts::<half::bf16>::new(&config, parameters, set)),
            Precision::Bf16,
        ),
        None => (
            Arc::new(PackedRollouts::<f32>::new(
                &config,
                parameters,
                InstructionSet::for_f32(),
            )),
            Precision::F32,
        ),
    };
    let place = bf16.unwrap_or_else(InstructionSet::for_f32);
    Ok(CompactNetworks {
        config: config.as_model(),
        computes: format!("{precision} on {place}"),
        encoder: Arc::new(CompactEncoder { config, layers }),
        predictor,
    })
}

/// What looks at pictures, on candle in f32.
#[derive(Debug)]
struct CompactEncoder {
    config: CompactConfig,
    layers: LoadedLayers,
}

impl FrameEncoder for CompactEncoder {
    fn encode(&self, frames: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let [h, w] = self.config.frame_size();
        let size = 3 * h * w;
        if [height, width] != [h, w] || !frames.len().is_multiple_of(size) {
            return Err(PredictorError::Model(format!(
                "this model looks at pictures of {w}×{h} px, not {width}×{height}"
            )));
        }
        let pictures = Tensor::from_slice(frames, (frames.len() / size, 3, h, w), &Device::Cpu)?;
        let latents = network::encode(&self.config, &self.layers, &pictures)?;
        Ok(latents.flatten_all()?.to_vec1()?)
    }

    fn encode_clips(&self, _clips: &[f32], _size: [usize; 3]) -> Result<Vec<f32>> {
        Err(PredictorError::Model(
            "a compact model looks at single pictures, not at clips".into(),
        ))
    }
}
