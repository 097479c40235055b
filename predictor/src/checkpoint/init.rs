//! Random weights with the official initialisation, of any architecture, the full-size one too.
//!
//! Weights are normal with standard deviation 0.02 (the official truncation lies at ±2, a
//! hundred standard deviations away), the output projections of block `l` divided by `√(2l)`,
//! biases 0 and norms 1.

use std::path::Path;

use candle_core::DType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::error::CheckpointError;
use super::folder::{encode, write};
use super::Part;
use crate::config::{
    EncoderConfig, EncoderLevel, ModelConfig, PredictorConfig, RopeVariant, Stem, Vjepa21Options,
    LEVELS,
};
use crate::mask_predictor::{MaskPredictorConfig, Vjepa21PredictorOptions};
use crate::parameters::Parameters;

/// Standard deviation of every weight before rescaling.
pub const INITIAL_STD: f32 = 0.02;
/// Standard deviation of modality embeddings.
const MODALITY_STD: f32 = 1e-6;
/// Values drawn from one generator: results don't depend on the number of threads.
const CHUNK: usize = 1 << 16;

/// Architectures with a name.
pub const PRESETS: [&str; 10] = [
    "tiny",
    "vitl",
    "vith",
    "vitg",
    "vitg-384",
    "vitg-ac",
    "vjepa2_1_vit_base_384",
    "vjepa2_1_vit_large_384",
    "vjepa2_1_vit_giant_384",
    "vjepa2_1_vit_gigantic_384",
];

/// A named architecture: the released ones, and a small one of ours.
pub fn preset(name: &str) -> Option<ModelConfig> {
    let vit = |side: usize, embed_dim, depth, num_heads, mlp_ratio| EncoderConfig {
        img_size: [side, side],
        patch_size: 16,
        num_frames: 64,
        tubelet_size: 2,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio,
        rope: RopeVariant::Tiled,
        stem: Stem::Conv3d,
        vjepa2_1: None,
        level: EncoderLevel::Last,
        views: None,
    };
    let vjepa21 = |embed_dim, depth, num_heads, mlp_ratio| EncoderConfig {
        rope: RopeVariant::Interleaved,
        vjepa2_1: Some(Vjepa21Options::default()),
        ..vit(384, embed_dim, depth, num_heads, mlp_ratio)
    };
    let giant = |side| vit(side, 1408, 40, 22, 48.0 / 11.0);
    let (encoder, predictor) = match name {
        "tiny" => {
            let encoder = EncoderConfig {
                stem: Stem::TwoLevel,
                ..vit(64, 128, 3, 4, 4.0)
            };
            let predictor = PredictorConfig::behind(&encoder, 1, [128, 4, 4]);
            (encoder, Some(predictor))
        }
        "vitl" => (vit(256, 1024, 24, 16, 4.0), None),
        "vith" => (vit(256, 1280, 32, 16, 4.0), None),
        "vitg" => (giant(256), None),
        "vitg-384" => (giant(384), None),
        "vitg-ac" => {
            let encoder = giant(256);
            let predictor = PredictorConfig::behind(&encoder, 1, [1024, 24, 16]);
            (encoder, Some(predictor))
        }
        "vjepa2_1_vit_base_384" => (vjepa21(768, 12, 12, 4.0), None),
        "vjepa2_1_vit_large_384" => (vjepa21(1024, 24, 16, 4.0), None),
        "vjepa2_1_vit_giant_384" => (vjepa21(1408, 40, 22, 48.0 / 11.0), None),
        "vjepa2_1_vit_gigantic_384" => (vjepa21(1664, 48, 26, 64.0 / 13.0), None),
        _ => return None,
    };
    Some(ModelConfig {
        predictor,
        ..ModelConfig::of(&format!("{name}-random"), encoder)
    })
}

/// The mask predictor that was released with an encoder, or would have been: V-JEPA 2.1's
/// distilled ones (12 and 24 blocks) predict one level of a ViT-G teacher, the others four of
/// their own.
pub fn mask_predictor_of(encoder: &EncoderConfig) -> MaskPredictorConfig {
    let distilled = encoder.depth <= 24;
    let vjepa2_1 = encoder.vjepa2_1.as_ref().map(|_| Vjepa21PredictorOptions {
        n_output_distillation: if distilled { 1 } else { LEVELS },
        teacher_embed_dim: distilled.then_some(1664),
        ..Vjepa21PredictorOptions::default()
    });
    MaskPredictorConfig {
        img_size: encoder.img_size,
        patch_size: encoder.patch_size,
        embed_dim: encoder.embed_dim,
        predictor_embed_dim: 384,
        depth: if vjepa2_1.is_some() && !distilled {
            24
        } else {
            12
        },
        num_heads: 12,
        num_mask_tokens: if vjepa2_1.is_some() { 8 } else { 10 },
        mlp_ratio: 4.0,
        rope: encoder.rope,
        vjepa2_1,
    }
}

/// Writes a model folder of random weights, one tensor in memory at a time. `done` is told the
/// number of values after each tensor.
///
/// # Errors
/// When the configuration is inconsistent or the disk fails.
pub fn init(
    config: &ModelConfig,
    seed: u64,
    dtype: DType,
    folder: impl AsRef<Path>,
    mut done: impl FnMut(usize),
) -> Result<(), CheckpointError> {
    let folder = folder.as_ref();
    write(folder, config, dtype, &mut |part, name, shape| {
        let values = values(part, name, shape.iter().product(), seed);
        done(values.len());
        encode(folder, name, &values, dtype)
    })
}

/// The official initial weights of a network, heads included: what [`init`] writes with the same
/// seed.
pub fn initialise(parameters: &mut Parameters, part: Part, seed: u64) {
    for (name, shape) in parameters.entries().to_vec() {
        let initial = values(part, &name, shape.iter().product(), seed);
        parameters.slice_mut(&name).copy_from_slice(&initial);
    }
}

/// Initial values of one parameter.
fn values(part: Part, name: &str, count: usize, seed: u64) -> Vec<f32> {
    if name.ends_with(".bias") {
        return vec![0.0; count];
    }
    if name.contains("norm") {
        return vec![1.0; count];
    }
    if name.starts_with("mask_tokens.") {
        return vec![0.0; count];
    }
    let std = if name.ends_with("_mod_embed") {
        MODALITY_STD
    } else {
        INITIAL_STD / rescale(name)
    };
    let mut values = vec![0f32; count];
    values
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut rng = ChaCha8Rng::from_seed(seed_of(part, name, seed, chunk));
            // A standard normal can't fail to be made; scaling it keeps it that way.
            if let Ok(normal) = Normal::new(0f32, 1.0) {
                for value in values {
                    *value = normal.sample(&mut rng) * std;
                }
            }
        });
    values
}

/// `√(2l)` for the output projections of the `l`-th block, counted from 1.
fn rescale(name: &str) -> f32 {
    if !name.ends_with(".attn.proj.weight") && !name.ends_with(".mlp.fc2.weight") {
        return 1.0;
    }
    let block = name.split('.').find_map(|part| part.parse::<u32>().ok());
    block.map_or(1.0, |i| (2.0 * (i as f32 + 1.0)).sqrt())
}

/// A seed of its own for every chunk of every tensor, by name: the same values whatever else
/// the model has.
fn seed_of(part: Part, name: &str, seed: u64, chunk: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((chunk as u64).to_le_bytes());
    hash.update(part.to_string());
    hash.update([0]);
    hash.update(name);
    hash.finalize().into()
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_init.rs"]
mod tests;
