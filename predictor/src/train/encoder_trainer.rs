//! Training a small encoder from recorded frames.
//!
//! The official encoders are trained by masked latent prediction on a million hours of video;
//! a tiny one on a few hours of a simulator needs a stronger signal. Ours are separate, each
//! with a weight in [`Objectives`], and every head and decoder here is thrown away afterwards:
//!
//! - *proprioception*: the end effector's position and closedness from the mean token. Every
//!   robot knows these.
//! - *residual decoder*: each token draws its own patch, weighted by what a decoder that knows
//!   only the robot's pose can't draw: objects, target and light. Needs no labels.
//! - *object*: object and target positions from the simulator. A label a real robot lacks; off
//!   unless asked for.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::{EncoderConfig, Stem};
use crate::cpu_encoder::patch_rows;
use crate::encoder::LATENT_EPS;
use crate::kernels::attention::Visibility;
use crate::layout::{self, Entry};
use crate::parameters::Parameters;
use crate::rope::RopeTable;
use crate::train::learner::Learner;
use crate::train::leaves::Leaves;
use crate::train::norm::normalise;
use crate::train::trunk::Trunk;
use crate::transform::{MEAN, STD};

/// Metres that count as 1 in regression targets.
const POSITION_SCALE_M: f32 = 0.1;
/// Pixels averaged into one of the decoders'.
const DECODER_POOL: usize = 2;
/// Hidden width of the decoder that knows only the robot's pose.
const POSE_DECODER_HIDDEN: usize = 128;
/// Largest weight of a pixel in the residual decoder's loss, relative to the mean.
const RESIDUAL_WEIGHT_LIMIT: f32 = 20.0;

/// Weights of the training signals; 0 switches one off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// End-effector position and closedness from the mean token.
    pub proprioception: f64,
    /// Patches from tokens, where the robot's pose alone doesn't explain them.
    pub residual_decoder: f64,
    /// Object and target from the mean token: simulator labels.
    pub object: f64,
}

impl Default for Objectives {
    fn default() -> Self {
        Objectives {
            proprioception: 1.0,
            residual_decoder: 1.0,
            object: 0.0,
        }
    }
}

/// Numbers a head regresses for the robot: x, y, z, closedness.
const PROPRIOCEPTION: usize = 4;
/// Numbers a head regresses for the scene: object x, y, z, its position relative to the end
/// effector, target x, y, and whether it is held.
const OBJECT: usize = 9;

/// A batch of frames.
#[derive(Debug, Clone, Default)]
pub struct EncoderBatch {
    /// RGB at the encoder's size, `[B, H, W, 3]`.
    pub frames: Vec<u8>,
    /// Poses, `[B, 7]`.
    pub states: Vec<[f32; 7]>,
    /// Object and target, `[B, 9]` in m (and 0/1 for held); needed only by the object signal.
    pub objects: Vec<[f32; OBJECT]>,
}

/// The parts of one step's loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EncoderLosses {
    /// Mean squared error in units of 10 cm (closedness: of 1).
    pub proprioception: f64,
    /// Weighted mean squared error of the patches, in units of the images' deviation.
    pub residual_decoder: f64,
    /// Mean squared error of the pose-only decoder.
    pub pose_decoder: f64,
    /// Mean squared error in units of 10 cm.
    pub object: f64,
    /// Standard deviation of latents over the batch, averaged: near 0 means collapse.
    pub deviation: f64,
    /// What is minimised.
    pub total: f64,
}

/// Encoder parameters with their heads, gradients and optimiser.
#[derive(Debug)]
pub struct EncoderTrainer {
    config: EncoderConfig,
    objectives: Objectives,
    learner: Learner,
    rope: Arc<RopeTable>,
}

/// Layout of an encoder with the heads it is trained with.
pub fn layout_with_heads(config: &EncoderConfig) -> Vec<Entry> {
    let mut entries = layout::encoder(config);
    let d = config.embed_dim;
    let pixels = decoded_pixels(config);
    let image = pixels * config.tokens_per_frame();
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        entries.push((format!("{name}.weight"), vec![outputs, inputs]));
        entries.push((format!("{name}.bias"), vec![outputs]));
    };
    linear("head.proprioception", d, PROPRIOCEPTION);
    linear("head.object", d, OBJECT);
    linear("head.patch", d, pixels);
    linear("head.pose_decoder.fc1", PROPRIOCEPTION, POSE_DECODER_HIDDEN);
    linear("head.pose_decoder.fc2", POSE_DECODER_HIDDEN, image);
    entries
}

