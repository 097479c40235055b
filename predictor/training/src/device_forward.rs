//! The same training step on one of candle's devices: how a GPU learns.
//!
//! Weights, gradients and moments stay with the state in main memory, so that freezing,
//! clipping, accumulation, checkpoints and several processes work as they do on the CPU. A
//! step's variables go up in f32 and are rounded to bf16 on the graph where that is asked for, as
//! autocast does; their gradients come down in f32.

use candle_core::{DType, Result, Tensor};

use crate::forward::PredictorInputs;
use crate::head_variables::HeadVariables;
use crate::training_device::TrainingDevice;
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::block::normalise;
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::encoder::LATENT_EPS;

/// candle's predictor over a step's variables.
pub(crate) struct DeviceForward {
    predictor: AcPredictor,
    dtype: DType,
}

impl DeviceForward {
    /// Over `heads`, which hold every parameter.
    ///
    /// # Errors
    /// When memory runs out.
    pub(crate) fn new(
        config: &PredictorConfig,
        heads: &HeadVariables,
        place: &TrainingDevice,
    ) -> Result<Self> {
        Ok(DeviceForward {
            predictor: AcPredictor::new(config, heads.variables(place)?)?,
            dtype: place.dtype,
        })
    }

    /// As [`crate::forward::PredictorForward::step`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn step(&self, inputs: &PredictorInputs<'_>, steps: usize) -> Result<Tensor> {
        let first = |tensor: &Tensor| tensor.narrow(1, 0, steps)?.to_dtype(self.dtype);
        let extrinsics = inputs.extrinsics.map(first).transpose()?;
        let predicted = self.predictor.forward(
            &inputs.latents.to_dtype(self.dtype)?,
            &first(inputs.actions)?,
            &first(inputs.states)?,
            extrinsics.as_ref(),
        )?;
        normalise(&predicted.to_dtype(DType::F32)?, LATENT_EPS)
    }
}
