//! Where a predictor learns when it isn't on our kernels.

use candle_core::{DType, Device};
use foresight_predictor::device::dtype;
use foresight_predictor::kernels::Precision;
use foresight_predictor::ComputeDevice;
use foresight_predictor::PredictorError;

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
}