/// Values a token's patch has in the decoders.
fn decoded_pixels(config: &EncoderConfig) -> usize {
    let side = config.patch_size / DECODER_POOL;
    3 * side * side
}

impl EncoderTrainer {
    /// Trains `parameters`, laid out as [`layout_with_heads`].
    pub fn new(config: EncoderConfig, parameters: Parameters, objectives: Objectives) -> Self {
        let [height, width] = config.img_size;
        let p = config.patch_size;
        let grid = RopeTable::grid(1, height / p, width / p);
        EncoderTrainer {
            rope: Arc::new(RopeTable::new(&grid, config.head_dim(), config.rope)),
            learner: Learner::new(parameters),
            config,
            objectives,
        }
    }

    /// Parameters, gradients and optimiser.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// Parameters, gradients and optimiser, to update or restore them.
    pub fn learner_mut(&mut self) -> &mut Learner {
        &mut self.learner
    }

    /// Losses of a batch; its gradients replace those of the last call.
    ///
    /// # Errors
    /// When the batch doesn't fit the encoder.
    pub fn compute_gradients(&mut self, batch: &EncoderBatch) -> Result<EncoderLosses> {
        self.learner.clear()?;
        let (loss, losses, leaves) = self.losses(batch)?;
        self.learner.collect(&leaves, &loss.backward()?)?;
        Ok(losses)
    }

    /// Losses of a batch without touching anything.
    ///
    /// # Errors
    /// When the batch doesn't fit the encoder.
    pub fn evaluate(&self, batch: &EncoderBatch) -> Result<EncoderLosses> {
        Ok(self.losses(batch)?.1)
    }

    fn losses(&self, batch: &EncoderBatch) -> Result<(Tensor, EncoderLosses, Leaves)> {
        let b = batch.states.len();
        let [height, width] = self.config.img_size;
        if b == 0 || batch.frames.len() != b * height * width * 3 {
            candle_core::bail!("{b} states need {b} frames of {height}×{width} RGB");
        }
        let leaves = self.learner.leaves(|name| !name.starts_with("blocks."))?;
        let device = Device::Cpu;
        let pixels = normalised_pixels(&batch.frames, [height, width]);
        let latents = self.latents(&leaves, &pixels, b)?;
        let pooled = latents.mean(1)?;
        let mut losses = EncoderLosses::default();
        let deviation = latents.flatten_from(1)?.var(0)?.sqrt()?.mean_all()?;
        losses.deviation = f64::from(deviation.to_scalar::<f32>()?);

        let robot: Vec<f32> = batch
            .states
            .iter()
            .flat_map(|s| {
                let [x, y, z] = [s[0], s[1], s[2]].map(|v| v / POSITION_SCALE_M);
                [x, y, z, s[6]]
            })
            .collect();
        let robot = Tensor::from_vec(robot, (b, PROPRIOCEPTION), &device)?;
        let mut total = Tensor::zeros((), candle_core::DType::F32, &device)?;
        let mut add = |loss: Tensor, weight: f64| -> Result<f64> {
            total = (&total + (&loss * weight)?)?;
            Ok(f64::from(loss.to_scalar::<f32>()?))
        };
        if self.objectives.proprioception > 0.0 {
            let predicted = leaves.linear("head.proprioception", &pooled)?;
            let loss = (predicted - &robot)?.sqr()?.mean_all()?;
            losses.proprioception = add(loss, self.objectives.proprioception)?;
        }
        if self.objectives.object > 0.0 {
            if batch.objects.len() != b {
                candle_core::bail!("the object signal needs simulator labels for every frame");
            }
            let labels: Vec<f32> = batch
                .objects
                .iter()
                .flat_map(|o| {
                    let mut scaled = o.map(|v| v / POSITION_SCALE_M);
                    scaled[OBJECT - 1] = o[OBJECT - 1];
                    scaled
                })
                .collect();
            let labels = Tensor::from_vec(labels, (b, OBJECT), &device)?;
            let predicted = leaves.linear("head.object", &pooled)?;
            let loss = (predicted - labels)?.sqr()?.mean_all()?;
            losses.object = add(loss, self.objectives.object)?;
        }
        if self.objectives.residual_decoder > 0.0 {
            let patches = self.decoder_targets(&pixels, b)?;
            let drawn = leaves
                .linear("head.pose_decoder.fc1", &robot)?
                .relu()?
                .contiguous()?;
            let drawn = leaves
                .linear("head.pose_decoder.fc2", &drawn)?
                .reshape(patches.shape())?;
            let residual = (drawn - &patches)?.sqr()?;
            let weights = residual.detach();
            let mean = f64::from(weights.mean_all()?.to_scalar::<f32>()?).max(1e-6);
            let weights = (weights / mean)?.clamp(0f32, RESIDUAL_WEIGHT_LIMIT)?;
            losses.pose_decoder = add(residual.mean_all()?, 1.0)?;
            let predicted = leaves.linear("head.patch", &latents)?;
            let loss = ((predicted - &patches)?.sqr()? * weights)?.mean_all()?;
            losses.residual_decoder = add(loss, self.objectives.residual_decoder)?;
        }
        losses.total = f64::from(total.to_scalar::<f32>()?);
        Ok((total, losses, leaves))
    }

