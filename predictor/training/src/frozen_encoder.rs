//! The encoder that a predictor or a policy learns behind.

use std::sync::{Arc, OnceLock};

use anyhow::{anyhow, Result};
use foresight_predictor::backend::{self, FrameEncoder};
use foresight_predictor::checkpoint::{Checkpoint, Part};
use foresight_predictor::{layout, ComputeDevice, EncoderConfig, Precision, WorldModel};

/// An encoder that makes latents and isn't trained.
pub enum FrozenEncoder {
    /// Read when it is first needed: with all latents in the cache, never.
    Lazy(Box<LazyEncoder>),
    /// That of a model in memory.
    Of(Arc<WorldModel>),
}

/// An encoder that need not be in memory.
pub struct LazyEncoder {
    checkpoint: Checkpoint,
    config: EncoderConfig,
    device: ComputeDevice,
    loaded: OnceLock<Result<Box<dyn FrameEncoder>, String>>,
}

impl FrozenEncoder {
    /// The encoder of a model folder.
    pub fn lazy(checkpoint: Checkpoint, config: EncoderConfig, device: ComputeDevice) -> Self {
        FrozenEncoder::Lazy(Box::new(LazyEncoder {
            checkpoint,
            config,
            device,
            loaded: OnceLock::new(),
        }))
    }

    /// Transformed frames `[T, 3, H, W]` of `size` `[H, W]` to normalised latents `[T, N, D]`.
    ///
    /// # Errors
    /// When its weights can't be read, or a GPU fails.
    pub fn encode(&self, pixels: &[f32], size: [usize; 2]) -> Result<Vec<f32>> {
        match self {
            FrozenEncoder::Lazy(lazy) => Ok(lazy.get()?.encode(pixels, size)?),
            FrozenEncoder::Of(model) => {
                let latents = model.encode_pixels(pixels)?.into_iter();
                Ok(latents.flat_map(|latent| latent.values).collect())
            }
        }
    }
}

impl LazyEncoder {
    fn get(&self) -> Result<&dyn FrameEncoder> {
        let loaded = self
            .loaded
            .get_or_init(|| self.load().map_err(|e| format!("{e:#}")));
        let loaded = loaded.as_ref().map_err(|e| anyhow!("the encoder: {e}"))?;
        Ok(loaded.as_ref())
    }

    /// In f32 everywhere: latents are kept, and shared by runs.
    fn load(&self) -> Result<Box<dyn FrameEncoder>> {
        let entries = layout::encoder(&self.config);
        let tensors = self.checkpoint.tensors(Part::Encoder, &entries)?;
        let backend = backend::open(self.device, Precision::F32)?;
        Ok(backend.encoder(&self.config, &tensors)?)
    }
}
