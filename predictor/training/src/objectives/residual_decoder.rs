//! Each token draws its own patch, weighted by what a decoder that knows only the robot's pose
//! can't draw: objects, target and light. Needs no labels.

use candle_core::{Device, Result, Tensor};

use rayon::prelude::*;

use super::{linear, proprioception};
use crate::errors::{self, Error};
use crate::head_variables::HeadVariables;
use crate::layers::read;
use foresight_predictor::config::EncoderConfig;
use foresight_predictor::kernels::patches::patch_rows;
use foresight_predictor::layout::Entry;

/// Pixels averaged into one of the decoders'.
const POOL: usize = 2;
/// Hidden width of the decoder that knows only the robot's pose.
const POSE_HIDDEN: usize = 128;
/// Largest weight of a pixel in the loss, relative to the mean.
const WEIGHT_LIMIT: f32 = 20.0;

/// Parameters of both decoders.
pub fn layout(config: &EncoderConfig) -> Vec<Entry> {
    let mut entries = Vec::new();
    let pixels = decoded(config);
    let image = pixels * config.tokens_per_frame();
    linear(&mut entries, "head.patch", config.embed_dim, pixels);
    let pose = proprioception::SIZE;
    linear(&mut entries, "head.pose_decoder.fc1", pose, POSE_HIDDEN);
    linear(&mut entries, "head.pose_decoder.fc2", POSE_HIDDEN, image);
    entries
}

/// Values a token's patch has in the decoders.
fn decoded(config: &EncoderConfig) -> usize {
    let side = config.patch_size / POOL;
    3 * side * side
}

/// The loss of the pose-only decoder and that of the tokens' decoder, from latents `[B, N, D]`,
/// normalised pixels `[B, 3, H, W]` and the pose `[B, 4]`.
///
/// # Errors
/// When shapes don't agree.
pub fn losses(
    config: &EncoderConfig,
    heads: &HeadVariables,
    latents: &Tensor,
    pixels: &[f32],
    pose: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let patches = targets(config, pixels, latents.dim(0)?)?;
    let drawn = heads
        .linear("head.pose_decoder.fc1", pose)?
        .relu()?
        .contiguous()?;
    let drawn = heads
        .linear("head.pose_decoder.fc2", &drawn)?
        .reshape(patches.shape())?;
    let residual = errors::mean(Error::Squared, &drawn, &patches, None)?;
    let mean = residual.to_scalar::<f32>()?.max(1e-6);
    let weights = read([&drawn, &patches], |[drawn, patches]| -> Vec<f32> {
        let pairs = drawn.par_iter().zip(patches).with_min_len(1 << 14);
        let weight = |(d, p): (&f32, &f32)| ((d - p) * (d - p) / mean).min(WEIGHT_LIMIT);
        pairs.map(weight).collect()
    })?;
    let predicted = heads.linear("head.patch", latents)?;
    let loss = errors::mean(Error::Squared, &predicted, &patches, Some(weights.into()))?;
    Ok((residual, loss))
}

/// What the decoders draw: `[B, N, 3·side²]`, averaged over small squares.
fn targets(config: &EncoderConfig, pixels: &[f32], b: usize) -> Result<Tensor> {
    let [height, width] = config.img_size;
    let (h, w) = (height / POOL, width / POOL);
    let mut pooled = vec![0f32; b * 3 * h * w];
    let share = 1.0 / (POOL * POOL) as f32;
    let planes = pixels.par_chunks_exact(height * width);
    planes
        .zip(pooled.par_chunks_exact_mut(h * w))
        .for_each(|(plane, out)| {
            for (y, row) in plane.chunks_exact(width).enumerate() {
                for (out, values) in out[y / POOL * w..].iter_mut().zip(row.chunks_exact(POOL)) {
                    values.iter().for_each(|value| *out += value * share);
                }
            }
        });
    let side = config.patch_size / POOL;
    let rows = patch_rows(&pooled, [1, h, w], side, 1);
    let n = config.tokens_per_frame();
    Tensor::from_vec(rows, (b, n, decoded(config)), &Device::Cpu)
}