    /// Normalised pixels `[B, 3, H, W]` to latents `[B, N, D]`.
    fn latents(&self, leaves: &Leaves, pixels: &[f32], b: usize) -> Result<Tensor> {
        let config = &self.config;
        let (p, t, d) = (config.patch_size, config.tubelet_size, config.embed_dim);
        let n = config.tokens_per_frame();
        let device = Device::Cpu;
        let rows = |p: usize| -> Result<Tensor> {
            let rows = patch_rows(pixels, config.img_size, p, t);
            let width = 3 * t * p * p;
            let count = rows.len() / width;
            Tensor::from_vec(rows, (count, width), &device)
        };
        let x = match config.stem {
            Stem::Conv3d => {
                let weight = leaves.get("patch_embed.proj.weight")?.flatten_from(1)?;
                rows(p)?
                    .matmul(&weight.t()?)?
                    .broadcast_add(leaves.get("patch_embed.proj.bias")?)?
            }
            Stem::TwoLevel => {
                let columns = config.img_size[1] / p;
                let small = leaves.linear("patch_embed.small", &rows(p / 2)?)?;
                let merged = small
                    .gelu_erf()?
                    .reshape(&[b * n / columns, 2, columns, 2, d / 2][..])?
                    .permute((0, 2, 1, 3, 4))?
                    .reshape((b * n, 2 * d))?;
                leaves.linear("patch_embed.merge", &merged)?
            }
        };
        let trunk = Trunk {
            shape: layout::encoder_block(config),
            depth: config.depth,
            prefix: "blocks",
        };
        let x = x.reshape((b, n, d))?;
        let x = trunk.forward(self.learner.shared(), &x, &self.rope, Visibility::All)?;
        normalise(&leaves.layer_norm("norm", &x)?, LATENT_EPS)
    }

    /// What the decoders draw: `[B, N, 3·side²]`, averaged over small squares.
    fn decoder_targets(&self, pixels: &[f32], b: usize) -> Result<Tensor> {
        let [height, width] = self.config.img_size;
        let (h, w) = (height / DECODER_POOL, width / DECODER_POOL);
        let mut pooled = vec![0f32; b * 3 * h * w];
        let share = 1.0 / (DECODER_POOL * DECODER_POOL) as f32;
        for (plane, out) in pixels
            .chunks_exact(height * width)
            .zip(pooled.chunks_exact_mut(h * w))
        {
            for (i, value) in plane.iter().enumerate() {
                let (y, x) = (i / width / DECODER_POOL, i % width / DECODER_POOL);
                out[y * w + x] += value * share;
            }
        }
        let side = self.config.patch_size / DECODER_POOL;
        let rows = patch_rows(&pooled, [h, w], side, 1);
        let n = self.config.tokens_per_frame();
        Tensor::from_vec(rows, (b, n, decoded_pixels(&self.config)), &Device::Cpu)
    }
}

/// `[B, H, W, 3]` bytes to `[B, 3, H, W]` with ImageNet's mean and deviation.
pub fn normalised_pixels(frames: &[u8], [height, width]: [usize; 2]) -> Vec<f32> {
    let plane = height * width;
    let mut pixels = vec![0f32; frames.len()];
    for (frame, out) in frames
        .chunks_exact(3 * plane)
        .zip(pixels.chunks_exact_mut(3 * plane))
    {
        for (i, rgb) in frame.chunks_exact(3).enumerate() {
            for c in 0..3 {
                out[c * plane + i] = (f32::from(rgb[c]) / 255.0 - MEAN[c]) / STD[c];
            }
        }
    }
    pixels
}
