//! The encoder on the CPU kernels.

use rayon::prelude::*;

use super::FrameEncoder;
use crate::block::NORM_EPS;
use crate::config::{EncoderConfig, EncoderLevel, Stem, LEVELS};
use crate::encoder::LATENT_EPS;
use crate::error::{PredictorError, Result};
use crate::kernels::inference::{
    ExecutionContext, InferenceWorkspace, KvCache, PackedBlock, PackedLinear,
};
use crate::kernels::packed::Rows;
use crate::kernels::patches::{merge_rows, patch_rows};
use crate::kernels::{elementwise, BlockWeights, Element, InstructionSet, PARAMETER_NAMES};
use crate::layout;
use crate::parameters::WeightSource;
use crate::rope::RopeTable;

/// Tubelets encoded together by one thread.
const TUBELETS_PER_CHUNK: usize = 8;

/// An encoder's weights, packed for this machine.
#[derive(Debug)]
pub(super) struct PackedEncoder<E: Element> {
    config: EncoderConfig,
    instruction_set: InstructionSet,
    /// Patch embedding of tubelets.
    stem: Vec<PackedLinear<E>>,
    /// V-JEPA 2.1's of images.
    image_stem: Option<PackedLinear<E>>,
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
fn levels(config: &EncoderConfig, weights: &dyn WeightSource) -> Result<Vec<Level>> {
    let level = |block: usize, norm: String| -> Result<Level> {
        Ok(Level {
            block,
            weight: weights.values(&format!("{norm}.weight"))?.into_owned(),
            bias: weights.values(&format!("{norm}.bias"))?.into_owned(),
        })
    };
    if config.vjepa2_1.is_none() {
        return Ok(vec![level(config.depth - 1, "norm".into())?]);
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
    numbered
        .map(|(i, block)| level(*block, format!("norms_block.{i}")))
        .collect()
}

impl<E: Element> PackedEncoder<E> {
    /// Packs `weights`, a tensor at a time.
    pub(super) fn new(
        config: &EncoderConfig,
        weights: &dyn WeightSource,
        instruction_set: InstructionSet,
    ) -> Result<Self> {
        let modality = config.vjepa2_1.as_ref().filter(|o| o.modality_embedding);
        let linear = |name: &str, embedding: &str| -> Result<_> {
            let mut bias = weights.values(&format!("{name}.bias"))?.into_owned();
            if modality.is_some() {
                // The same for every token, so a part of the bias.
                let embedding = weights.values(embedding)?;
                bias.iter_mut().zip(&*embedding).for_each(|(b, v)| *b += v);
            }
            let weight = weights.values(&format!("{name}.weight"))?;
            Ok(PackedLinear::new(&weight, &bias))
        };
        let stem: &[&str] = match config.stem {
            Stem::Conv3d => &["patch_embed.proj"],
            Stem::TwoLevel => &["patch_embed.small", "patch_embed.merge"],
        };
        let stem = stem.iter().map(|name| linear(name, "video_mod_embed"));
        let images = config.vjepa2_1.as_ref();
        let images = images.and_then(|o| o.img_temporal_dim_size);
        let shape = layout::encoder_block(config);
        let block = |i| -> Result<_> {
            let values = PARAMETER_NAMES.map(|name| weights.values(&format!("blocks.{i}.{name}")));
            let mut read = Vec::with_capacity(values.len());
            for values in values {
                read.push(values?);
            }
            let values = BlockWeights::from_array(std::array::from_fn(|i| &*read[i]));
            Ok(PackedBlock::new(shape, &values))
        };
        let levels = levels(config, weights)?;
        let depth = levels.last().map_or(0, |level| level.block + 1);
        Ok(PackedEncoder {
            config: config.clone(),
            instruction_set,
            stem: stem.collect::<Result<_, _>>()?,
            image_stem: images
                .map(|_| linear("patch_embed_img.proj", "img_mod_embed"))
                .transpose()?,
            blocks: (0..depth).map(block).collect::<Result<_, _>>()?,
            levels,
        })
    }

    /// Tokens of clips `[B, 3, T, H, W]`, `[B, N, L]`, as the encoder gives them. A clip of one frame
    /// is doubled to a tubelet unless it is an image to this encoder and `images` are.
    fn tokens(&self, clips: &[f32], size: [usize; 3], images: bool) -> Result<Vec<f32>> {
        let config = &self.config;
        let [frames, height, width] = size;
        let repeated = if !images && frames == 1 {
            config.tubelet_size
        } else {
            frames
        };
        let grid = config.clip_grid([repeated, height, width]);
        let grid = grid.map_err(PredictorError::Model)?;
        let clip = 3 * frames * height * width;
        if !clips.len().is_multiple_of(clip) {
            return Err(PredictorError::Model(format!(
                "{} values are no clips of {frames} frames of {height}×{width} px",
                clips.len()
            )));
        }
        let positions = config.clip_positions(grid).map_err(PredictorError::Model)?;
        let rope = RopeTable::new(&positions, config.head_dim(), config.rope);
        let (n, d, latent_dim) = (positions.len(), config.embed_dim, config.latent_dim());
        let count = clips.len() / clip;
        let mut latents = vec![0.0; count * n * latent_dim];
        let together = (TUBELETS_PER_CHUNK / grid[0]).max(1);
        // A few frames of a large model, or a long clip, keep every core busy inside the matrix
        // products; many frames are cheaper shared out whole.
        let execution = ExecutionContext {
            instruction_set: self.instruction_set,
            parallel: count.div_ceil(together) < rayon::current_num_threads(),
        };
        let shape = layout::encoder_block(config);
        let encode_chunk = |(clips, latents): (&[f32], &mut [f32])| {
            let mut workspace = InferenceWorkspace::default();
            let mut caches = vec![KvCache::new(shape, n); clips.len() / clip];
            let mut tokens = vec![0.0; latents.len() / latent_dim * d];
            self.embed(
                execution,
                clips,
                size,
                config.is_image(repeated),
                &mut tokens,
            );
            let mut at = 0;
            for (i, block) in self.blocks.iter().enumerate() {
                caches.iter_mut().for_each(KvCache::clear);
                block.forward(execution, &mut tokens, &rope, &mut caches, &mut workspace);
                if let Some(level) = self.levels.iter().find(|level| level.block == i) {
                    let (weight, bias) = (&level.weight, &level.bias);
                    let eps = NORM_EPS as f32;
                    for (out, token) in latents
                        .chunks_exact_mut(latent_dim)
                        .zip(tokens.chunks_exact(d))
                    {
                        elementwise::layer_norm(token, weight, bias, eps, &mut out[at..at + d]);
                    }
                    at += d;
                }
            }
        };
        clips
            .par_chunks(together * clip)
            .zip(latents.par_chunks_mut(together * n * latent_dim))
            .for_each(encode_chunk);
        Ok(latents)
    }

    /// Patch embedding of clips `[B, 3, T, H, W]` into `tokens [B, N, D]`.
    fn embed(
        &self,
        execution: ExecutionContext,
        clips: &[f32],
        size: [usize; 3],
        image: bool,
        tokens: &mut [f32],
    ) {
        let config = &self.config;
        let p = config.patch_size;
        let one = |layer: &PackedLinear<E>, t: usize, tokens: &mut [f32]| {
            let patches = rounded::<E>(&patch_rows(clips, size, p, t), 3 * t * p * p);
            layer.set(execution, patches.all(), tokens);
        };
        let t = config.tubelet_size;
        match (&self.stem[..], self.image_stem.as_ref().filter(|_| image)) {
            (_, Some(stem)) => one(stem, 1, tokens),
            ([small, merge], _) => {
                let half = config.embed_dim / 2;
                let side = p / 2;
                let patches = rounded(&patch_rows(clips, size, side, t), 3 * t * side * side);
                let mut first = vec![0.0; tokens.len() / config.embed_dim * 4 * half];
                small.set(execution, patches.all(), &mut first);
                let mut activated = vec![0.0; first.len()];
                elementwise::gelu(&first, &mut activated);
                let merged = rounded(&merge_rows(&activated, size[2] / p, half), 4 * half);
                merge.set(execution, merged.all(), tokens);
            }
            (layers, _) => layers.iter().for_each(|layer| one(layer, t, tokens)),
        }
    }
}

impl<E: Element> FrameEncoder for PackedEncoder<E> {
    fn encode(&self, frames: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let mut latents = self.tokens(frames, [1, height, width], false)?;
        let width = self.config.latent_dim();
        elementwise::normalise_rows(&mut latents, width, LATENT_EPS as f32);
        Ok(latents)
    }

    fn encode_clips(&self, clips: &[f32], size: [usize; 3]) -> Result<Vec<f32>> {
        self.tokens(clips, size, true)
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
