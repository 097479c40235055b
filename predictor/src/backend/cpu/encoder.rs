//! The encoder on the CPU kernels.

use rayon::prelude::*;

use super::FrameEncoder;
use crate::block::NORM_EPS;
use crate::config::{EncoderConfig, EncoderLevel, Stem, LEVELS};
use crate::encoder::LATENT_EPS;
use crate::error::PredictorError;
use crate::kernels::inference::{
    ExecutionContext, InferenceWorkspace, KvCache, PackedBlock, PackedLinear,
};
use crate::kernels::packed::Rows;
use crate::kernels::patches::{merge_rows, patch_rows};
use crate::kernels::{elementwise, Element, InstructionSet};
use crate::layout;
use crate::parameters::Parameters;
use crate::rope::{self, RopeTable};

/// Frames encoded together by one thread.
const FRAMES_PER_CHUNK: usize = 8;

/// An encoder's weights, packed for this machine.
#[derive(Debug)]
pub(super) struct PackedEncoder<E: Element> {
    config: EncoderConfig,
    instruction_set: InstructionSet,
    stem: Vec<PackedLinear<E>>,
    blocks: Vec<PackedBlock<E>>,
    /// What latents are taken from, beside one another.
    levels: Vec<Level>,
}

/// The tokens after a block, and the norm they go through.
#[derive(Debug)]
struct Level {
    block: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// The levels that `config` makes latents of.
fn levels(config: &EncoderConfig, parameters: &Parameters) -> Result<Vec<Level>, PredictorError> {
    let level = |block: usize, norm: String| Level {
        block,
        weight: parameters.slice(&format!("{norm}.weight")).to_vec(),
        bias: parameters.slice(&format!("{norm}.bias")).to_vec(),
    };
    if config.vjepa2_1.is_none() {
        return Ok(vec![level(config.depth - 1, "norm".into())]);
    }
    let blocks = config.level_blocks().map_err(PredictorError::Model)?;
    let taken = match config.level {
        EncoderLevel::Last => LEVELS - 1..LEVELS,
        EncoderLevel::One(i) => i..i + 1,
        EncoderLevel::All => 0..LEVELS,
    };
    let blocks = blocks.get(taken.clone()).ok_or_else(|| {
        PredictorError::Model(format!("there is no level {} of {LEVELS}", taken.start))
    })?;
    let numbered = taken.zip(blocks);
    Ok(numbered
        .map(|(i, block)| level(*block, format!("norms_block.{i}")))
        .collect())
}

impl<E: Element> PackedEncoder<E> {
    /// Packs `parameters`.
    pub(super) fn new(
        config: &EncoderConfig,
        parameters: &Parameters,
        instruction_set: InstructionSet,
    ) -> Result<Self, PredictorError> {
        let modality = config.vjepa2_1.as_ref().filter(|o| o.modality_embedding);
        let linear = |name: &str| {
            let mut bias = parameters.slice(&format!("{name}.bias")).to_vec();
            if modality.is_some() {
                // The same for every token, so a part of the bias.
                let video = parameters.slice("video_mod_embed");
                bias.iter_mut().zip(video).for_each(|(b, v)| *b += v);
            }
            PackedLinear::new(parameters.slice(&format!("{name}.weight")), &bias)
        };
        let stem = match config.stem {
            Stem::Conv3d => vec![linear("patch_embed.proj")],
            Stem::TwoLevel => vec![linear("patch_embed.small"), linear("patch_embed.merge")],
        };
        let shape = layout::encoder_block(config);
        let block = |i| PackedBlock::new(shape, &parameters.block(&format!("blocks.{i}")));
        let levels = levels(config, parameters)?;
        let depth = levels.last().map_or(0, |level| level.block + 1);
        Ok(PackedEncoder {
            config: config.clone(),
            instruction_set,
            stem,
            blocks: (0..depth).map(block).collect(),
            levels,
        })
    }

