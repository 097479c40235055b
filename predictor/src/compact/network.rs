//! A compact model's two networks on candle: the reference, and what learns.
//!
//! LeWorldModel (Maes and others, arXiv 2603.19312): the encoder's answer to a picture is one latent; the
//! predictor is a causal transformer over the last few of them, each block of which is modulated by the
//! action taken there (AdaLN-zero, Peebles and Xie 2022).

use candle_core::{Device, Result, Tensor, D};
use candle_nn::ops::{silu, softmax};

use super::config::{CompactConfig, CompactEyes};
use crate::side_network::NetworkLayers;
use crate::windows::Windows;

/// Epsilon of the norms without weights.
pub(super) const BARE_EPS: f64 = 1e-6;
/// Epsilon of the predictor's norms with weights, PyTorch's own.
pub(super) const NORM_EPS: f64 = 1e-5;
/// Epsilon of the vision transformer's norms.
const EYES_EPS: f64 = 1e-12;

/// Latents `[B, D]` of normalised pictures `[B, 3, side, views·side]`.
///
/// # Errors
/// When shapes don't agree.
pub fn encode(
    config: &CompactConfig,
    layers: &impl NetworkLayers,
    pictures: &Tensor,
) -> Result<Tensor> {
    let seen = match &config.eyes {
        CompactEyes::Convolutional { channels, points } => {
            config.eyes(channels, *points).see(layers, pictures)?
        }
        CompactEyes::VisionTransformer {
            patch_size,
            depth,
            heads,
            ..
        } => class_token(layers, pictures, [*patch_size, *depth, *heads])?,
    };
    two_layers(layers, "projector", &seen)
}

/// Latents `[B, T, D]` after each of `latents` `[B, T, D]` under `actions` `[B, T, A]` as the predictor is
/// told them; each sees those before it, `T` at most the configuration's history.
///
/// # Errors
/// When shapes don't agree.
pub fn predict(
    config: &CompactConfig,
    layers: &impl NetworkLayers,
    latents: &Tensor,
    actions: &Tensor,
) -> Result<Tensor> {
    let (_, steps, _) = latents.dims3()?;
    let told = layers.linear("action.fc1", &layers.linear("action.first", actions)?)?;
    let told = silu(&layers.linear("action.fc2", &silu(&told)?)?)?;
    let places = layers.parameter("pos_embed")?.narrow(0, 0, steps)?;
    let mut x = latents.broadcast_add(&places)?;
    for i in 0..config.depth {
        let block = format!("blocks.{i}");
        let modulation = layers.linear(&format!("{block}.ada"), &told)?;
        let part = modulation.chunk(6, D::Minus1)?;
        let modulated = |x: &Tensor, norm: &str, shift: &Tensor, scale: &Tensor| {
            let bare = layers.normalise(x, BARE_EPS)?;
            normed(
                layers,
                &format!("{block}.{norm}"),
                &((bare * (scale + 1.0)?)? + shift)?,
                NORM_EPS,
            )
        };
        let seen = modulated(&x, "norm1", &part[0], &part[1])?;
        let seen = attention(layers, &block, &seen, config.heads, true)?;
        x = (&x + (&part[2] * seen)?)?;
        let seen = modulated(&x, "norm2", &part[3], &part[4])?;
        x = (&x + (&part[5] * two_layers(layers, &block, &seen)?)?)?;
    }
    let told = two_layers(layers, "head", &normed(layers, "norm", &x, NORM_EPS)?)?;
    match config.residual {
        true => latents + told,
        false => Ok(told),
    }
}

/// The class token `[B, D]` of a vision transformer of `[patch side, depth, heads]`.
fn class_token(
    layers: &impl NetworkLayers,
    pictures: &Tensor,
    [side, depth, heads]: [usize; 3],
) -> Result<Tensor> {
    let patches = Windows { side, stride: side }.of(&pictures.permute((0, 2, 3, 1))?)?;
    let patches = layers.linear("eyes.patches", &patches.flatten(1, 2)?)?;
    let (b, _, d) = patches.dims3()?;
    let class = layers
        .parameter("eyes.class_token")?
        .broadcast_as((b, 1, d))?;
    let x = Tensor::cat(&[&class.contiguous()?, &patches], 1)?;
    let mut x = x.broadcast_add(&layers.parameter("eyes.pos_embed")?)?;
    for i in 0..depth {
        let block = format!("eyes.blocks.{i}");
        let seen = normed(layers, &format!("{block}.norm1"), &x, EYES_EPS)?;
        x = (&x + attention(layers, &block, &seen, heads, false)?)?;
        let seen = normed(layers, &format!("{block}.norm2"), &x, EYES_EPS)?;
        x = (&x + two_layers(layers, &block, &seen)?)?;
    }
    let class = x.narrow(1, 0, 1)?.squeeze(1)?;
    normed(layers, "eyes.norm", &class.contiguous()?, EYES_EPS)
}

fn two_layers(layers: &impl NetworkLayers, name: &str, x: &Tensor) -> Result<Tensor> {
    let hidden = layers.gelu(&layers.linear(&format!("{name}.fc1"), x)?)?;
    layers.linear(&format!("{name}.fc2"), &hidden)
}

fn normed(layers: &impl NetworkLayers, name: &str, x: &Tensor, eps: f64) -> Result<Tensor> {
    layers
        .normalise(x, eps)?
        .broadcast_mul(&layers.parameter(&format!("{name}.weight"))?)?
        .broadcast_add(&layers.parameter(&format!("{name}.bias"))?)
}

/// `x` `[B, T, D]` through the attention of `block`.
fn attention(
    layers: &impl NetworkLayers,
    block: &str,
    x: &Tensor,
    heads: usize,
    causal: bool,
) -> Result<Tensor> {
    let (b, t, _) = x.dims3()?;
    let qkv = layers.linear(&format!("{block}.qkv"), x)?;
    let width = qkv.dim(2)? / 3;
    let qkv = qkv.reshape((b, t, 3, heads, width / heads))?;
    let part = |i: usize| {
        qkv.narrow(2, i, 1)?
            .squeeze(2)?
            .transpose(1, 2)?
            .contiguous()
    };
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let scale = ((width / heads) as f64).sqrt().recip();
    let mut scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?;
    if causal {
        let hidden = |i: usize| {
            if i % t > i / t {
                f32::NEG_INFINITY
            } else {
                0.0
            }
        };
        let mask: Vec<f32> = (0..t * t).map(hidden).collect();
        scores = scores.broadcast_add(&Tensor::from_vec(mask, (t, t), &Device::Cpu)?)?;
    }
    let seen = softmax(&scores, D::Minus1)?.matmul(&v)?;
    let seen = seen.transpose(1, 2)?.contiguous()?.reshape((b, t, width))?;
    layers.linear(&format!("{block}.out"), &seen)
}
