//! The encoder on the CPU kernels: frames to latents, the fast path of [`crate::encoder`].

use half::bf16;
use rayon::prelude::*;

use crate::block::NORM_EPS;
use crate::config::{EncoderConfig, Stem};
use crate::encoder::LATENT_EPS;
use crate::kernels::infer::{Linear, On, PackedBlock, Remembered, Scratch};
use crate::kernels::packed::Rows;
use crate::kernels::tile::Element;
use crate::kernels::{elementwise, Precision, Unit};
use crate::layout;
use crate::parameters::Parameters;
use crate::rope::RopeTable;

/// Frames encoded together by one thread.
const FRAMES_PER_CHUNK: usize = 8;

/// An encoder's weights, packed for this machine.
#[derive(Debug, Clone)]
pub struct PackedEncoder {
    config: EncoderConfig,
    network: Network,
}

#[derive(Debug, Clone)]
enum Network {
    F32(Packed<f32>),
    Bf16(Packed<bf16>),
}

impl PackedEncoder {
    /// Packs `parameters`.
    pub fn new(config: &EncoderConfig, parameters: &Parameters, precision: Precision) -> Self {
        let bf16_unit = Unit::for_bf16().filter(|_| precision == Precision::Bf16);
        let network = match bf16_unit {
            Some(unit) => Network::Bf16(Packed::new(config, parameters, unit)),
            None => Network::F32(Packed::new(config, parameters, Unit::for_f32())),
        };
        PackedEncoder {
            config: config.clone(),
            network,
        }
    }

    /// Normalised frames `[B, 3, H, W]` to layer-normalised latents `[B, N, D]`, both flat. Each
    /// frame is its own clip, duplicated to one tubelet.
    ///
    /// # Panics
    /// When `frames` is not a whole number of images of whole patches; callers check image
    /// sizes.
    pub fn encode(&self, frames: &[f32], size: [usize; 2]) -> Vec<f32> {
        match &self.network {
            Network::F32(packed) => packed.encode(&self.config, frames, size),
            Network::Bf16(packed) => packed.encode(&self.config, frames, size),
        }
    }
}

/// [`PackedEncoder::encode`] in f32 with weights packed for this call.
///
/// # Panics
/// As there.
pub fn encode(
    config: &EncoderConfig,
    parameters: &Parameters,
    frames: &[f32],
    size: [usize; 2],
) -> Vec<f32> {
    PackedEncoder::new(config, parameters, Precision::F32).encode(frames, size)
}

#[derive(Debug, Clone)]
struct Packed<E: Element> {
    unit: Unit,
    stem: Vec<Linear<E>>,
    blocks: Vec<PackedBlock<E>>,
    norm: [Vec<f32>; 2],
}

impl<E: Element> Packed<E> {
    fn new(config: &EncoderConfig, parameters: &Parameters, unit: Unit) -> Self {
        let linear = |name: &str| {
            Linear::new(
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
        Packed {
            unit,
            stem,
            blocks: (0..config.depth).map(block).collect(),
            norm: ["norm.weight", "norm.bias"].map(|name| parameters.slice(name).to_vec()),
        }
    }

    fn encode(
        &self,
        config: &EncoderConfig,
        frames: &[f32],
        [height, width]: [usize; 2],
    ) -> Vec<f32> {
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
        // frames are cheaper spread over the cores whole.
        let on = On {
            unit: self.unit,
            spread: count < FRAMES_PER_CHUNK,
        };
        let shape = layout::encoder_block(config);
        let encode_chunk = |(frames, latents): (&[f32], &mut [f32])| {
            let mut scratch = Scratch::default();
            let mut memories = vec![Remembered::new(shape, n); frames.len() / image];
            self.embed(config, on, frames, [height, width], latents);
            for block in &self.blocks {
                memories.iter_mut().for_each(Remembered::clear);
                block.forward(on, latents, &rope, &mut memories, &mut scratch);
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
        config: &EncoderConfig,
        on: On,
        frames: &[f32],
        size: [usize; 2],
        tokens: &mut [f32],
    ) {
        let t = config.tubelet_size;
        match &self.stem[..] {
            [small, merge] => {
                let half = config.embed_dim / 2;
                let side = config.patch_size / 2;
                let patches = rounded(&patch_rows(frames, size, side, t), 3 * t * side * side);
                let mut first = vec![0.0; tokens.len() / config.embed_dim * 4 * half];
                small.set(on, patches.all(), &mut first);
                let mut activated = vec![0.0; first.len()];
                elementwise::gelu(&first, &mut activated);
                let columns = size[1] / config.patch_size;
                let merged = rounded(&merge_rows(&activated, columns, half), 4 * half);
                merge.set(on, merged.all(), tokens);
            }
            layers => {
                let p = config.patch_size;
                let patches = rounded::<E>(&patch_rows(frames, size, p, t), 3 * t * p * p);
                for layer in layers {
                    layer.set(on, patches.all(), tokens);
                }
            }
        }
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

/// Patches of `[B, 3, H, W]` as rows `[B · H/p · W/p, 3·t·p·p]`, each frame repeated `t` times
/// in the order of a 3-D convolution's weight.
pub fn patch_rows(frames: &[f32], [height, width]: [usize; 2], p: usize, t: usize) -> Vec<f32> {
    let (rows, columns) = (height / p, width / p);
    let image = 3 * height * width;
    let patch = 3 * t * p * p;
    let mut out = vec![0.0; frames.len() / image * rows * columns * patch];
    for (frame, out) in frames
        .chunks_exact(image)
        .zip(out.chunks_exact_mut(rows * columns * patch))
    {
        for (place, out) in out.chunks_exact_mut(patch).enumerate() {
            let (top, left) = (place / columns * p, place % columns * p);
            for channel in 0..3 {
                for repeat in 0..t {
                    for y in 0..p {
                        let from = (channel * height + top + y) * width + left;
                        let to = ((channel * t + repeat) * p + y) * p;
                        out[to..to + p].copy_from_slice(&frame[from..from + p]);
                    }
                }
            }
        }
    }
    out
}

/// Small tokens in raster order, `2·columns` a row and `half` wide, to rows of 2×2 of them.
pub fn merge_rows(small: &[f32], columns: usize, half: usize) -> Vec<f32> {
    let mut merged = vec![0.0; small.len()];
    let line = 2 * columns * half;
    for (row, out) in merged.chunks_exact_mut(2 * line).enumerate() {
        for (column, out) in out.chunks_exact_mut(4 * half).enumerate() {
            for (y, out) in out.chunks_exact_mut(2 * half).enumerate() {
                let from = (2 * row + y) * line + column * 2 * half;
                out.copy_from_slice(&small[from..from + 2 * half]);
            }
        }
    }
    merged
}
