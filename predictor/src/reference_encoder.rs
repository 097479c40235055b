//! The encoder of either family on candle, told apart by its configuration.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use crate::config::EncoderConfig;
use crate::encoder::Encoder;
use crate::vjepa21_encoder::{Modality, Vjepa21Encoder};

/// An encoder of V-JEPA 2 or 2.1.
#[derive(Debug, Clone)]
pub enum ReferenceEncoder {
    /// V-JEPA 2's.
    Vjepa2(Encoder),
    /// V-JEPA 2.1's.
    Vjepa21(Vjepa21Encoder),
}

impl ReferenceEncoder {
    /// The encoder that `config` describes, from the official state-dict names in `vb`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, or the configuration can't be built.
    pub fn new(config: &EncoderConfig, vb: VarBuilder) -> Result<Self> {
        Ok(match config.vjepa2_1 {
            None => ReferenceEncoder::Vjepa2(Encoder::new(config, vb)?),
            Some(_) => ReferenceEncoder::Vjepa21(Vjepa21Encoder::new(config, vb)?),
        })
    }

    /// With candle's fused kernels, which have no derivatives.
    pub fn fused(self) -> Self {
        match self {
            ReferenceEncoder::Vjepa2(e) => ReferenceEncoder::Vjepa2(e.fused()),
            ReferenceEncoder::Vjepa21(e) => ReferenceEncoder::Vjepa21(e.fused()),
        }
    }

    /// The architecture.
    pub fn config(&self) -> &EncoderConfig {
        match self {
            ReferenceEncoder::Vjepa2(e) => e.config(),
            ReferenceEncoder::Vjepa21(e) => e.config(),
        }
    }

    /// What a clip of `frames` frames is to this encoder; V-JEPA 2 knows videos only.
    pub fn modality(&self, frames: usize) -> Modality {
        match self {
            ReferenceEncoder::Vjepa2(_) => Modality::Video,
            ReferenceEncoder::Vjepa21(e) => e.modality(frames),
        }
    }

    /// A clip `[B, 3, T, H, W]`, normalised pixels, to the latents `[B, N, D]` that the
    /// configuration's level asks for, not layer-normalised.
    ///
    /// # Errors
    /// When the clip doesn't fit the encoder.
    pub fn forward(&self, clip: &Tensor) -> Result<Tensor> {
        match self {
            ReferenceEncoder::Vjepa2(e) => e.forward(clip),
            ReferenceEncoder::Vjepa21(e) => e.forward_latents(clip),
        }
    }

    /// Frames `[B, 3, H, W]`, each doubled to a tubelet of its own, to latents `[B, N, D]`.
    ///
    /// # Errors
    /// As [`ReferenceEncoder::forward`].
    pub fn forward_frames(&self, frames: &Tensor) -> Result<Tensor> {
        match self {
            ReferenceEncoder::Vjepa2(e) => e.forward_frames(frames),
            ReferenceEncoder::Vjepa21(e) => e.forward_frames(frames),
        }
    }

    /// What pre-training sees: the last level, or all that V-JEPA 2.1's encoder gives to it
    /// beside one another; of the tokens `kept` `[B, K]`, if given.
    ///
    /// # Errors
    /// As [`ReferenceEncoder::forward`], and when an index is out of range.
    pub fn forward_training(&self, clip: &Tensor, kept: Option<&Tensor>) -> Result<Tensor> {
        match (self, kept) {
            (ReferenceEncoder::Vjepa2(e), None) => e.forward(clip),
            (ReferenceEncoder::Vjepa2(e), Some(kept)) => e.forward_masked(clip, kept),
            (ReferenceEncoder::Vjepa21(e), kept) => e.forward_training(clip, kept),
        }
    }
}
