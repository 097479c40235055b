//! What a predictor learns from in one step.

use candle_core::{Device, Result, Tensor};

use crate::forward::PredictorInputs;

/// One batch of clips.
#[derive(Debug, Clone)]
pub struct PredictorBatch {
    /// Normalised latents of the frames, `[B, T·N, D]`.
    pub latents: Tensor,
    /// Actions between them, `[B, T−1, 7]`.
    pub actions: Tensor,
    /// Poses, `[B, T, 7]`.
    pub states: Tensor,
    /// Camera poses, `[B, T, 6]`, for predictors that take them.
    pub extrinsics: Option<Tensor>,
    /// Weight of each clip in the loss, `[B]`; 1 each when absent.
    pub weights: Option<Tensor>,
}

impl PredictorBatch {
    /// Latents of some frames with the clips' actions and poses.
    pub(crate) fn inputs<'a>(&'a self, latents: &'a Tensor) -> PredictorInputs<'a> {
        PredictorInputs {
            latents,
            actions: &self.actions,
            states: &self.states,
            extrinsics: self.extrinsics.as_ref(),
        }
    }

    /// The batch in a device's memory.
    ///
    /// # Errors
    /// When that is too small.
    pub(crate) fn on(&self, device: &Device) -> Result<PredictorBatch> {
        let up = |tensor: &Tensor| tensor.to_device(device);
        Ok(PredictorBatch {
            latents: up(&self.latents)?,
            actions: up(&self.actions)?,
            states: up(&self.states)?,
            extrinsics: self.extrinsics.as_ref().map(up).transpose()?,
            weights: self.weights.as_ref().map(up).transpose()?,
        })
    }
}
