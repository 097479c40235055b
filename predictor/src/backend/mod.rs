//! Where the two networks compute: one interface to the CPU kernels and to candle's devices.
//!
//! A [`Backend`] takes weights and gives a [`FrameEncoder`] and a [`LatentPredictor`]: what a plan
//! asks of a world model, and nothing else. [`crate::WorldModel`] plans through them; programs that
//! need one network alone take it from the backend themselves.
//!
//! | device | backend | numbers |
//! |---|---|---|
//! | `cpu` | [`CpuBackend`]: our kernels, packed weights | f32, bf16 where that is faster |
//! | `cuda`, `cuda:N` | [`CandleBackend`] on an NVIDIA GPU | f32, bf16 |
//! | `candle-cpu` | [`CandleBackend`] on the CPU: what a GPU does, without one | f32, bf16 |
//!
//! `tests/suite/backend_conformance.rs` holds every backend to the reference networks
//! ([`crate::encoder::Encoder`], [`AcPredictor`]) and to the official code's numbers.

mod candle;
mod cpu;
pub(crate) mod stepwise;

use std::fmt;

use candle_core::{DType, Device};
use foresight_planner::ActionSequences;

pub use self::candle::CandleBackend;
pub use cpu::{encode, CpuBackend};

use crate::ac_predictor::AcPredictor;
use crate::compute_device::ComputeDevice;
use crate::config::{EncoderConfig, PredictorConfig};
use crate::device;
use crate::error::Result;
use crate::goal_distance::GoalDistance;
use crate::kernels::Precision;
use crate::parameters::Tensors;
use crate::rollout::{Budget, Rollout, RolloutStart};

/// A place where networks compute.
pub trait Backend: fmt::Debug + Send + Sync {
    /// The numbers matrix products are taken in.
    fn precision(&self) -> Precision;

    /// What computes, in words, as in "AMX" or "cuda:0".
    fn place(&self) -> String;

    /// candle's device in the same place: where [`Backend::differentiable`] computes.
    fn device(&self) -> &Device;

    /// An encoder of these weights, official names.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, or memory is too small.
    fn encoder(&self, config: &EncoderConfig, weights: &Tensors) -> Result<Box<dyn FrameEncoder>>;

    /// A predictor of these weights, official names.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, or memory is too small.
    fn predictor(
        &self,
        config: &PredictorConfig,
        weights: &Tensors,
    ) -> Result<Box<dyn LatentPredictor>>;

    /// The predictor on candle in f32, for gradients: they run through candle everywhere.
    ///
    /// # Errors
    /// As [`Backend::predictor`].
    fn differentiable(&self, config: &PredictorConfig, weights: &Tensors) -> Result<AcPredictor> {
        let weights = device::variables(weights, self.device(), DType::F32)?;
        Ok(AcPredictor::new(config, weights)?)
    }

    /// Memory for rollouts when nothing else is said.
    fn budget(&self) -> Budget {
        device::budget(self.device())
    }
}

/// The image encoder of a world model.
pub trait FrameEncoder: fmt::Debug + Send + Sync {
    /// Normalised frames `[B, 3, H, W]` of `size` `[H, W]` to layer-normalised latents
    /// `[B, N, D]`, both flat. Each frame is its own clip, duplicated to one tubelet.
    ///
    /// # Errors
    /// When `frames` is not a whole number of images of whole patches, or a device fails.
    fn encode(&self, frames: &[f32], size: [usize; 2]) -> Result<Vec<f32>>;

    /// Normalised clips `[B, 3, T, H, W]` of `size` `[T, H, W]` to tokens `[B, N, L]`, both flat, as
    /// the encoder gives them: after its norm, not layer-normalised. A clip of one frame goes
    /// V-JEPA 2.1's image path.
    ///
    /// # Errors
    /// When `clips` are no whole clips of tubelets and patches, or a device fails.
    fn encode_clips(&self, clips: &[f32], size: [usize; 3]) -> Result<Vec<f32>>;
}

/// The action-conditioned predictor of a world model. Results don't depend on `budget`, nor on the
/// number of threads.
pub trait LatentPredictor: fmt::Debug + Send + Sync {
    /// The architecture.
    fn config(&self) -> &PredictorConfig;

    /// Latents and poses after every step of sequence `sample`.
    ///
    /// # Errors
    /// When a device fails.
    fn rollout(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Rollout>;

    /// The last latent `[N, D]` of every sequence, in sample order.
    ///
    /// # Errors
    /// When a device fails.
    fn final_latents(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        budget: Budget,
    ) -> Result<Vec<Vec<f32>>>;

    /// The distance of every sequence's last latent to a goal, or of the latents of all its steps
    /// where `distance` is [`GoalDistance::along`] them, in sample order, after rolling
    /// through the first `depth` blocks (all of them: the predictor; fewer: a cheap preview of it).
    /// Latents stay where they are computed.
    ///
    /// # Errors
    /// When a device fails.
    fn energies(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
        budget: Budget,
    ) -> Result<Vec<f32>>;
}

/// The backend of a device, to compute in `precision`: f32 for bf16 where a CPU is no faster in it.
///
/// # Errors
/// When the device doesn't answer.
pub fn open(device: ComputeDevice, precision: Precision) -> Result<Box<dyn Backend>> {
    Ok(match device {
        ComputeDevice::Cpu => Box::new(CpuBackend::new(precision)),
        ComputeDevice::Cuda(_) | ComputeDevice::CandleCpu => {
            Box::new(CandleBackend::open(device, precision)?)
        }
    })
}
