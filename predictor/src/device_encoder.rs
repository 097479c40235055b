//! The encoder on candle, on any device and in any float type: how a GPU sees.

use candle_core::{DType, Device, Result, Tensor};

use crate::config::EncoderConfig;
use crate::device;
use crate::encoder::{normalise_latent, Encoder};
use crate::parameters::Tensors;

/// An encoder on a device.
#[derive(Debug, Clone)]
pub struct DeviceEncoder {
    encoder: Encoder,
    device: Device,
    dtype: DType,
}

/// Frames encoded together: as many as a robot's cameras and goals ask for, few enough that a
/// folder of recordings doesn't fill the device.
const FRAMES_PER_CHUNK: usize = 16;

impl DeviceEncoder {
    /// Puts `weights` on `device` as `dtype`: bf16 on GPUs.
    ///
    /// # Errors
    /// When a tensor is missing or the device's memory is too small.
    pub fn new(
        config: &EncoderConfig,
        weights: &Tensors,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let vb = device::variables(weights, device, dtype)?;
        Ok(DeviceEncoder {
            encoder: Encoder::new(config, vb)?.fused(),
            device: device.clone(),
            dtype,
        })
    }

    /// Normalised frames `[B, 3, H, W]` to layer-normalised latents `[B, N, D]`, both flat. Each
    /// frame is its own clip, duplicated to one tubelet.
    ///
    /// # Errors
    /// When `frames` is not a whole number of images of whole patches, or the device fails.
    pub fn encode(&self, frames: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let image = 3 * height * width;
        let mut latents = Vec::new();
        for frames in frames.chunks(FRAMES_PER_CHUNK * image) {
            let shape = (frames.len() / image, 3, height, width);
            let frames = Tensor::from_slice(frames, shape, &self.device)?.to_dtype(self.dtype)?;
            let tokens = self.encoder.forward_frames(&frames)?.to_dtype(DType::F32)?;
            latents.extend(normalise_latent(&tokens)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(latents)
    }
}