    /// [`FrameEncoder::encode`].
    ///
    /// # Panics
    /// When `frames` is not a whole number of images of whole patches.
    pub(super) fn latents(
        &self,
        frames: &[f32],
        [height, width]: [usize; 2],
    ) -> Result<Vec<f32>, PredictorError> {
        let config = &self.config;
        let image = 3 * height * width;
        assert_eq!(frames.len() % image, 0, "whole frames");
        let p = config.patch_size;
        let (rows, columns) = (height / p, width / p);
        let (n, d) = (rows * columns, config.embed_dim);
        let mut grid = RopeTable::grid(1, rows, columns);
        if config.vjepa2_1.as_ref().is_some_and(|o| o.interpolate_rope) {
            let by = rope::stretch(p, [rows, columns]).map_err(PredictorError::Model)?;
            rope::stretched(&mut grid, by);
        }
        let rope = RopeTable::new(&grid, config.head_dim(), config.rope);
        let count = frames.len() / image;
        let latent_dim = config.latent_dim();
        let mut latents = vec![0.0; count * n * latent_dim];
        // A few frames of a large model keep every core busy inside the matrix products; many
        // frames are cheaper shared out whole.
        let execution = ExecutionContext {
            instruction_set: self.instruction_set,
            parallel: count < FRAMES_PER_CHUNK,
        };
        let shape = layout::encoder_block(config);
        let encode_chunk = |(frames, latents): (&[f32], &mut [f32])| {
            let mut workspace = InferenceWorkspace::default();
            let mut caches = vec![KvCache::new(shape, n); frames.len() / image];
            let mut tokens = vec![0.0; latents.len() / latent_dim * d];
            let mut normed = vec![0.0; tokens.len()];
            self.embed(execution, frames, [height, width], &mut tokens);
            let mut at = 0;
            for (i, block) in self.blocks.iter().enumerate() {
                caches.iter_mut().for_each(KvCache::clear);
                block.forward(execution, &mut tokens, &rope, &mut caches, &mut workspace);
                if let Some(level) = self.levels.iter().find(|level| level.block == i) {
                    let (weight, bias) = (&level.weight, &level.bias);
                    elementwise::layer_norm(&tokens, weight, bias, NORM_EPS as f32, &mut normed);
                    for (out, normed) in latents
                        .chunks_exact_mut(latent_dim)
                        .zip(normed.chunks_exact(d))
                    {
                        out[at..at + d].copy_from_slice(normed);
                    }
                    at += d;
                }
            }
            elementwise::normalise_rows(latents, latent_dim, LATENT_EPS as f32);
        };
        frames
            .par_chunks(FRAMES_PER_CHUNK * image)
            .zip(latents.par_chunks_mut(FRAMES_PER_CHUNK * n * latent_dim))
            .for_each(encode_chunk);
        Ok(latents)
    }

    /// Patch embedding of `[B, 3, H, W]` into `tokens [B, N, D]`.
    fn embed(
        &self,
        execution: ExecutionContext,
        frames: &[f32],
        size: [usize; 2],
        tokens: &mut [f32],
    ) {
        let config = &self.config;
        let t = config.tubelet_size;
        match &self.stem[..] {
            [small, merge] => {
                let half = config.embed_dim / 2;
                let side = config.patch_size / 2;
                let patches = rounded(&patch_rows(frames, size, side, t), 3 * t * side * side);
                let mut first = vec![0.0; tokens.len() / config.embed_dim * 4 * half];
                small.set(execution, patches.all(), &mut first);
                let mut activated = vec![0.0; first.len()];
                elementwise::gelu(&first, &mut activated);
                let columns = size[1] / config.patch_size;
                let merged = rounded(&merge_rows(&activated, columns, half), 4 * half);
                merge.set(execution, merged.all(), tokens);
            }
            layers => {
                let p = config.patch_size;
                let patches = rounded::<E>(&patch_rows(frames, size, p, t), 3 * t * p * p);
                for layer in layers {
                    layer.set(execution, patches.all(), tokens);
                }
            }
        }
    }
}

impl<E: Element> FrameEncoder for PackedEncoder<E> {
    fn encode(&self, frames: &[f32], size: [usize; 2]) -> Result<Vec<f32>, PredictorError> {
        let patch = self.config.patch_size;
        let whole = |side: usize| side > 0 && side.is_multiple_of(patch);
        if !size.into_iter().all(whole) || !frames.len().is_multiple_of(3 * size[0] * size[1]) {
            return Err(PredictorError::Model(format!(
                "{} values are no frames of {} × {} px in whole patches of {patch} px",
                frames.len(),
                size[0],
                size[1]
            )));
        }
        self.latents(frames, size)
    }
}

/// Rows `width` wide as a left operand.
fn rounded<E: Element>(values: &[f32], width: usize) -> Rows<E> {
    let mut rows = Rows::new();
    rows.reshape(values.len() / width, width);
    let stride = rows.stride();
    elementwise::round_rows(values, width, rows.values_mut(), stride);
    rows
}
