//! The same training step on one of candle's devices: how a GPU learns.
//!
//! Weights, gradients and moments stay with the state in main memory, so that freezing,
//! clipping, accumulation, checkpoints and several processes work as they do on the CPU. A
//! step's variables go up in f32 and are rounded to bf16 on the graph where that is asked for, as
//! autocast does; their gradients come down in f32.

use candle_core::{DType, Device, Result, Tensor};

use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::block::normalise;
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::device::dtype;
use foresight_predictor::encoder::LATENT_EPS;
use foresight_predictor::error::PredictorError;
use foresight_predictor::kernels::Precision;
use foresight_predictor::ComputeDevice;
use crate::forward::PredictorInputs;
use crate::head_variables::HeadVariables;
use crate::predictor_trainer::PredictorBatch;

/// Where forward and backward passes run when it isn't on our kernels.
#[derive(Debug, Clone)]
pub struct TrainingDevice {
    /// The device.
    pub device: Device,
    /// Numbers of products and activations; sums of norms and softmax are f32 always.
    pub dtype: DType,
}

impl TrainingDevice {
    /// A device for training; `None` on [`ComputeDevice::Cpu`], where our kernels train, in f32
    /// only.
    ///
    /// # Errors
    /// When no such device answers, or our kernels are asked for bf16.
    pub fn open(
        device: ComputeDevice,
        precision: Precision,
    ) -> std::result::Result<Option<Self>, PredictorError> {
        TrainingDevice::check(device, precision)?;
        if device == ComputeDevice::Cpu {
            return Ok(None);
        }
        Ok(Some(TrainingDevice {
            device: device.open()?,
            dtype: dtype(precision),
        }))
    }

    /// Whether there is training on such a device in such numbers; opens nothing.
    ///
    /// # Errors
    /// When our kernels are asked for bf16.
    pub fn check(
        device: ComputeDevice,
        precision: Precision,
    ) -> std::result::Result<(), PredictorError> {
        match (device, precision) {
            (ComputeDevice::Cpu, Precision::Bf16) => Err(PredictorError::Device {
                device,
                what: "training takes bf16 on GPUs only; use precision = \"f32\"".into(),
            }),
            _ => Ok(()),
        }
    }

    /// A batch in its memory.
    ///
    /// # Errors
    /// When that is too small.
    pub(crate) fn upload(&self, batch: &PredictorBatch) -> Result<PredictorBatch> {
        let up = |tensor: &Tensor| tensor.to_device(&self.device);
        Ok(PredictorBatch {
            latents: up(&batch.latents)?,
            actions: up(&batch.actions)?,
            states: up(&batch.states)?,
            extrinsics: batch.extrinsics.as_ref().map(up).transpose()?,
            weights: batch.weights.as_ref().map(up).transpose()?,
        })
    }
}

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
    pub fn new(config: &PredictorConfig, heads: &HeadVariables, place: &TrainingDevice) -> Result<Self> {
        Ok(DeviceForward {
            predictor: AcPredictor::new(config, heads.variables(place)?)?,
            dtype: place.dtype,
        })
    }

    /// As [`crate::forward::PredictorForward::step`].
    ///
    /// # Errors
    /// As there.
    pub fn step(&self, inputs: &PredictorInputs<'_>, steps: usize) -> Result<Tensor> {
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
