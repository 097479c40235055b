//! The encoder on the CPU kernels.

use rayon::prelude::*;

use super::FrameEncoder;
use crate::block::NORM_EPS;
use crate::config::{EncoderConfig, Stem};
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
use crate::rope::RopeTable;

/// Frames encoded together by one thread.
const FRAMES_PER_CHUNK: usize = 8;

/// An encoder's weights, packed for this machine.
#[derive(Debug)]
pub(super) struct PackedEncoder<E: Element> {
    config: EncoderConfig,
    instruction_set: InstructionSet,
    stem: Vec<PackedLinear<E>>,
    blocks: Vec<PackedBlock<E>>,
    norm: [Vec<f32>; 2],
}

impl<E: Element> PackedEncoder<E> {
    /// Packs `parameters`.
    pub(super) fn new(
        config: &EncoderConfig,
        parameters: &Parameters,
        instruction_set: InstructionSet,
    ) -> Self {
        let linear = |name: &str| {
            PackedLinear::new(
                parameters.slice(&format!("{name}.weight")),
                parameters.slice(&format!("{name}.bias")),
            )
        };
        let stem = match config.stem {
            Stem::Conv3d => vec![linear("patch_embed.proj")],
            Stem::TwoLevel => vec![linear("patch_embed.small"), linear("patch_embed.merge")],
        };
        let shape = layout::encoder_block(config);
        let block = |i| PackedBlock::new(shape, &parameters.block(&format!("blocks.{i}")));
        PackedEncoder {
            config: config.clone(),
            instruction_set,
            stem,
            blocks: (0..config.depth).map(block).collect(),
            norm: ["norm.weight", "norm.bias"].map(|name| parameters.slice(name).to_vec()),
        }
    }

    /// [`FrameEncoder::encode`].
    ///
    /// # Panics
    /// When `frames` is not a whole number of images of whole patches.
    pub(super) fn latents(&self, frames: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
        let config = &self.config;
        let image = 3 * height * width;
        assert_eq!(frames.len() % image, 0, "whole frames");
        let p = config.patch_size;
        let (rows, columns) = (height / p, width / p);
        let (n, d) = (rows * columns, config.embed_dim);
        let grid = RopeTable::grid(1, rows, columns);
        let rope = RopeTable::new(&grid, config.head_dim(), config.rope);
        let count = frames.len() / image;
        let mut latents = vec![0.0; count * n * d];
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
            self.embed(execution, frames, [height, width], latents);
            for block in &self.blocks {
                caches.iter_mut().for_each(KvCache::clear);
                block.forward(execution, latents, &rope, &mut caches, &mut workspace);
            }
            let mut normed = vec![0.0; latents.len()];
            let [weight, bias] = &self.norm;
            elementwise::layer_norm(latents, weight, bias, NORM_EPS as f32, &mut normed);
            elementwise::normalise_rows(&mut normed, d, LATENT_EPS as f32);
            latents.copy_from_slice(&normed);
        };
        frames
            .par_chunks(FRAMES_PER_CHUNK * image)
            .zip(latents.par_chunks_mut(FRAMES_PER_CHUNK * n * d))
            .for_each(encode_chunk);
        latents
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
        Ok(self.latents(frames, size))
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
