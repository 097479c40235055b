//! The encoder on the CPU kernels: frames to latents, the fast path of [`crate::encoder`].

use gemm::Parallelism;
use rayon::prelude::*;

use crate::block::NORM_EPS;
use crate::config::{EncoderConfig, Stem};
use crate::encoder::LATENT_EPS;
use crate::kernels::attention::Visibility;
use crate::kernels::matmul::{linear, Store};
use crate::kernels::{block, elementwise, Workspace};
use crate::layout;
use crate::parameters::Parameters;
use crate::rope::RopeTable;

/// Frames encoded together by one thread.
const FRAMES_PER_CHUNK: usize = 8;

/// Normalised frames `[B, 3, H, W]` to layer-normalised latents `[B, N, D]`, both flat. Each
/// frame is its own clip, duplicated to one tubelet.
///
/// # Panics
/// When `frames` is not a whole number of images of whole patches; callers check image sizes.
pub fn encode(
    config: &EncoderConfig,
    parameters: &Parameters,
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
    let inner = if count < FRAMES_PER_CHUNK {
        Parallelism::Rayon(0)
    } else {
        Parallelism::None
    };
    let encode_chunk = |(frames, latents): (&[f32], &mut [f32])| {
        let mut ws = Workspace::new(inner);
        embed(config, parameters, frames, [height, width], latents, inner);
        let shape = layout::encoder_block(config);
        for i in 0..config.depth {
            let weights = parameters.block(&format!("blocks.{i}"));
            let all = Visibility::All;
            block::forward(shape, &weights, latents, &rope, all, None, &mut ws);
        }
        let mut normed = vec![0.0; latents.len()];
        elementwise::layer_norm(
            latents,
            parameters.slice("norm.weight"),
            parameters.slice("norm.bias"),
            NORM_EPS as f32,
            &mut normed,
        );
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
    config: &EncoderConfig,
    parameters: &Parameters,
    frames: &[f32],
    size: [usize; 2],
    tokens: &mut [f32],
    parallelism: Parallelism,
) {
    let t = config.tubelet_size;
    match config.stem {
        Stem::Conv3d => {
            let rows = patch_rows(frames, size, config.patch_size, t);
            let weight = parameters.slice("patch_embed.proj.weight");
            let bias = parameters.slice("patch_embed.proj.bias");
            linear(tokens, &rows, weight, bias, Store::Set, parallelism);
        }
        Stem::TwoLevel => {
            let half = config.embed_dim / 2;
            let rows = patch_rows(frames, size, config.patch_size / 2, t);
            let weight = parameters.slice("patch_embed.small.weight");
            let bias = parameters.slice("patch_embed.small.bias");
            let mut small = vec![0.0; tokens.len() / config.embed_dim * 4 * half];
            linear(&mut small, &rows, weight, bias, Store::Set, parallelism);
            let mut activated = vec![0.0; small.len()];
            elementwise::gelu(&small, &mut activated);
            let columns = size[1] / config.patch_size;
            let merged = merge_rows(&activated, columns, half);
            let weight = parameters.slice("patch_embed.merge.weight");
            let bias = parameters.slice("patch_embed.merge.bias");
            linear(tokens, &merged, weight, bias, Store::Set, parallelism);
        }
    }
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
